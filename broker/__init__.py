"""Jobs on their way through Redis. The only package that imports redis."""
