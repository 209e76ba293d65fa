"""One module for each job kind, found by its name: `reference` is the formula, `run` the computation."""
