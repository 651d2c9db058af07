"""Hear which answers workers keep in the cache store, so that what nobody kept is not looked for there."""

import asyncio
import random
from typing import cast

import redis.asyncio
import redis.exceptions
import structlog

from gateway.cache.known import Known, told_of
from gateway.runtime import RuntimeHolder
from gateway.state import keys
from gateway.state.client import make_client
from gateway.state.resp import RespClient, StateAway

_log = structlog.get_logger()

ECHO_S = 2.0
"""A worker speaks to itself so often; what it does not hear back in as long, others may have said in vain."""
RECONNECT_S = 1.0
FULL_S = 300.0
"""A store with more than can be known is counted again after so long."""
_SCANNED = 1000
"""Names asked for at once: 0.2 ms of the store's time."""


class KeptNews:
    """`url` and `redis` are the cache store's; what is kept is told by `redis`, so its echo is too. As long as `run` hears all, `known` is whole."""

    def __init__(
        self,
        url: str,
        redis: RespClient,
        known: Known,
        runtimes: RuntimeHolder,
        worker: str,
        *,
        echo_s: float = ECHO_S,
        reconnect_s: float = RECONNECT_S,
    ) -> None:
        self._url = url
        self._redis = redis
        self._known = known
        self._runtimes = runtimes
        self._own = keys.kept_echo(worker)
        self._echo_s = echo_s
        self._reconnect_s = reconnect_s

    async def run(self) -> None:
        while True:
            if self._is_wanted():
                try:
                    await self._follow()
                except (redis.exceptions.RedisError, StateAway, OSError, TimeoutError) as error:
                    _log.debug("kept_news_away", cause=type(error).__name__)
                finally:
                    is_full = self._known.is_full
                    self._known.clear()
                if is_full:
                    await asyncio.sleep(FULL_S)
            await asyncio.sleep(self._reconnect_s * random.uniform(0.8, 1.2))

    def _is_wanted(self) -> bool:
        return self._runtimes.is_ready and self._runtimes.current().caching is not None

    async def _follow(self) -> None:
        """Until the cache is switched off, or more is kept than can be known. Raises what redis-py does, StateAway and TimeoutError."""
        client = make_client(self._url, socket_connect_timeout=2.0, socket_timeout=self._echo_s)
        async with client, client.pubsub() as news:
            await news.subscribe(keys.KEPT, self._own)
            for _ in range(2):  # from its answers on nothing is missed
                if await news.get_message(timeout=self._echo_s) is None:
                    raise TimeoutError
            await self._scan(client)
            await self._listen(news)

    async def _scan(self, client: "redis.asyncio.Redis") -> None:
        cursor, pattern = 0, keys.CACHED_ANSWERS + "*"
        while True:
            cursor, found = await client.scan(cursor, match=pattern, count=_SCANNED)
            names = (name.decode() for name in cast("list[bytes]", found))
            self._known.add(told_of(name.rpartition(":")[2] for name in names))
            if not cursor or self._known.is_full:
                return

    async def _listen(self, news: "redis.asyncio.client.PubSub") -> None:
        loop, own = asyncio.get_running_loop(), self._own.encode()
        asked_at, is_asked = loop.time(), True
        self._redis.send("PUBLISH", self._own, b"")
        while self._is_wanted() and not self._known.is_full:
            left_s = max(0.0, asked_at + self._echo_s - loop.time())
            message = await news.get_message(ignore_subscribe_messages=True, timeout=left_s)
            if message is not None and message["channel"] == own:
                is_asked, self._known.is_whole = False, True
            elif message is not None:
                self._known.add(message["data"])
            if loop.time() - asked_at >= self._echo_s:
                if is_asked:
                    raise TimeoutError
                asked_at, is_asked = loop.time(), True
                self._redis.send("PUBLISH", self._own, b"")
