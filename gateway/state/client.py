"""redis-py's client for everything off the request path, at the same addresses as the hot path's client."""

from typing import Any

from redis.asyncio import Connection, ConnectionPool, Redis
from redis.exceptions import ReadOnlyError

from gateway.state.address import Address, find_primary


class _ToPrimary(Connection):
    """A connection to whichever server the Sentinels call primary now."""

    def __init__(self, *, address: Address, **options: Any) -> None:
        self._address = address
        super().__init__(**options)

    async def connect_check_health(self, check_health: bool = True, retry_socket_connect: bool = True) -> None:
        if not self.is_connected:
            self.host, self.port = await find_primary(self._address)
        await super().connect_check_health(check_health, retry_socket_connect)

    async def read_response(self, *arguments: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*arguments, **options)
        except ReadOnlyError:  # it is a replica now: the next command asks where the primary is
            await self.disconnect()
            raise


def make_client(url: str, **options: Any) -> Redis:
    """A client of the server that `url` names (`state/address.py`); `options` are redis-py's of a connection pool."""
    address = Address(url)
    if not address.sentinels:
        return Redis.from_url(url, **options)
    pool = ConnectionPool(
        connection_class=_ToPrimary,
        address=address,
        db=address.db,
        username=address.username or None,
        password=address.password or None,
        **options,
    )
    return Redis.from_pool(pool)
