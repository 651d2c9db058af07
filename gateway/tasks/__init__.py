"""Loops that every worker runs. Each is short, bounded in every wait, and restarted when it breaks."""
