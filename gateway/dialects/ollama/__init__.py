"""Ollama chat."""
