"""What this worker believes about targets at the moment a plan is made. Data only; others fill it."""

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Protocol

from gateway.domain.target import Connection, target_id
from gateway.routing.speed import Speed


class View(Protocol):
    """Asked for each candidate looked at, so answers must be look-ups: no I/O, no clock of their own."""

    @property
    def is_calm(self) -> bool:
        """True when nothing rests at all: then no candidate is asked for."""
        ...

    @property
    def known(self) -> AbstractSet[str]:
        """Ids of connections, and a NUL with a provider's, of which something rests; nothing else need be asked for."""
        ...

    def resting(self, connection: Connection, model: str) -> bool:
        """The connection, or this model of it, cools down or has its breaker open."""
        ...

    def rest_s(self, connection: Connection, model: str) -> float:
        """Seconds until it may be tried again; asked only of what rests."""
        ...

    def speed(self, connection: Connection, model: str) -> Speed | None:
        """None: never used."""
        ...

    def uses(self, connection: Connection) -> int:
        """Requests lately."""
        ...

    def model_uses(self, provider: str, model: str) -> int:
        """Requests lately for a model at a provider, whatever the connection."""
        ...

    def spent(self, tier: str) -> bool:
        """The budget of a tier is used up."""
        ...


@dataclass(slots=True)
class Beliefs:
    """A view held in tables.

    Keys of `rests` (seconds left) are connection ids or `target_id`s; of `speeds`, `target_id`s; of `used`, connection
    ids; of `models_used`, (provider, model).
    """

    rests: Mapping[str, float] = field(default_factory=dict)
    speeds: Mapping[str, Speed] = field(default_factory=dict)
    used: Mapping[str, int] = field(default_factory=dict)
    models_used: Mapping[tuple[str, str], int] = field(default_factory=dict)
    spent_tiers: Collection[str] = ()

    @property
    def is_calm(self) -> bool:
        return not self.rests

    @property
    def known(self) -> AbstractSet[str]:
        return {name.partition("\0")[0] for name in self.rests}

    def resting(self, connection: Connection, model: str) -> bool:
        return connection.id in self.rests or target_id(connection.id, model) in self.rests

    def rest_s(self, connection: Connection, model: str) -> float:
        return max(self.rests.get(connection.id, 0.0), self.rests.get(target_id(connection.id, model), 0.0))

    def speed(self, connection: Connection, model: str) -> Speed | None:
        return self.speeds.get(target_id(connection.id, model))

    def uses(self, connection: Connection) -> int:
        return self.used.get(connection.id, 0)

    def model_uses(self, provider: str, model: str) -> int:
        return self.models_used.get((provider, model), 0)

    def spent(self, tier: str) -> bool:
        return tier in self.spent_tiers


EMPTY_VIEW: View = Beliefs()
