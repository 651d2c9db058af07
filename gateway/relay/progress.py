"""Progress events: how far a streamed answer is, told every few seconds to a caller who asked by `X-OmniRoute-Progress: true`.

They go out between whole events, also while the provider is silent: the watch's nudge wakes the reader, who writes one.
Only streams of server-sent events have them: a JSON array or lines of JSON have no room for events of ours.
"""

import time

from gateway.dialects.codec import CallerCodec, Tap
from gateway.dialects.sse import EventSplitter
from gateway.domain.reply import Reply
from gateway.relay.exchange import Exchange


class Progress:
    """Of one streamed answer. `tap` is None until it has begun; `is_torn` while half an event has been sent."""

    __slots__ = ("_exchange", "_reply", "every_s", "is_torn", "tap")

    def __init__(self, exchange: Exchange, reply: Reply, every_s: float) -> None:
        self._exchange = exchange
        self._reply = reply
        self.every_s = every_s
        self.tap: Tap | None = None
        self.is_torn = False

    def begin(self, tap: Tap) -> None:
        """The answer flows from now on: the nudge of the watch is ours."""
        self.tap = tap
        watch = self._exchange.watch
        watch.on_nudge = self._nudge
        watch.nudge_due = time.monotonic() + self.every_s
        if self._exchange.call is not None:
            self._exchange.call.on_nudge = self._tell

    def early(self) -> bytes:
        """While nothing has come yet. Clients of Responses want `response.created` first: they get a comment."""
        caller = self._exchange.caller
        return caller.keep_alive if caller.dialect == "openai_responses" else self.event()

    def event(self, *, is_done: bool = False) -> bytes:
        """One event of the caller's dialect. Tokens are pieces so far; at the end the provider's count, if it told one."""
        tap = self.tap
        tokens = tap.chunks if tap is not None else 0
        if is_done and tap is not None and tap.usage is not None:
            tokens = tap.usage.output
        elapsed_ms = int((time.monotonic() - self._exchange.started_at) * 1000)
        told = b'"tokens_generated":%d,"elapsed_ms":%d' % (tokens, elapsed_ms)
        return self._exchange.caller.progress % (told + b',"done":true' * is_done)

    def with_last(self, last: bytes) -> bytes:
        """The end of an answer with the last progress event before its terminator; after all where there is none."""
        event = self.event(is_done=True)
        if not has_terminator(self._exchange.caller):
            return last + event
        splitter = EventSplitter()
        events = splitter.feed(last)
        if not events:
            return event + last
        return b"".join((*events[:-1], event, events[-1], splitter.rest))

    def _nudge(self) -> None:
        """It stays due until the reader has told it: one that waits for the caller is not woken."""
        if self._exchange.call is not None:
            self._exchange.call.nudge()

    async def _tell(self) -> None:
        watch = self._exchange.watch
        watch.nudge_due = time.monotonic() + self.every_s
        if not self.is_torn:
            watch.sending_since = time.monotonic()
            await self._reply.write(self.event())
            watch.sending_since = 0.0


def has_terminator(caller: CallerCodec) -> bool:
    """Whether streams of the dialect end with an event of its own; Gemini's just end."""
    return caller.dialect != "gemini"
