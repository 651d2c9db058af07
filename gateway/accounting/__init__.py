"""What a request used, and the line kept of it."""
