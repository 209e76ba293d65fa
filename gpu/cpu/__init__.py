"""The CPU path: one module for each operation, the twin of gpu/cuda."""
