"""What an owner who watches requests pass is shown of one: no text that anybody wrote, no credential."""

from typing import Any

import msgspec

SAMPLE_ROWS = 20
"""Of a second, of all workers together."""


class Sample(msgspec.Struct, frozen=True, rename="camel"):
    """A request that is over. `at` is unix seconds, `duration_ms` from its first byte to its last.

    `asked`, `sent` and `answered` are outlines (`shaping/outline.py`): what the caller sent, what its target was sent, what the
    caller got. `target_dialect` is empty when no target was asked; `passed_on`: it got the caller's own bytes. `skipped` requests of
    this worker were not sampled since the one before.
    """

    id: str
    at: float
    endpoint: str
    dialect: str
    requested_model: str
    key_name: str
    is_stream: bool
    status: int
    error: str
    duration_ms: float
    attempts: int
    provider: str
    model: str
    target_dialect: str
    passed_on: bool
    dropped: tuple[str, ...]
    asked: str
    asked_bytes: int
    sent: str
    answered: str
    answered_bytes: int
    skipped: int = 0


encode_sample = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Sample).decode


def decode_sample(data: Any) -> Sample | None:
    """None of what is no sample, or one of another version."""
    try:
        return _decode(data)
    except (msgspec.DecodeError, msgspec.ValidationError, TypeError):
        return None
