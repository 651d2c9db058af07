"""Where a request would go now: the data plane's own planning, on the configuration and the shared state of this moment.

Nothing is sent to a provider, nothing is counted, and no turn moves: turns are read, not drawn. How fast targets are and
how much they are used is known as far as workers told each other in the last seconds; the question may say otherwise.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from admin_api.publish import build_snapshot, key_entry
from admin_api.services.plane import Plane
from admin_api.store.database import get_revision
from admin_api.store.keys import KeyRow
from gateway.domain.budget import period_of
from gateway.domain.caller import ANONYMOUS, Caller
from gateway.domain.decision import Decision
from gateway.domain.errors import GatewayError
from gateway.domain.target import Target, target_id
from gateway.routing.eligible import Needs
from gateway.routing.plan import make_plan
from gateway.routing.speed import Speed
from gateway.routing.told import Overheard, overheard
from gateway.routing.view import Beliefs
from gateway.runtime import Runtime, compile_runtime
from gateway.state import keys as redis_keys
from gateway.state.keyring import caller_of
from gateway.state.rest_table import RestState
from gateway.state.rests_admin import read_rests
from gateway.state.views_admin import read_told

SHARED_STATE_LIMIT_S = 1.0
MAX_CURSORS = 16
"""A plan draws a turn for its combo and one for its first model; more are not asked for."""


class States(msgspec.Struct, frozen=True):
    """What is to be taken for true instead of what is. Names are a connection's id, `id/model`, or a provider's id.

    `rests`: seconds left, beside those that rest now unless `is_calm`; `speeds`: ms to the first token; `uses`: requests
    lately, of connections or of `provider/model`; `spent_tiers`: beside those whose budget is used up; `tickets`: the next turn, by cursor or for all under an empty name.
    """

    is_calm: bool = False
    rests: Mapping[str, float] = {}
    speeds: Mapping[str, float] = {}
    uses: Mapping[str, int] = {}
    tickets: Mapping[str, int] = {}
    spent_tiers: Sequence[str] = ()


class Question(msgspec.Struct, frozen=True):
    """A request that is not sent. `chance`, 0 ≤ x < 1, is what a request draws by lot. `body` says what it needs, or `needs`."""

    model: str
    chance: float
    key: KeyRow | None = None
    provider: str = ""
    body: bytes = b""
    needs: Needs | None = None
    session: str = ""
    states: States = States()


class Simulation(msgspec.Struct, frozen=True):
    """`refusal` instead of candidates when there is nowhere to go. `turns` are the tickets that were looked at, by cursor."""

    revision: int
    decision: Decision | None
    refusal: GatewayError | None
    turns: Mapping[str, int]
    knows_shared_state: bool


class Simulator:
    """Keeps the compiled configuration of one revision."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._runtime: Runtime | None = None

    async def simulate(self, question: Question) -> Simulation:
        """Never fails for Redis's sake: `knows_shared_state` is False then."""
        runtime = await self._current()
        resting, is_known = await _rests(self._plane.redis, question.states)
        spent = await _spent_tiers(self._plane.redis, runtime, question.states, self._plane.now())
        told = await _told(self._plane.redis)
        view = _beliefs(runtime, resting, spent, told, question.states)
        turns: dict[str, int] = {}
        for _ in range(2):  # the first run finds which turns the plan asks for, the second has them
            wanted: dict[str, int] = {}
            decision, refusal = _plan(runtime, question, view, turns, wanted)
            missing = [name for name in wanted if name not in turns]
            if not missing:
                break
            turns |= await _turns(self._plane.redis, missing[:MAX_CURSORS], question.states)
        return Simulation(runtime.revision, decision, refusal, turns, is_known)

    async def targets(self, model: str) -> tuple[Target, ...]:
        """Where a name leads in the configuration, whatever rests or is spent. Raises GatewayError."""
        runtime = await self._current()
        return make_plan(runtime.resolve("", model), runtime.catalog, 0.0)

    async def _current(self) -> Runtime:
        plane = self._plane
        async with plane.database.read() as connection:
            revision = await get_revision(connection)
            if self._runtime is not None and self._runtime.revision == revision:
                return self._runtime
            snapshot = await build_snapshot(connection, is_demo_enabled=plane.settings.is_demo_enabled, now=plane.now())
        self._runtime = await compile_runtime(snapshot, plane.specs, plane.encryption_key)
        return self._runtime


