"""The CUDA path: one .cu for each operation, and their loader."""
