"""Talk to providers: one seam (`seam.py`), transports behind it."""
