"""What an operator sets about stored bodies and how long the log is kept (`settings: logs:`, `/api/settings`)."""

from typing import Annotated

import msgspec
from msgspec import Meta

_Days = Annotated[float, Meta(ge=0, le=36_500)]


class LogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of every limit on what is kept 0 means none."""

    max_body_bytes: Annotated[int, Meta(ge=1, le=1024 * 1024)] = 64 * 1024
    """So much is stored of what was asked, and so much of what was answered."""
    body_retention_days: _Days = 7.0
    body_retention_mb: Annotated[int, Meta(ge=0, le=10_000_000)] = 512
    """Of all stored bodies together; the oldest go."""
    log_retention_days: _Days = 0.0
    """Of the rows of single requests; the sums that views read stay."""


class StoredBodies(msgspec.Struct, frozen=True, array_like=True):
    """What one request asked and was answered, redacted and cut, on its way to SQL. `id` is that of its record.

    `asked_bytes` and `answered_bytes` are the sizes before they were cut; `at` is unix seconds.
    """

    id: str
    at: float
    asked: str
    asked_bytes: int
    answered: str
    answered_bytes: int


encode_bodies = msgspec.msgpack.Encoder().encode
decode_bodies = msgspec.msgpack.Decoder(StoredBodies).decode
