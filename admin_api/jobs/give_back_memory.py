"""What a large batch, page or backup took and no longer needs goes back to the system.

glibc keeps freed blocks that lie below one in use, however large they are together, and the supervisor tells it to keep 32 MB at
the end too, which is for the workers' bodies. Here the largest thing ever done would stay for good.
"""

import asyncio
import ctypes
from collections.abc import Callable

EVERY_S = 60.0


class GiveBackMemoryJob:
    """Does nothing where the C library has no `malloc_trim` (musl, macOS)."""

    def __init__(self) -> None:
        self._trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)

    async def __call__(self) -> None:
        if self._trim is not None:
            await asyncio.to_thread(self._trim, 0)  # ctypes lets go of the GIL
