"""The plan of one request: targets in the order in which they are tried, and why others are not.

What varies comes in as arguments: a random number, tickets, what this worker believes of targets (`View`). The cost
does not grow with the number of connections: per model only as many are looked at as the plan can hold.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from gateway.config.combo_config import GOES_ON, MAX_RETRIES
from gateway.config.snapshot import AccountStrategy, Combo, RoutingSettings
from gateway.domain.decision import Candidate, Decision, Dropped
from gateway.domain.errors import Forbidden, GatewayError, NotFound, Unavailable
from gateway.domain.target import Connection, Target
from gateway.routing.affinity import Session, is_affine, ranked, ranked_models
from gateway.routing.catalog import Catalog
from gateway.routing.draws import Draws
from gateway.routing.eligible import NO_NEEDS, Needs, missing, nothing_can
from gateway.routing.offers import TIERS, Offer
from gateway.routing.resolve import ProviderModel, Resolution
from gateway.routing.speed import EXPECTED_TOKENS
from gateway.routing.strategies import ACCOUNT_STRATEGIES, COMBO_STRATEGIES, AccountOrder, Case, Tickets
from gateway.routing.view import EMPTY_VIEW, View

MAX_TARGETS = 8
"""Candidates of one request; more would only lengthen an outage for the caller."""
MAX_DROPPED = 32
"""Dropped targets that a plan names."""
SHORT_REST_S = 5.0
"""What rests no longer than this stays in the plan, at its end."""
MAX_FILTERED = 64
"""Of so many connections those that rest are taken out before they take turns, so that the next one has no double part."""

_MOVING = frozenset({"round-robin", "least-used", "latency"})
"""Strategies that choose another model from one request to the next; a combo must ask to have conversations kept there."""

_DEFAULTS = RoutingSettings()
_NONE: frozenset[str] = frozenset()


class Plan(msgspec.Struct, frozen=True):
    """What is tried, in order; the first `awake` of `targets` do not rest. At least one target, but in an `empty_plan`.

    `scores` are what the strategy compared (ms, or USD per 1,000,000 tokens), by `provider/model`.
    """

    targets: tuple[Target, ...]
    awake: int
    strategy: str
    account_strategy: str
    dropped: tuple[Dropped, ...] = ()
    scores: tuple[tuple[str, float], ...] = ()
    has_affinity: bool = False
    goes_on_after: frozenset[str] = frozenset()
    """Outcomes that are the caller's fault and end a request, but not here: another model is tried."""
    max_retries: int = 0
    """How often a target that failed is asked again before the next one."""
    refusal: GatewayError | None = None
    """Why nobody is asked: what a request without a kept or shared answer gets."""

    def decision(self) -> Decision:
        """The plan for those who ask why."""
        return Decision(
            strategy=self.strategy,
            account_strategy=self.account_strategy,
            candidates=tuple(
                Candidate(_name_of(one.model, one.connection), one.connection.id, one.combo, index >= self.awake)
                for index, one in enumerate(self.targets)
            ),
            dropped=self.dropped,
            scores=dict(self.scores),
            has_affinity=self.has_affinity,
        )


def empty_plan(decision: Decision, refusal: GatewayError) -> Plan:
    """The plan of a request for which nobody may be asked now, and perhaps nobody need be: its answer may be kept or under way."""
    return Plan(
        (),
        0,
        decision.strategy,
        decision.account_strategy,
        decision.dropped,
        tuple(decision.scores.items()),
        decision.has_affinity,
        refusal=refusal,
    )


def make_plan(resolution: Resolution, catalog: Catalog, chance: float) -> tuple[Target, ...]:
    """The targets alone, of a plan made without a view. Raises as `lay_plan` does."""
    return lay_plan(resolution, catalog, chance).targets


