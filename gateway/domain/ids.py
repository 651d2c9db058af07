"""Identifiers that sort by time (UUIDv7, RFC 9562 section 5.7). Time and randomness come in as arguments."""


def uuid7(unix_ms: int, randomness: bytes) -> str:
    """Build a UUIDv7 from a time in ms since the epoch and 10 random bytes. 36 characters, lower case."""
    value = (unix_ms & 0xFFFFFFFFFFFF) << 80 | int.from_bytes(randomness[:10], "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
