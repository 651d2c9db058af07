"""Read a request body into memory, within bounds; throw away what is over them so that the answer can arrive."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from gateway.domain.errors import BadRequest, BodyTooLarge, CallerGone, RequestTimeout, UnsupportedBody

Receive = Callable[[], Awaitable[dict[str, Any]]]

MAX_BODY_BYTES = 32 * 1024 * 1024
MAX_THROWN_AWAY_BYTES = 64 * 1024 * 1024
THROW_AWAY_S = 10.0
BODY_TIMEOUT_S = 60.0
"""Between the head and the last byte of a body; a slow sender holds no memory for longer."""


class BodyReader:
    """Reads the bodies of one worker's requests. One timer looks after all that are on their way: a timer a body cost 6 µs."""

    def __init__(self, timeout_s: float = BODY_TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._due: dict[asyncio.Task[Any], float] = {}
        """By the task that waits, in the order in which they fall due."""
        self._late: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        """Kept, as asking for it is a system call each time in CPython 3.11."""

    @property
    def waiting(self) -> int:
        """Bodies on their way."""
        return len(self._due)

    async def read(self, receive: Receive, content_length: bytes, content_encoding: bytes) -> bytes:
        """The whole body. Raises BodyTooLarge, UnsupportedBody, BadRequest, RequestTimeout, CallerGone."""
        if content_encoding and content_encoding.strip().lower() != b"identity":
            await throw_away(receive)
            raise UnsupportedBody(
                "compressed request bodies are not accepted: send the JSON as it is",
                code="unsupported_content_encoding",
            )
        if content_length and not content_length.isdigit():
            raise BadRequest("content-length must be a number", code="invalid_content_length")
        if content_length and int(content_length) > MAX_BODY_BYTES:
            await throw_away(receive)
            raise _too_large()
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None
        self._due[task] = time.monotonic() + self._timeout_s
        if self._timer is None:
            self._timer = loop.call_later(self._timeout_s, self._check)
        try:
            return await _read_whole(receive, content_length)
        except asyncio.CancelledError as error:
            if task not in self._late:
                raise
            task.uncancel()
            raise RequestTimeout(f"the request body did not arrive within {self._timeout_s:.0f} s") from error
        finally:
            self._due.pop(task, None)
            self._late.discard(task)

    def _check(self) -> None:
        now = time.monotonic()
        while self._due:
            task, due = next(iter(self._due.items()))
            if due > now:
                self._timer = asyncio.get_running_loop().call_later(due - now, self._check)
                return
            del self._due[task]
            self._late.add(task)
            task.cancel()
        self._timer = None


async def _read_whole(receive: Receive, content_length: bytes) -> bytes:
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise _too_large()
        return body
    first: bytes = message.get("body", b"")
    if content_length and len(first) == int(content_length):
        return first  # whole already: granian only adds an empty last message
    return await _read_parts(receive, message)


async def throw_away(receive: Receive) -> None:
    """Read on and forget, at most 64 MiB or 10 s: a caller that still sends would not see the answer."""
    size = 0
    try:
        async with asyncio.timeout(THROW_AWAY_S):
            while size < MAX_THROWN_AWAY_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
    except TimeoutError:
        return


async def _read_parts(receive: Receive, message: dict[str, Any]) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        if message["type"] != "http.request":
            raise CallerGone
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            parts.clear()
            if message.get("more_body", False):
                await throw_away(receive)
            raise _too_large()
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await receive()


def _too_large() -> BodyTooLarge:
    return BodyTooLarge(f"the request body is larger than {MAX_BODY_BYTES // (1024 * 1024)} MiB")
