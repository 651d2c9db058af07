"""The data plane: one request from bytes to bytes. Read `journey.py` first. Never touches SQL."""

__version__ = "0.1.0"
