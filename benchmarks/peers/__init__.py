"""One small module for each queue, run by path with the Python of its own environment; none imports Mercer but ours."""
