"""The IP filter where the admin process listens by itself. Where workers relay to it they have asked already.

The rules are read again every second; while SQL is away those that were read last count. While Redis is away nobody is refused
for the number of his requests.
"""

import asyncio
from collections.abc import Callable

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from admin_api.store.database import Database
from admin_api.store.faults import FAILURES
from admin_api.store.settings import settings_rows
from gateway.admission.gate import Gate, gate_of
from gateway.domain.ip_filter import IpFilter
from gateway.state import keys
from gateway.state.resp import Script

NAME = "ipFilter"
FRESH_S = 1.0
_TRIP_S = 0.5
_COUNT = Script("address_minute").text.decode()


class AddressFilter:
    """`now` is unix seconds."""

    def __init__(self, database: Database, redis: Redis, now: Callable[[], float]) -> None:
        self._database = database
        self._redis = redis
        self._now = now
        self._gate: Gate | None = None
        self._read_at = float("-inf")

    async def refuses(self, address: str) -> bool:
        """Whether the address may not come in at all."""
        gate = await self._current()
        return gate is not None and bool(gate.judge(address, self._now()))

    async def wait_s(self, address: str) -> float:
        """Count a request; seconds until there is room again, 0 = there is."""
        gate = await self._current()
        if gate is None or not gate.rpm:
            return 0.0
        try:
            async with asyncio.timeout(_TRIP_S):
                return float(await self._redis.eval(_COUNT, 1, keys.address_minute(address), str(gate.rpm)))
        except (RedisError, OSError, TimeoutError):
            return 0.0

    async def _current(self) -> Gate | None:
        now = self._now()
        if not 0 <= now - self._read_at < FRESH_S:
            self._read_at = now
            try:
                async with self._database.read() as connection:
                    row = await settings_rows.get(connection, NAME)
            except FAILURES:
                return self._gate
            self._gate = gate_of(msgspec.convert(row.value, IpFilter)) if row is not None else None
        return self._gate
