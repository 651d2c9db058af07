"""How targets stand with this worker: what rests, how fast they answered, how much they were used. The planner's `View`.

What rests is shared (`state/rests.py`). Speeds, uses and open requests are counted here as they happen and told to the other
workers a few times a second (`hearsay.py`), so each goes by what all of them saw. All tables are bounded.
"""

import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet

import msgspec

from gateway.domain.target import Connection, Target, target_id
from gateway.routing.speed import Speed, measured, with_open
from gateway.routing.told import Told
from gateway.state.rests import Rests

MAX_SPEEDS = 20_000
MAX_UNTOLD = 5_000
"""Targets whose news wait to be told; of more, what is new is not told."""
MAX_OTHERS = 1_000
"""Workers whose open requests are known."""
USES_S = 60.0
"""Uses are counted over one to two such spans."""
LEAST_TOKENS = 8
"""An answer with fewer says nothing of the time a token takes."""


class _News(msgspec.Struct):
    """What is not told yet of one target."""

    connection_id: str
    provider: str
    model: str
    uses: int = 0
    ttft_ms: float | None = None
    per_token_ms: float | None = None
    at: float = 0.0
    paced_at: float = 0.0


class _Other(msgspec.Struct):
    """Another worker: when it was heard last, and its open requests by target."""

    heard_at: float
    open: dict[str, int]


