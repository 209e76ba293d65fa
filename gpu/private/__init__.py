"""Private releases: exact integer sums of bounded features, and the integer noise that is added to them."""
