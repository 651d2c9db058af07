"""One kept answer: what the provider sent, in its own dialect. Pure."""

from asyncio import Future
from typing import Literal

import msgspec

from gateway.cache.asked import Asked
from gateway.dialects.codec import ToolName
from gateway.domain.dialect import ProviderDialect
from gateway.domain.usage import Usage

FORMAT = 2
"""Raised with every change of `Entry` that an older reader would get wrong; it is part of what a signature is made of."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """`body` is a whole answer, or all bytes of a stream. `at` is unix seconds, `expires_at` too.

    `names`: tool names to restore, as the request that got the answer had them. `usage` is the provider's own, or None.
    """

    at: float
    expires_at: float
    dialect: ProviderDialect
    is_stream: bool
    body: bytes
    content_type: str
    provider: str
    connection_id: str
    model: str
    combo: str
    usage: Usage | None
    cost_nano_usd: int
    names: dict[str, ToolName]

    @property
    def size(self) -> int:
        """Bytes that it takes, nearly: what it says of itself is small."""
        return len(self.body) + 512


encode_entry = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode


def decode_entry(data: bytes) -> Entry | None:
    """None for what is no entry of this format."""
    try:
        return _decode(data)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None


class Recall(msgspec.Struct, frozen=True):
    """What the cache knows of a request. `entry`: its answer. `key`: where its answer belongs; empty = it is not kept."""

    key: str = ""
    entry: Entry | None = None
    how: Literal["", "hit", "semantic", "idempotent", "joined"] = ""
    meant: Asked | None = None
    """A request whose answer may be found by what it means."""
    look: Future[object] | None = None
    """The store was asked: `ResponseCache.found` waits for this, and says what it knows."""


NOTHING = Recall()