class Standing:
    """One worker's beliefs."""

    def __init__(self, rests: Rests, is_spent: Callable[[str], bool] = lambda tier: False) -> None:
        self._rests = rests
        self._is_spent = is_spent
        self._speeds: dict[str, Speed] = {}
        """`open` of each is the sum over all workers."""
        self._open: dict[str, int] = {}
        self._untold: dict[str, _News] = {}
        self._others: dict[str, _Other] = {}
        self._uses: dict[str, int] = {}
        self._model_uses: dict[tuple[str, str], int] = {}
        self._uses_before: dict[str, int] = {}
        self._model_uses_before: dict[tuple[str, str], int] = {}
        self._turned_at = time.monotonic()
        self.used_at = -USES_S
        """When a request had a choice last, s."""

    @property
    def speeds(self) -> int:
        return len(self._speeds)

    @property
    def untold(self) -> int:
        """Targets with news that wait to be told."""
        return len(self._untold)

    @property
    def heard_of(self) -> int:
        """Other workers that have told something lately."""
        return len(self._others)

    @property
    def has_open(self) -> bool:
        return bool(self._open)

    # -- what the planner asks -----------------------------------------------------------------------------------------

    @property
    def is_calm(self) -> bool:
        return not self._rests.resting

    @property
    def known(self) -> AbstractSet[str]:
        return self._rests.subjects.keys()

    def resting(self, connection: Connection, model: str) -> bool:
        rest = self._rests.is_resting(connection, model)
        return rest is not None and not rest.may_probe

    def rest_s(self, connection: Connection, model: str) -> float:
        rest = self._rests.is_resting(connection, model)
        return 0.0 if rest is None else max(0.0, rest.left_s)

    def speed(self, connection: Connection, model: str) -> Speed | None:
        return self._speeds.get(target_id(connection.id, model))

    def uses(self, connection: Connection) -> int:
        return self._uses.get(connection.id, 0) + self._uses_before.get(connection.id, 0)

    def model_uses(self, provider: str, model: str) -> int:
        return self._model_uses.get((provider, model), 0) + self._model_uses_before.get((provider, model), 0)

    def spent(self, tier: str) -> bool:
        return self._is_spent(tier)

    # -- what the relay tells ------------------------------------------------------------------------------------------

    def begun(self, target: Target) -> None:
        """A request starts there."""
        connection = target.connection
        name = target_id(connection.id, target.model)
        self._set(name, with_open(self._speeds.get(name), 1))
        self._open[name] = self._open.get(name, 0) + 1
        self.used_at = now = time.monotonic()
        self._turn(now)
        self._count(connection.id, connection.provider, target.model, 1)
        news = self._news_of(name, connection.id, connection.provider, target.model)
        news.uses += 1

    def ended(self, target: Target) -> None:
        """It ended there, well or not."""
        connection = target.connection
        name = target_id(connection.id, target.model)
        self._speeds[name] = with_open(self._speeds.get(name), -1)
        left = self._open.pop(name, 0) - 1
        if left > 0:
            self._open[name] = left
        self._news_of(name, connection.id, connection.provider, target.model)

    def answered(self, target: Target, first_s: float, rest_s: float, tokens: int) -> None:
        """It answered: seconds to the first useful byte, and, told once more at the end, from there for so many tokens.

        The first byte of a long answer was long ago, so what it took is counted only when `rest_s` is 0: when it came.
        """
        connection, now = target.connection, time.monotonic()
        name = target_id(connection.id, target.model)
        first_ms = first_s * 1000 if rest_s <= 0 else None
        per_token_ms = rest_s * 1000 / tokens if tokens >= LEAST_TOKENS and rest_s > 0 else None
        self._speeds[name] = measured(self._speeds.get(name), first_ms, per_token_ms, now)
        news = self._news_of(name, connection.id, connection.provider, target.model)
        if first_ms is not None and first_ms >= (news.ttft_ms or 0.0):
            news.ttft_ms, news.at = first_ms, now
        if per_token_ms is not None and per_token_ms >= (news.per_token_ms or 0.0):
            news.per_token_ms, news.paced_at = per_token_ms, now

    # -- what workers tell each other ----------------------------------------------------------------------------------

    def take_untold(self, most: int, now: float) -> list[Told]:
        """The news of at most so many targets; they count as told."""
        untold = self._untold
        names = list(untold) if len(untold) <= most else [name for name, _ in zip(untold, range(most), strict=False)]
        told = []
        for name in names:
            one = untold.pop(name)
            told.append(
                Told(
                    one.connection_id,
                    one.provider,
                    one.model,
                    self._open.get(name, 0),
                    one.uses,
                    one.ttft_ms,
                    int((now - one.at) * 1000) if one.ttft_ms is not None else 0,
                    one.per_token_ms,
                    int((now - one.paced_at) * 1000) if one.per_token_ms is not None else 0,
                )
            )
        return told

    def tell_open_again(self) -> None:
        """What was told last may not have arrived: others may believe what is no longer so."""
        for name in self._open:
            connection_id, _, model = name.partition("\0")
            self._news_of(name, connection_id, "", model)

    def hear(self, worker: str, told: Sequence[Told], at: float) -> None:
        """What another worker told at the instant `at` of this one's clock."""
        other = self._others.get(worker)
        if other is None:
            if len(self._others) >= MAX_OTHERS:
                return
            other = self._others[worker] = _Other(at, {})
        other.heard_at = max(other.heard_at, at)
        self._turn(time.monotonic())
        for one in told:
            name = target_id(one.connection_id, one.model)
            count = max(0, one.open)
            speed = with_open(self._speeds.get(name), count - other.open.get(name, 0))
            if one.ttft_ms is not None:
                speed = measured(speed, one.ttft_ms, None, at - one.ttft_age_ms / 1000)
            if one.per_token_ms is not None:
                speed = measured(speed, None, one.per_token_ms, at - one.per_token_age_ms / 1000)
            self._set(name, speed)
            if count:
                other.open[name] = count
            else:
                other.open.pop(name, None)
            if one.uses:
                self._count(one.connection_id, one.provider, one.model, one.uses)

    def forget_open(self, worker: str) -> None:
        """Some of what a worker told was lost: its open requests are not known."""
        other = self._others.get(worker)
        if other is not None:
            for name, count in other.open.items():
                self._speeds[name] = with_open(self._speeds.get(name), -count)
            other.open.clear()

    def forget_silent(self, since: float) -> list[str]:
        """Forget the open requests of workers that were not heard since; which they are."""
        silent = [worker for worker, other in self._others.items() if other.heard_at < since]
        for worker in silent:
            self.forget_open(worker)
            del self._others[worker]
        return silent

    # -- tables --------------------------------------------------------------------------------------------------------

    def _set(self, name: str, speed: Speed) -> None:
        if name not in self._speeds and len(self._speeds) >= MAX_SPEEDS:
            del self._speeds[next(iter(self._speeds))]
        self._speeds[name] = speed

    def _count(self, connection_id: str, provider: str, model: str, uses: int) -> None:
        self._uses[connection_id] = self._uses.get(connection_id, 0) + uses
        pair = (provider, model)
        self._model_uses[pair] = self._model_uses.get(pair, 0) + uses

    def _news_of(self, name: str, connection_id: str, provider: str, model: str) -> _News:
        news = self._untold.get(name)
        if news is None:
            news = _News(connection_id, provider, model)
            if len(self._untold) < MAX_UNTOLD:
                self._untold[name] = news
        elif not news.provider:
            news.provider = provider
        return news

    def _turn(self, now: float) -> None:
        if now - self._turned_at > USES_S:
            self._turned_at = now
            self._uses_before, self._uses = self._uses, {}
            self._model_uses_before, self._model_uses = self._model_uses, {}
