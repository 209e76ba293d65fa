"""The whole service under faults, with a checker that remembers what was accepted and what was visible."""
