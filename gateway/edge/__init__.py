"""Downstream HTTP, in and out."""
