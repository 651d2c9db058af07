"""A transport that plays scripts at the seam: what each call gives, and when; it notes what was asked and cancelled."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from gateway.upstream.seam import FaultKind, Transport, UpstreamCall, UpstreamFault, UpstreamRequest

Step = Callable[[UpstreamCall], None] | float


def head(status: int = 200, **headers: str) -> Step:
    lines = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda call: call.feed_head(status, lines)


def data(*chunks: bytes) -> Step:
    """All chunks at once, before the reader wakes."""

    def feed(call: UpstreamCall) -> None:
        for chunk in chunks:
            call.feed(chunk)

    return feed


def end() -> Step:
    return lambda call: call.feed_end()


def cut(kind: FaultKind = "reset") -> Step:
    return lambda call: call.feed_end(UpstreamFault(kind, f"scripted {kind}"))


def whole(status: int, body: bytes, **headers: str) -> list[Step]:
    return [head(status, **headers), *([data(body)] if body else []), end()]


def stream(*events: bytes) -> list[Step]:
    """A good stream, event by event."""
    return [head(content_type="text/event-stream"), *[step for event in events for step in (data(event), 0.0)], end()]


class ScriptedTransport(Transport):
    """Scripts by connection name; the last one of a list is used for good. A float is a pause, in seconds."""

    def __init__(self, scripts: Mapping[str, Any]) -> None:
        self._scripts = {name: list(one) for name, one in scripts.items()}
        self.requests: list[UpstreamRequest] = []
        self.calls: list[UpstreamCall] = []
        self.cancelled: list[UpstreamCall] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, request: UpstreamRequest) -> UpstreamCall:
        self.requests.append(request)
        scripts = self._scripts[request.connection.name]
        script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
        if isinstance(script, UpstreamFault):
            raise script
        call: UpstreamCall = UpstreamCall(lambda: self.cancelled.append(call), lambda: None)
        self.calls.append(call)
        self._tasks.append(asyncio.get_running_loop().create_task(self._play(call, script)))
        return call

    async def _play(self, call: UpstreamCall, script: list[Step]) -> None:
        for step in script:
            await asyncio.sleep(step if isinstance(step, float) else 0)
            if call.is_over:
                return
            if not isinstance(step, float):
                step(call)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