def _plan(
    runtime: Runtime, question: Question, view: Beliefs, turns: Mapping[str, int], wanted: dict[str, int]
) -> tuple[Decision | None, GatewayError | None]:
    def ticket(name: str, _sticky_limit: int) -> int:
        return wanted.setdefault(name, turns.get(name, 0))

    try:
        plan = runtime.plan(
            question.provider,
            question.model,
            _caller(question.key),
            view=view,
            chance=question.chance,
            tickets=ticket,
            now=time.monotonic(),
            body=question.body,
            needs=question.needs,
            session_name=question.session,
        )
    except GatewayError as error:
        return error.decision, error
    return plan.decision(), None


def _caller(key: KeyRow | None) -> Caller:
    if key is None:
        return ANONYMOUS
    return caller_of(key.digest, key_entry(key))


async def _rests(redis: Redis, states: States) -> tuple[list[RestState], bool]:
    if states.is_calm:
        return [], True
    try:
        async with asyncio.timeout(SHARED_STATE_LIMIT_S):
            return await read_rests(redis), True
    except (RedisError, OSError, TimeoutError):
        return [], False


async def _told(redis: Redis) -> Overheard:
    try:
        async with asyncio.timeout(SHARED_STATE_LIMIT_S):
            return overheard(await read_told(redis), time.monotonic())
    except (RedisError, OSError, TimeoutError):
        return overheard((), 0.0)


async def _spent_tiers(redis: Redis, runtime: Runtime, states: States, now: float) -> set[str]:
    """Those whose budget is used up now, and those of the question."""
    budgets = runtime.settings.tier_budgets.by_tier()
    spent = set(states.spent_tiers)
    try:
        async with asyncio.timeout(SHARED_STATE_LIMIT_S):
            for tier, budget in budgets.items():
                name = redis_keys.tier_money(tier, period_of(budget.period, now).name)
                if int(await redis.hget(name, "spent") or 0) >= budget.nano_usd:
                    spent.add(tier)
    except (RedisError, OSError, TimeoutError):
        return spent
    return spent


async def _turns(redis: Redis, names: Sequence[str], states: States) -> dict[str, int]:
    """Tickets that nobody has drawn yet."""
    found = {name: states.tickets.get(name, states.tickets.get("", 0)) for name in names}
    asked = [name for name in names if name not in states.tickets and "" not in states.tickets]
    try:
        async with asyncio.timeout(SHARED_STATE_LIMIT_S):
            held = await redis.mget([redis_keys.cursor(name) for name in asked]) if asked else []
    except (RedisError, OSError, TimeoutError):
        return found
    return found | {name: int(text) for name, text in zip(asked, held, strict=True) if text is not None}


def _beliefs(
    runtime: Runtime, resting: Sequence[RestState], spent: set[str], told: Overheard, states: States
) -> Beliefs:
    """What workers believe: what is due for a probe, or ramps, is asked again and counts as awake."""
    rests: dict[str, float] = {}
    for state in resting:
        if state.state in ("half_open", "ramping"):
            continue
        name = state.provider or "/".join(filter(None, (state.connection_id, state.model)))
        _add_rest(rests, runtime, name, max(0.0, state.until - time.time()))
    for name, left_s in states.rests.items():
        _add_rest(rests, runtime, name, left_s)
    return Beliefs(
        rests=rests,
        speeds=told.speeds
        | {_target(name): Speed(ttft_ms=ms, at=time.monotonic()) for name, ms in states.speeds.items()},
        used=told.uses | dict(states.uses),
        models_used=told.model_uses
        | {(head, rest): uses for name, uses in states.uses.items() for head, _, rest in [name.partition("/")]},
        spent_tiers=spent,
    )


def _add_rest(rests: dict[str, float], runtime: Runtime, name: str, left_s: float) -> None:
    """A provider's rest is that of all its connections."""
    accounts = runtime.catalog.connections.get(name)
    for key in [account.id for account in accounts] if accounts is not None else [_target(name)]:
        rests[key] = max(left_s, rests.get(key, 0.0))


def _target(name: str) -> str:
    """`connection/model` as a target's name; a connection's id holds no slash."""
    connection_id, slash, model = name.partition("/")
    return target_id(connection_id, model) if slash else connection_id
