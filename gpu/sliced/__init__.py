"""Sliced Wasserstein distances: measures, the cost of every slice, and what is made of them."""
