"""What keys have spent, for the control plane: read, and raised to what the ledger knows after Redis has lost it."""

from collections.abc import Sequence

from redis.asyncio import Redis

from gateway.domain.budget import Period
from gateway.state import keys
from gateway.state.resp import Script

_RAISE_SPENT = Script("raise_spent").text.decode()


async def read_spent(redis: Redis, counters: Sequence[tuple[str, Period]]) -> list[int]:
    """Nano-dollars of each (key digest, period), in their order. Raises redis.exceptions.RedisError."""
    pipeline = redis.pipeline(transaction=False)
    for digest, period in counters:
        pipeline.hget(keys.key_money(digest, period.name), "spent")
    return [int(spent or 0) for spent in await pipeline.execute()]


async def read_tiers_spent(redis: Redis, counters: Sequence[tuple[str, Period]]) -> list[int]:
    """Nano-dollars of each (tier, period), in their order. Raises redis.exceptions.RedisError."""
    pipeline = redis.pipeline(transaction=False)
    for tier, period in counters:
        pipeline.hget(keys.tier_money(tier, period.name), "spent")
    return [int(spent or 0) for spent in await pipeline.execute()]


async def raise_spent(redis: Redis, digest: str, period: Period, nano_usd: int, now: float) -> int:
    """Bring a counter up to `nano_usd`; gives by how much it rose. Raises redis.exceptions.RedisError."""
    lifetime = max(1, int(period.ends_at - now) + keys.PERIOD_SLACK_S) if period.ends_at else 0
    name = keys.key_money(digest, period.name)
    return int(await redis.eval(_RAISE_SPENT, 1, name, str(nano_usd), str(lifetime)))


async def is_money_known(redis: Redis) -> bool:
    """Whether this server has been compared with the ledger since it was last empty."""
    return bool(await redis.exists(keys.MONEY_COMPARED))


async def note_money_known(redis: Redis) -> None:
    await redis.set(keys.MONEY_COMPARED, "1")
