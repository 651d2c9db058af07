"""Schema changes, forward only, applied in the admin process at its start."""
