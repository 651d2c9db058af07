"""Patterns for names: `*` is any text, `?` one character, everything else is itself. Case does not matter."""

import re


def is_pattern(name: str) -> bool:
    return "*" in name or "?" in name


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """To be matched whole (`fullmatch`)."""
    escaped = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(escaped, re.IGNORECASE | re.DOTALL)


def literal_length(pattern: str) -> int:
    """Of two patterns that match, the one with more literal text is meant."""
    return len(re.sub(r"[*?]", "", pattern))
