"""How targets stand with this worker: what rests, how fast they answered, how much they were used. The planner's `View`.

Speeds and uses are this worker's own and bounded; what rests is shared (`state/rests.py`).
"""

import time

from gateway.domain.target import Connection, Target, target_id
from gateway.routing.speed import Speed, measured, with_open
from gateway.state.rests import Rests

MAX_SPEEDS = 20_000
USES_S = 60.0
"""Uses are counted over one to two such spans."""
LEAST_TOKENS = 8
"""An answer with fewer says nothing of the time a token takes."""


class Standing:
    """One worker's beliefs."""

    def __init__(self, rests: Rests) -> None:
        self._rests = rests
        self._speeds: dict[str, Speed] = {}
        self._uses: dict[str, int] = {}
        self._model_uses: dict[tuple[str, str], int] = {}
        self._uses_before: dict[str, int] = {}
        self._model_uses_before: dict[tuple[str, str], int] = {}
        self._turned_at = time.monotonic()

    @property
    def speeds(self) -> int:
        return len(self._speeds)

    # -- what the planner asks -----------------------------------------------------------------------------------------

    @property
    def is_calm(self) -> bool:
        return not self._rests.resting

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
        """Tiers have no budgets yet."""
        return False

    # -- what the relay tells ------------------------------------------------------------------------------------------

    def begun(self, target: Target) -> None:
        """A request starts there."""
        connection = target.connection
        name = target_id(connection.id, target.model)
        if name not in self._speeds and len(self._speeds) >= MAX_SPEEDS:
            del self._speeds[next(iter(self._speeds))]
        self._speeds[name] = with_open(self._speeds.get(name), 1)
        self._turn()
        self._uses[connection.id] = self._uses.get(connection.id, 0) + 1
        pair = (connection.provider, target.model)
        self._model_uses[pair] = self._model_uses.get(pair, 0) + 1

    def ended(self, target: Target) -> None:
        """It ended there, well or not."""
        name = target_id(target.connection.id, target.model)
        self._speeds[name] = with_open(self._speeds.get(name), -1)

    def answered(self, target: Target, first_s: float, rest_s: float, tokens: int) -> None:
        """It answered: seconds to the first useful byte, and from there for so many tokens."""
        name = target_id(target.connection.id, target.model)
        per_token_ms = rest_s * 1000 / tokens if tokens >= LEAST_TOKENS and rest_s > 0 else None
        self._speeds[name] = measured(self._speeds.get(name), first_s * 1000, per_token_ms, time.monotonic())

    def _turn(self) -> None:
        now = time.monotonic()
        if now - self._turned_at > USES_S:
            self._turned_at = now
            self._uses_before, self._uses = self._uses, {}
            self._model_uses_before, self._model_uses = self._model_uses, {}