def lay_plan(
    resolution: Resolution,
    catalog: Catalog,
    chance: float,
    *,
    settings: RoutingSettings = _DEFAULTS,
    view: View = EMPTY_VIEW,
    needs: Needs = NO_NEEDS,
    tickets: Tickets | None = None,
    session: Session | None = None,
    allowed: Callable[[str], bool] | None = None,
    providers: frozenset[str] = frozenset(),
    expected_tokens: int = EXPECTED_TOKENS,
    now: float = 0.0,
) -> Plan:
    """Order a resolution's models by the combo's strategy, and each model's connections by theirs.

    `chance` is a random number in [0, 1); `tickets` are asked for at most once a cursor; `allowed` judges `prefix/model`
    for this key, which may reach `providers` only (ids or prefixes, empty = all); `now` is an instant of the clock of `View.speed`. Raises NotFound (nothing offers it), BadRequest
    (nothing can do it), Forbidden (`allowed`), Unavailable (all of it rests, or its tiers are spent); the error's
    `decision` tells of what was dropped.
    """
    planning = _Planning(resolution, catalog, settings, view, session)
    planning.providers = providers
    planning.case = Case(catalog, view, Draws(planning.chance(chance)), tickets, 1, expected_tokens, now)
    models = planning.able(resolution.models, needs, allowed)
    stages = planning.ordered(models) if models else []
    if resolution.chain:
        stages += planning.able(resolution.chain, needs, allowed)
    planning.fill(planning.in_tiers(stages))
    return planning.plan(needs)


_Stage = tuple[ProviderModel, Offer]


