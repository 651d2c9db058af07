"""Answers kept by what was meant: found by vectors, and given only when the guard finds no difference that counts."""
