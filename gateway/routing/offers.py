"""Which connections of a provider offer a model, worked out once a revision and name, then looked up. Pure."""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from functools import cached_property, reduce
from operator import xor

from gateway.domain.target import Connection, Tier

MAX_REMEMBERED = 10_000
TIERS: tuple[Tier, ...] = ("subscription", "api-key", "cheap", "free")
_COST_OF_TIER: Mapping[str, int] = {"free": 0, "subscription": 1, "cheap": 2, "api-key": 3}
"""What one more token costs: nothing, nothing beyond what is paid already, little, the list price."""


class Offer:
    """The connections that offer one model, lowest priority number first, and other orders of them made when asked.

    `is_free`: its price is known to be nothing, so a connection that is paid by the token belongs to the tier `free` for it.
    """

    def __init__(self, accounts: tuple[Connection, ...], *, is_free: bool = False) -> None:
        self.accounts = accounts
        self._is_free = is_free

    @cached_property
    def cursor(self) -> str:
        """Names the connections of the offer: the same in every worker, and there are no more than configured."""
        marks = reduce(xor, (account.mark for account in self.accounts), 0)
        return f"accounts:{self.accounts[0].provider}:{marks:016x}" if self.accounts else ""

    @cached_property
    def ids(self) -> frozenset[str]:
        return frozenset(account.id for account in self.accounts)

    @cached_property
    def by_cost(self) -> tuple[Connection, ...]:
        return tuple(sorted(self.accounts, key=lambda account: _COST_OF_TIER[account.tier]))

    @cached_property
    def tiers(self) -> dict[str, "Offer"]:
        """Tier → its connections; only tiers that have some."""
        found = {tier: tuple(one for one in self.accounts if self._tier_of(one) == tier) for tier in TIERS}
        return {tier: Offer(accounts) for tier, accounts in found.items() if accounts}

    def _tier_of(self, account: Connection) -> Tier:
        return "free" if self._is_free and account.tier == "api-key" else account.tier

    @cached_property
    def _ring(self) -> tuple[list[int], tuple[Connection, ...]]:
        ordered = tuple(sorted(self.accounts, key=lambda account: (account.mark, account.id)))
        return [account.mark for account in ordered], ordered

    def around(self, key: int, most: int) -> tuple[Connection, ...]:
        """At most `most` connections: those that follow `key` (64 bits) on the ring of marks; all if they are few."""
        if len(self.accounts) <= most:
            return self.accounts
        marks, ordered = self._ring
        start = bisect_left(marks, key)
        return (ordered[start : start + most] + ordered[:most])[:most]


class Offers:
    """Offers by (provider, model), bounded; models with the same connections share one. `price_of`: as `Prices.of`."""

    def __init__(
        self,
        connections: Mapping[str, tuple[Connection, ...]],
        price_of: Callable[[str, str], float | None] = lambda provider, model: None,
    ) -> None:
        self._connections = connections
        self._price_of = price_of
        self._whole = {provider: Offer(accounts) for provider, accounts in connections.items()}
        self._found: dict[tuple[str, str], Offer] = {}
        self._shared: dict[tuple[tuple[Connection, ...], bool], Offer] = {}

    def __len__(self) -> int:
        return len(self._found)

    def of(self, provider: str, model: str) -> Offer:
        """The connections that offer it now; the offer is empty when there are none."""
        found = self._found.get((provider, model))
        return self._find(provider, model) if found is None else found

    def _find(self, provider: str, model: str) -> Offer:
        accounts = self._connections.get(provider, ())
        offering = tuple(account for account in accounts if not account.models or model in account.models)
        is_free = self._price_of(provider, model) == 0
        if len(offering) == len(accounts) and accounts and not is_free:
            offer = self._whole[provider]
        else:
            offer = self._shared.setdefault((offering, is_free), Offer(offering, is_free=is_free))
        if len(self._found) >= MAX_REMEMBERED:
            self._found.clear()
            self._shared.clear()
        self._found[provider, model] = offer
        return offer
