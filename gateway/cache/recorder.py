"""Keeps what passes on its way to a caller, so that it can be served again. Nothing is copied while it passes."""


class Recorder:
    """References to the bytes of one answer, at most `max_bytes` of them; beyond that it lets go of all."""

    __slots__ = ("_left", "_parts", "is_too_large")

    def __init__(self, max_bytes: int) -> None:
        self._parts: list[bytes] = []
        self._left = max_bytes
        self.is_too_large = False

    def add(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left >= 0:
            self._parts.append(data)
        elif not self.is_too_large:
            self.is_too_large = True
            self._parts.clear()

    def body(self) -> bytes:
        return b"".join(self._parts)
