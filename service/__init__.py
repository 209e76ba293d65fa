"""The HTTP service: request -> spec -> broker, and back."""
