"""Answers that are kept, and served again as if their provider had given them."""
