"""The computations. Knows specs and arrays; knows no Redis, no HTTP and no store."""
