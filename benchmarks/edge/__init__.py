"""What hostile and careless clients send to the service, and what it costs."""
