"""How often somebody may guess a password, of all admin processes together. Bounded; who failed longest ago is forgotten first.

While Redis is away each process counts for itself.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.state.logins_admin import Limit, count_login, forget_logins, read_logins

FAILURES = 5
WINDOW_S = 300.0
"""Of one address: so many wrong passwords in so long; then it waits until the first of them is as old."""

ACCOUNT_FAILURES = 20
ACCOUNT_WINDOW_S = 900.0
"""Of one account, from wherever: more, because anybody can bring it about."""

_LIMITS = {"address": (FAILURES, WINDOW_S), "account": (ACCOUNT_FAILURES, ACCOUNT_WINDOW_S)}

MAX_PEERS = 10_000
_TRIP_S = 1.0

Kind = Literal["address", "account"]


class LockOut(msgspec.Struct, frozen=True):
    """Who has to wait, and for how many seconds."""

    kind: Kind
    who: str
    wait_s: float


class LoginTries:
    """Failed log-ins by address and by account. A try counts as a failure until it is forgiven, so tries at once count too."""

    def __init__(self, redis: Redis, now: Callable[[], float]) -> None:
        self._redis = redis
        self._here: dict[Kind, LoginThrottle] = {
            "address": LoginThrottle(now),
            "account": LoginThrottle(now, ACCOUNT_FAILURES, ACCOUNT_WINDOW_S),
        }

    async def count(self, address: str, account: str = "", *, may_lock_account: bool = True) -> LockOut | None:
        """Count a try, or say who has to wait; then nothing is counted. Without an `account` the address alone counts."""
        limits = [_limit("address", address)]
        if account:
            limits.append(_limit("account", account, may_have_to_wait=may_lock_account))
        try:
            async with asyncio.timeout(_TRIP_S):
                late, wait_s = await count_login(self._redis, limits)
        except (RedisError, OSError, TimeoutError):
            return self._count_here(limits)
        return LockOut(*_split(late.who), wait_s) if late is not None else None

    async def forgive(self, *, address: str = "", account: str = "") -> None:
        """They begin anew."""
        named: tuple[tuple[Kind, str], ...] = (("address", address), ("account", account))
        who = [(kind, name) for kind, name in named if name]
        for kind, name in who:
            self._here[kind].report_success(name)
        try:
            async with asyncio.timeout(_TRIP_S):
                await forget_logins(self._redis, [f"{kind}:{name}" for kind, name in who])
        except (RedisError, OSError, TimeoutError):
            return

    async def locked(self) -> list[LockOut]:
        """Who has to wait now, the longest first."""
        try:
            async with asyncio.timeout(_TRIP_S):
                now, tries = await read_logins(self._redis)
        except (RedisError, OSError, TimeoutError):
            found = [
                LockOut(kind, who, wait_s) for kind in self._here for who, wait_s in self._here[kind].locked().items()
            ]
        else:
            found = [
                LockOut(kind, who, wait_s)
                for (kind, who), times in ((_split(field), times) for field, times in tries.items())
                if (wait_s := _wait_s(kind, times, now)) > 0
            ]
        return sorted(found, key=lambda one: -one.wait_s)

    def _count_here(self, limits: Sequence[Limit]) -> LockOut | None:
        named = [(*_split(limit.who), limit.may_have_to_wait) for limit in limits]
        for kind, who, may_have_to_wait in named:
            if may_have_to_wait and (wait_s := self._here[kind].wait_s(who)):
                return LockOut(kind, who, wait_s)
        for kind, who, _ in named:
            self._here[kind].report_failure(who)
        return None


def _limit(kind: Kind, who: str, *, may_have_to_wait: bool = True) -> Limit:
    most, window_s = _LIMITS[kind]
    return Limit(f"{kind}:{who}", most, window_s, may_have_to_wait)


def _split(field: str) -> tuple[Kind, str]:
    kind, _, who = field.partition(":")
    return "address" if kind == "address" else "account", who


def _wait_s(kind: Kind, times: Sequence[float], now: float) -> float:
    most, window_s = _LIMITS[kind]
    recent = [at for at in times if at > now - window_s]
    return recent[0] + window_s - now if len(recent) >= most else 0.0


class LoginThrottle:
    """Counts failed log-ins by address, or by account, in this process alone."""

    def __init__(self, now: Callable[[], float], failures: int = FAILURES, window_s: float = WINDOW_S) -> None:
        self._now = now
        self._most = failures
        self._window_s = window_s
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    def wait_s(self, who: str) -> float:
        """Seconds until they may try again; 0 = now."""
        failures = self._failures.get(who)
        if failures is None:
            return 0.0
        while failures and failures[0] <= self._now() - self._window_s:
            failures.popleft()
        return max(0.0, failures[0] + self._window_s - self._now()) if len(failures) >= self._most else 0.0

    def report_failure(self, who: str) -> None:
        self._failures.setdefault(who, deque(maxlen=self._most)).append(self._now())
        self._failures.move_to_end(who)
        if len(self._failures) > MAX_PEERS:
            self._failures.popitem(last=False)

    def report_success(self, who: str) -> None:
        self._failures.pop(who, None)

    def locked(self) -> dict[str, float]:
        """Who has to wait now, and for how many seconds."""
        return {who: wait_s for who in tuple(self._failures) if (wait_s := self.wait_s(who))}
