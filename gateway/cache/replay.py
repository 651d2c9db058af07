"""A kept answer served as if its provider were giving it now: a `Committed` whose call reads from memory."""

import asyncio
import time
from dataclasses import replace

from gateway.cache.entry import Entry
from gateway.cache.reshape import answer_of, batches_of
from gateway.dialects.codec import BrokenAnswer, Origin, ProviderCodec
from gateway.dialects.registry import PROVIDERS
from gateway.dialects.tool_names import NameRestorer, restored_answer
from gateway.domain.chat import Answer
from gateway.domain.events import Event
from gateway.domain.target import Connection, Target
from gateway.domain.usage import Usage
from gateway.relay.asking import Asking
from gateway.relay.attempt import Committed
from gateway.relay.exchange import Exchange
from gateway.upstream.seam import UpstreamCall

PIECE_BYTES = 4096
"""A kept stream is sent in pieces of whole lines, each of at least this: many small writes would cost more than they please."""

PIECES_A_TURN = 8
"""After so many the event loop has its turn."""


class StoredCall(UpstreamCall):
    """The call of an answer that is here already. A caller who leaves cancels it like any other."""

    __slots__ = ("_pieces", "_read")

    def __init__(self, pieces: list[bytes], content_type: str) -> None:
        super().__init__(lambda: None, lambda: None)
        self._pieces = pieces
        self._read = 0
        self.feed_head(200, {"content-type": content_type} if content_type else {})

    async def read(self) -> bytes:
        if self.fault is not None:
            raise self.fault
        if self._read >= len(self._pieces):
            self.is_over = True
            return b""
        self._read += 1
        if self._read % PIECES_A_TURN == 0:
            await asyncio.sleep(0)
            if self.fault is not None:
                raise self.fault
        return self._pieces[self._read - 1]


class _Batches:
    """A decoder for an answer whose events are known: each byte that it is fed stands for the next batch of them."""

    def __init__(self, batches: list[list[Event]]) -> None:
        self._left = iter(batches)

    def feed(self, data: bytes) -> list[Event]:
        return [event for _ in data for event in next(self._left, ())]

    def end(self) -> list[Event]:
        return []


def target_of(entry: Entry) -> Target:
    """Who gave the answer, as far as it is known; nothing can be sent there."""
    connection = Connection(
        id=entry.connection_id,
        name=entry.connection_id,
        provider=entry.provider,
        prefix=entry.provider,
        dialect=entry.dialect,
        paths={},
        headers=(),
    )
    return Target(connection, entry.model, entry.combo)


def replayed(entry: Entry, exchange: Exchange) -> Committed | None:
    """The entry as the answer to this request, streamed or whole as it asks, in its dialect. None if it cannot be read."""
    target, codec = target_of(entry), PROVIDERS[entry.dialect]
    is_native = exchange.caller.dialect == entry.dialect and not entry.names
    origin = Origin(entry.provider, exchange.request_id)
    try:
        if exchange.head.is_stream:
            return _streamed(entry, exchange, target, codec, origin, is_native=is_native)
        return _whole(entry, target, codec, origin, is_native=is_native)
    except BrokenAnswer:
        return None


def _streamed(
    entry: Entry, exchange: Exchange, target: Target, codec: ProviderCodec, origin: Origin, *, is_native: bool
) -> Committed:
    if not entry.is_stream:
        batches = batches_of(restored_answer(codec.decode_response(entry.body, origin), entry.names))
        decoder = _Batches(batches)
        told = replace(codec, make_decoder=lambda _: decoder)
        call = StoredCall([b"."] * (len(batches) - 1), "")
        return Committed(target, Asking(told, "", (), b"", is_native=False), call, b".")
    pieces = _cut(entry.body)
    asking = Asking(codec, "", (), b"", is_native=is_native, names=entry.names)
    call = StoredCall(pieces[1:], entry.content_type)
    hides_usage_chunk = not exchange.head.wants_usage
    return Committed(target, asking, call, pieces[0], hides_usage_chunk=hides_usage_chunk)


def _whole(entry: Entry, target: Target, codec: ProviderCodec, origin: Origin, *, is_native: bool) -> Committed:
    asking = Asking(codec, "", (), b"", is_native=is_native and not entry.is_stream)
    call = StoredCall([], "" if entry.is_stream else entry.content_type)
    if asking.is_native:
        return Committed(target, asking, call, entry.body, usage=entry.usage)
    answer = _gathered(entry, codec, origin) if entry.is_stream else codec.decode_response(entry.body, origin)
    answer = answer if entry.is_stream else restored_answer(answer, entry.names)
    return Committed(target, asking, call, entry.body, usage=answer.usage or entry.usage, answer=answer)


def _gathered(entry: Entry, codec: ProviderCodec, origin: Origin) -> Answer:
    """A stream as one answer, with the caller's own tool names."""
    decoder = codec.make_decoder(origin)
    events = decoder.feed(entry.body) + decoder.end()
    return answer_of(NameRestorer(entry.names).feed(events) if entry.names else events)


def _cut(body: bytes) -> list[bytes]:
    """Pieces of whole lines; at least one."""
    pieces: list[bytes] = []
    start = 0
    while start < len(body):
        end = body.find(b"\n\n", start + PIECE_BYTES)
        end = len(body) if end < 0 else end + 2
        pieces.append(body[start:end])
        start = end
    return pieces or [b""]


def head_of(committed: Committed, exchange: Exchange) -> Entry:
    """An answer as it is shared, but its body, its end and what it cost."""
    return entry_of(committed, exchange, b"", committed.usage, 0, 0.0)


def entry_of(
    committed: Committed, exchange: Exchange, body: bytes, usage: Usage | None, cost_nano_usd: int, ttl_s: float
) -> Entry:
    """An answer as it is kept for `ttl_s`; 0 = its end is not known yet."""
    target, asking, now = committed.target, committed.asking, time.time()
    return Entry(
        at=now,
        expires_at=now + ttl_s if ttl_s else 0.0,
        dialect=asking.codec.dialect,
        is_stream=exchange.head.is_stream,
        body=body,
        content_type=committed.call.headers.get("content-type", ""),
        provider=target.connection.provider,
        connection_id=target.connection.id,
        model=target.model,
        combo=target.combo,
        usage=usage,
        cost_nano_usd=cost_nano_usd,
        names=asking.names,
    )
