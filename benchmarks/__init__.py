"""Us and the peers in one run. Prints ratios; tests nothing."""
