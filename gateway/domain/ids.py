"""Identifiers that sort by time (UUIDv7, RFC 9562 section 5.7). Time and randomness come in as arguments."""


def uuid7(unix_ms: int, randomness: bytes) -> str:
    """Build a UUIDv7 from a time in ms since the epoch and 10 random bytes. 36 characters, lower case."""
    digits = ((unix_ms & 0xFFFFFFFFFFFF).to_bytes(6, "big") + randomness).hex()
    variant = _VARIANT[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-7{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


_VARIANT = "89ab"
