"""Read a request body into memory, within bounds; throw away what is over them, so that a caller gets to read its answer."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from gateway.domain.errors import BadRequest, BodyTooLarge, CallerGone, GatewayError, RequestTimeout, UnsupportedBody

Receive = Callable[[], Awaitable[dict[str, Any]]]
Refusal = TypeVar("Refusal", bound=GatewayError)

MAX_BODY_BYTES = 32 * 1024 * 1024
MAX_THROWN_AWAY_BYTES = 64 * 1024 * 1024
THROW_AWAY_S = 10.0
BODY_TIMEOUT_S = 60.0
"""Between the head and the last byte of a body; a slow sender holds no memory for longer."""


class _Limit:
    """Cancels tasks that wait for longer. One timer looks after all of them: a timer each cost 6 µs."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self.due: dict[asyncio.Task[Any], float] = {}
        """By the task that waits, in the order in which they fall due."""
        self._late: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        """Kept, as asking for it is a system call each time in CPython 3.11."""

    def begin(self) -> asyncio.Task[Any]:
        """For the task that asks, until it calls `end`."""
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None
        self.due[task] = time.monotonic() + self.timeout_s
        if self._timer is None:
            self._timer = loop.call_later(self.timeout_s, self._check)
        return task

    def was_late(self, task: asyncio.Task[Any]) -> bool:
        """Whether a cancellation of the task is this limit's; then the task goes on."""
        if task not in self._late:
            return False
        task.uncancel()
        return True

    def end(self, task: asyncio.Task[Any]) -> None:
        self.due.pop(task, None)
        self._late.discard(task)

    def _check(self) -> None:
        now = time.monotonic()
        while self.due:
            task, due = next(iter(self.due.items()))
            if due > now:
                self._timer = asyncio.get_running_loop().call_later(due - now, self._check)
                return
            del self.due[task]
            self._late.add(task)
            task.cancel()
        self._timer = None


class BodyReader:
    """Reads the bodies of one worker's requests, and throws away those of requests that are refused."""

    def __init__(self, timeout_s: float = BODY_TIMEOUT_S, throw_away_s: float = THROW_AWAY_S) -> None:
        self._limit = _Limit(timeout_s)
        self._thrown = _Limit(throw_away_s)

    @property
    def waiting(self) -> int:
        """Bodies on their way."""
        return len(self._limit.due)

    async def read(self, receive: Receive, content_length: bytes, content_encoding: bytes) -> bytes:
        """The whole body. Raises BodyTooLarge, UnsupportedBody, BadRequest, RequestTimeout, CallerGone."""
        if content_encoding and content_encoding.strip().lower() != b"identity":
            raise unread(
                UnsupportedBody(
                    "compressed request bodies are not accepted: send the JSON as it is",
                    code="unsupported_content_encoding",
                )
            )
        if content_length and not content_length.isdigit():
            raise BadRequest("content-length must be a number", code="invalid_content_length")
        if content_length and int(content_length) > MAX_BODY_BYTES:
            raise unread(_too_large())
        task = self._limit.begin()
        try:
            body = await _read_whole(receive, content_length)
        except asyncio.CancelledError as error:
            if not self._limit.was_late(task):
                raise
            raise RequestTimeout(f"the request body did not arrive within {self._limit.timeout_s:.0f} s") from error
        finally:
            self._limit.end(task)
        if body is None:
            raise unread(_too_large())
        if len(body) > MAX_BODY_BYTES:
            raise _too_large()
        return body

    async def throw_away(self, receive: Receive, content_length: bytes = b"") -> None:
        """Read on and forget, at most 64 MiB or 10 s: most callers send all before they read the answer that waits for them."""
        task, size = self._thrown.begin(), 0
        try:
            while size < MAX_THROWN_AWAY_BYTES:
                message = await receive()
                part = message.get("body", b"")
                size += len(part)
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                if content_length and size == len(part) and content_length == b"%d" % size:
                    return  # whole already: granian only adds an empty last message
        except asyncio.CancelledError:
            if not self._thrown.was_late(task):
                raise
        finally:
            self._thrown.end(task)


def unread(error: Refusal) -> Refusal:
    """The error, marked: the body of its request, or the rest of it, is to be thrown away."""
    error.is_body_unread = True
    return error


async def _read_whole(receive: Receive, content_length: bytes) -> bytes | None:
    """None: there is more than may be read."""
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        return body
    first: bytes = message.get("body", b"")
    if content_length and len(first) == int(content_length):
        return first  # whole already: granian only adds an empty last message
    return await _read_parts(receive, message)


async def _read_parts(receive: Receive, message: dict[str, Any]) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    while True:
        if message["type"] != "http.request":
            raise CallerGone
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES and message.get("more_body", False):
            return None
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await receive()


def _too_large() -> BodyTooLarge:
    return BodyTooLarge(f"the request body is larger than {MAX_BODY_BYTES // (1024 * 1024)} MiB")
