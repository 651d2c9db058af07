"""The HTTP frame: errors, answers, host and header rules. It knows no resource."""