class _Planning:
    """The work on one plan."""

    case: Case
    providers: frozenset[str] = frozenset()

    def __init__(
        self, resolution: Resolution, catalog: Catalog, settings: RoutingSettings, view: View, session: Session | None
    ) -> None:
        combo = resolution.combo
        self._combo = combo
        self._catalog = catalog
        self._view = view
        self._known = view.known
        self._settings = settings
        self._is_tiered = resolution.is_tiered
        self._strategy = "priority" if combo is None else combo.strategy
        self._asked = _asked_strategy(combo)
        self._account_strategy = self._asked or settings.account_strategy
        """Of the first model, in the end."""
        self._session = session if session is not None and is_affine(combo, session, settings) else None
        self._targets: list[Target] = []
        self._resting: list[Target] = []
        self._dropped: list[Dropped] = []
        self._sleeping: list[_Stage] = []

    def chance(self, chance: float) -> float:
        """A conversation's own number, so that it is weighed and drawn the same way each time."""
        return chance if self._session is None else self._session.chance

    # -- which models --------------------------------------------------------------------------------------------------

    def able(
        self, models: Sequence[ProviderModel], needs: Needs, allowed: Callable[[str], bool] | None
    ) -> list[_Stage]:
        """The models that may be used, can do it and have a connection that is awake; those asleep are set aside."""
        able: list[_Stage] = []
        catalog, is_calm = self._catalog, self._view.is_calm
        offer_of = catalog.offers_of.of
        for model in models:
            offer = offer_of(model.provider, model.model)
            if not offer.accounts:
                self._drop(model.model, None, "no_connection", model.provider)
                continue
            if allowed is not None and not allowed(f"{offer.accounts[0].prefix}/{model.model}"):
                self._drop(model.model, offer, "not_allowed")
                continue
            if self.providers and self.providers.isdisjoint((model.provider, offer.accounts[0].prefix)):
                self._drop(model.model, offer, "not_allowed")
                continue
            if needs is not NO_NEEDS:
                lack = missing(needs, catalog.facts.get((model.provider, model.model)))
                if lack:
                    self._drop(model.model, offer, lack)
                    continue
            if is_calm or self._has_awake(model, offer):
                able.append((model, offer))
            else:
                self._sleeping.append((model, offer))
        return able

    def _has_awake(self, model: ProviderModel, offer: Offer) -> bool:
        resting, name, known = self._view.resting, model.model, self._known
        if "\0" + model.provider not in known and offer.accounts[0].id not in known:
            return True
        return any(not resting(account, name) for account in offer.accounts)

    def ordered(self, stages: list[_Stage]) -> list[_Stage]:
        """By the combo's strategy."""
        combo = self._combo
        order = COMBO_STRATEGIES.get(self._strategy)
        if combo is None or len(stages) == 1 or order is None or self._strategy == "priority":
            return stages
        offers = {id(model): offer for model, offer in stages}
        self.case.sticky_limit = _sticky_limit(combo, 1)
        models: Sequence[ProviderModel] = [model for model, _ in stages]
        if self._session is not None and self._strategy in _MOVING and combo.config.get("affinity"):
            models = ranked_models(models, self._session)
        else:
            models = order(models, f"combo:{combo.id}", self.case)
        return [(model, offers[id(model)]) for model in models]

    def in_tiers(self, stages: list[_Stage]) -> list[_Stage]:
        """Tier by tier when that is asked for; each model once."""
        tiers = _tiers(self._combo, is_tiered=self._is_tiered)
        if not tiers and len(stages) < 2:
            return stages
        if not tiers:
            return list({(model.provider, model.model): (model, offer) for model, offer in reversed(stages)}.values())[
                ::-1
            ]
        walked: dict[tuple[str, str, str], _Stage] = {}
        for tier in tiers:
            for model, offer in stages:
                part = offer.tiers.get(tier)
                if part is None:
                    continue
                if self._view.spent(tier):
                    self._drop(model.model, part, "tier_spent")
                else:
                    walked.setdefault((model.provider, model.model, tier), (model, part))
        for model, offer in stages:
            for tier, part in offer.tiers.items():
                if tier not in tiers:
                    self._drop(model.model, part, "tier_not_asked")
        return list(walked.values())

    # -- which connections ---------------------------------------------------------------------------------------------

    def fill(self, stages: list[_Stage]) -> None:
        """Take connections model by model. Half of what is left at least; but for each model that follows one place."""
        spare: list[tuple[ProviderModel, Iterator[Connection]]] = []
        for index, (model, offer) in enumerate(stages):
            left = MAX_TARGETS - len(self._targets)
            if left <= 0:
                break
            accounts: Iterator[Connection] = iter(self._accounts(model, offer, is_first=index == 0))
            self._take(model, accounts, max(left - (len(stages) - index - 1), (left + 1) // 2))
            spare.append((model, accounts))
        for model, accounts in spare:
            left = MAX_TARGETS - len(self._targets)
            if left <= 0:
                break
            self._take(model, accounts, left)

    def _take(self, model: ProviderModel, accounts: Iterable[Connection], most: int) -> None:
        targets, name, combo = self._targets, model.model, model.combo
        resting, known = self._view.resting, self._known
        all_known = "\0" + model.provider in known
        goal = len(targets) + most
        for account in accounts:
            target = Target(account, name, combo)
            if (all_known or account.id in known) and resting(account, name):
                self._rest(target)
                continue
            targets.append(target)
            if len(targets) == goal:
                return

    def _accounts(self, model: ProviderModel, offer: Offer, *, is_first: bool) -> Iterable[Connection]:
        """A model's connections in order. A ticket is drawn for the first model only: the others may never be reached."""
        awake: Sequence[Connection] = offer.accounts
        strategy, sticky_limit = self._account_rules(model.provider)
        if is_first:
            self._account_strategy = strategy
        if len(awake) == 1:
            return awake
        if self._session is not None and strategy != "fill-first":
            return ranked(offer, self._session)
        self.case.sticky_limit = _sticky_limit(self._combo, sticky_limit)
        if strategy == "round-robin" and not self._view.is_calm and len(awake) <= MAX_FILTERED:
            awake = self._without_resting(model, offer)
        order: AccountOrder = ACCOUNT_STRATEGIES[strategy]
        return order(offer, awake, model.model, offer.cursor if is_first else "", self.case)

    def _account_rules(self, provider: str) -> tuple[AccountStrategy, int]:
        """The strategy, and how long it stays with one choice: the combo's, else the provider's, else that of all."""
        settings = self._settings
        own = settings.provider_strategies.get(provider) if settings.provider_strategies else None
        strategy = self._asked or (own.account_strategy if own is not None else settings.account_strategy)
        return strategy, settings.sticky_limit if own is None or own.sticky_limit is None else own.sticky_limit

    def _without_resting(self, model: ProviderModel, offer: Offer) -> Sequence[Connection]:
        resting, name, known = self._view.resting, model.model, self._known
        accounts: Sequence[Connection] = offer.accounts
        suspects = accounts
        if "\0" + model.provider not in known:
            if known.isdisjoint(offer.ids):
                return accounts
            suspects = [account for account in accounts if account.id in known]
        asleep = {account.id: account for account in suspects if resting(account, name)}
        if not asleep:
            return accounts
        for account in asleep.values():
            self._rest(Target(account, name, model.combo))
        return [account for account in accounts if account.id not in asleep]

    def _rest(self, target: Target) -> None:
        if len(self._resting) < MAX_DROPPED:
            self._resting.append(target)

    # -- the result ----------------------------------------------------------------------------------------------------

    def plan(self, needs: Needs) -> Plan:
        targets, view = self._targets, self._view
        awake = len(targets)
        if awake < MAX_TARGETS:
            for model, offer in self.in_tiers(self._sleeping):
                for account in offer.accounts[: MAX_DROPPED - len(self._resting)]:
                    self._rest(Target(account, model.model, model.combo))
        soonest = float("inf")
        for target in self._resting:
            left_s = view.rest_s(target.connection, target.model)
            soonest = min(soonest, left_s)
            if len(targets) < MAX_TARGETS and left_s <= SHORT_REST_S:
                targets.append(target)
            elif len(self._dropped) < MAX_DROPPED:
                self._dropped.append(Dropped(_name_of(target.model, target.connection), "resting"))
        if not targets:
            error = self._nothing(needs, soonest)
            error.decision = Decision(
                self._strategy, self._account_strategy, dropped=tuple(self._dropped), scores=dict(self.case.scores)
            )
            raise error
        return Plan(
            tuple(targets),
            awake,
            self._strategy,
            self._account_strategy,
            tuple(self._dropped),
            tuple(self.case.scores.items()),
            self._session is not None,
            _goes_on_after(self._combo),
            _max_retries(self._combo),
        )

    def _nothing(self, needs: Needs, soonest_s: float) -> GatewayError:
        """Why there is no target at all; what will pass by itself counts most."""
        if self._resting:
            return Unavailable(
                "every connection for this model rests after failures", code="all_resting", retry_after_s=soonest_s
            )
        reasons = [one.reason for one in self._dropped]
        if "tier_spent" in reasons:
            return Unavailable("the budget of every tier for this model is spent", code="tiers_spent", retry_after_s=60)
        if lacks := [reason for reason in reasons if reason in ("vision", "tools", "structured", "context")]:
            return nothing_can(lacks, needs)
        if "not_allowed" in reasons:
            return Forbidden("this API key may not use any target of this model", code="model_not_allowed")
        return NotFound("no connection offers this model now", code="no_connection", param="model")

    def _drop(self, model: str, offer: Offer | None, reason: str, prefix: str = "") -> None:
        if len(self._dropped) < MAX_DROPPED:
            prefix = offer.accounts[0].prefix if offer is not None else prefix
            self._dropped.append(Dropped(f"{prefix}/{model}", reason))


def _name_of(model: str, connection: Connection) -> str:
    return f"{connection.prefix}/{model} @{connection.name}"


def _asked_strategy(combo: Combo | None) -> AccountStrategy | None:
    asked = combo.config.get("account_strategy") if combo is not None and combo.config else None
    return asked if asked in ACCOUNT_STRATEGIES else None  # type: ignore[return-value]  # a key of the table is one


def _goes_on_after(combo: Combo | None) -> frozenset[str]:
    if combo is None or not combo.config:
        return _NONE
    return frozenset(name for name, option in GOES_ON.items() if combo.config.get(option) is True)


def _max_retries(combo: Combo | None) -> int:
    asked = combo.config.get("max_retries") if combo is not None and combo.config else None
    return min(max(0, asked), MAX_RETRIES) if isinstance(asked, int) else 0


def _sticky_limit(combo: Combo | None, default: int) -> int:
    asked = combo.config.get("sticky_limit") if combo is not None and combo.config else None
    return max(1, asked if isinstance(asked, int) else default)


def _tiers(combo: Combo | None, *, is_tiered: bool) -> Sequence[str]:
    """The tiers to walk; none = connections are not told apart by tier."""
    asked = combo.config.get("tiers") if combo is not None and combo.config else is_tiered
    if isinstance(asked, str):
        return [tier for name in asked.split(",") if (tier := name.strip()) in TIERS]
    return TIERS if asked else ()
