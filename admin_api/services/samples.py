"""Samples of requests that pass, for owners who watch them now: asked of the workers by a lease, heard, shown, kept nowhere.

Workers publish only while a lease lives (`gateway/accounting/monitor.py`); it is renewed here while somebody watches.
"""

import asyncio
from collections import deque
from typing import Any

import msgspec
import structlog
from redis.exceptions import RedisError

from admin_api.services.plane import Plane
from gateway.domain.sample import SAMPLE_ROWS, Sample, decode_sample
from gateway.state import keys

LEASE_S = 6
RENEW_S = 2.0
_RETRY_S = 1.0

log = structlog.get_logger()


class Samples:
    """Of one admin process. Runs from `watch()` until `stop()`."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._heard: deque[Sample] = deque(maxlen=SAMPLE_ROWS)
        self._missed = 0
        self._task: asyncio.Task[None] | None = None

    def watch(self) -> None:
        """Somebody watches."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="samples")

    def stop(self) -> None:
        """Nobody does any more. What was heard is forgotten; the lease ends by itself."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._heard.clear()
        self._missed = 0

    def take(self) -> dict[str, Any] | None:
        """What was heard since the last time, oldest first, and how many requests passed unseen."""
        if not self._heard and not self._missed:
            return None
        rows = [msgspec.to_builtins(one) for one in self._heard]
        taken = {"rows": rows, "missed": self._missed}
        self._heard.clear()
        self._missed = 0
        return taken

    async def _run(self) -> None:
        while True:
            try:
                async with self._plane.redis.pubsub(ignore_subscribe_messages=True) as news:
                    await news.subscribe(keys.SAMPLES)
                    while True:
                        await self._plane.redis.publish(keys.NEWS, f"watch:{LEASE_S}")
                        await self._listen(news)
            except (RedisError, OSError, TimeoutError) as error:
                log.info("samples_away", error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(_RETRY_S)

    async def _listen(self, news: Any) -> None:
        """Until the lease is to be renewed."""
        loop = asyncio.get_running_loop()
        until = loop.time() + RENEW_S
        while (left_s := until - loop.time()) > 0:
            message = await news.get_message(timeout=left_s)
            if message is None:
                continue
            sample = decode_sample(message["data"])
            if sample is None:
                continue
            self._missed += sample.skipped + (len(self._heard) == SAMPLE_ROWS)
            self._heard.append(sample)
