"""Requests a minute from one address, counted for all workers. Asked only where an operator has set such a limit.

An address that is over it is refused here until it has room again, without a trip: who floods costs Redis nothing.
While Redis is away nobody is refused for this.
"""

from collections.abc import Callable

from gateway.domain.errors import AddressOverLimit
from gateway.state import keys
from gateway.state.resp import RespClient, Script, StateAway

MAX_REFUSED = 20_000

_COUNT = Script("address_minute")


class AddressLimits:
    """`clock` is monotonic seconds. `refused` is its cache: address -> instant until which it is refused."""

    def __init__(self, redis: RespClient, clock: Callable[[], float]) -> None:
        self._redis = redis
        self._clock = clock
        self.refused: dict[str, float] = {}

    async def take(self, address: str, rpm: int) -> None:
        """Count a request. Raises AddressOverLimit."""
        until = self.refused.get(address)
        if until is not None:
            left = until - self._clock()
            if left > 0:
                raise AddressOverLimit(rpm, left)
            del self.refused[address]
        try:
            wait_s = await self._redis.run(_COUNT, (keys.address_minute(address),), (rpm,))
        except StateAway:
            return
        if isinstance(wait_s, int) and wait_s > 0:
            if len(self.refused) >= MAX_REFUSED:
                del self.refused[next(iter(self.refused))]
            self.refused[address] = self._clock() + wait_s
            raise AddressOverLimit(rpm, float(wait_s))
