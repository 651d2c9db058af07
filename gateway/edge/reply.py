"""Write answers over ASGI: whole ones with their length, streams part by part."""

from collections.abc import Awaitable, Callable
from typing import Any

from gateway.domain.reply import Headers

Send = Callable[[dict[str, Any]], Awaitable[None]]


class AsgiReply:
    """One answer. `common` headers go on every answer (request id, CORS)."""

    __slots__ = ("_common", "_is_head_only", "_send", "bytes_out", "has_started")

    def __init__(self, send: Send, common: Headers, *, is_head_only: bool = False) -> None:
        self._send = send
        self._common = common
        self._is_head_only = is_head_only
        self.has_started = False
        self.bytes_out = 0

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        self.has_started = True
        headers += self._common
        headers.append((b"content-length", b"%d" % len(body)))
        self.bytes_out = len(body)
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": b"" if self._is_head_only else body})

    async def start(self, status: int, headers: Headers) -> None:
        self.has_started = True
        headers += self._common
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, data: bytes) -> None:
        self.bytes_out += len(data)
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def finish(self, data: bytes = b"") -> None:
        self.bytes_out += len(data)
        await self._send({"type": "http.response.body", "body": data, "more_body": False})
