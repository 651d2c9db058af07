"""The way back to the caller, as the journey sees it. `edge/reply.py` implements it over ASGI."""

from typing import Protocol

Headers = list[tuple[bytes, bytes]]


class Reply(Protocol):
    """One answer. `start` is called once; after it the status can no longer change."""

    @property
    def has_started(self) -> bool: ...

    @property
    def bytes_out(self) -> int:
        """Body bytes handed to the server so far."""
        ...

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a complete answer with its length."""
        ...

    async def start(self, status: int, headers: Headers) -> None:
        """Send the head of a streamed answer."""
        ...

    async def write(self, data: bytes) -> None:
        """Send a part; waits while the caller does not read (back-pressure)."""
        ...

    async def finish(self, data: bytes = b"") -> None:
        """Send the last part and end the answer."""
        ...
