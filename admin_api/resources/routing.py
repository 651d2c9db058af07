"""A dry run of routing: `POST /api/routing/simulate`. No provider is asked and no turn moves."""

import random
from typing import Annotated, Any

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from admin_api.http.errors import bad_request
from admin_api.services.decision_view import decision_view
from admin_api.services.plane import Plane
from admin_api.services.simulate import Question, Simulation, Simulator, States
from admin_api.store.keys import KeyRow, keys
from gateway.domain.errors import GatewayError
from gateway.routing.eligible import Needs
from gateway.routing.offers import TIERS

_Text = Annotated[str, msgspec.Meta(max_length=512)]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=31_536_000)]
_Ms = Annotated[float, msgspec.Meta(ge=0, le=86_400_000)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
_MAX_STATES = 10_000


class NeedsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the request needs of a model; `tokens`: its input and what the answer may have."""

    vision: bool = False
    tools: bool = False
    structured: bool = False
    tokens: _Count = 0


class StatesBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What is to be taken for true; names are a connection's id, `id/model` or a provider's id.

    `rests`: seconds left, beside what rests now unless `isCalm`. `speeds`: ms to the first token. `uses`: requests lately.
    `tickets`: the next turn, by cursor, or of all under an empty name.
    """

    is_calm: bool = False
    rests: dict[_Text, _Seconds] = {}
    speeds: dict[_Text, _Ms] = {}
    uses: dict[_Text, _Count] = {}
    tickets: dict[_Text, _Count] = {}
    spent_tiers: list[_Text] = []


class SimulateBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A request that is not sent. `model` may stand in `body`, the request's own JSON, which also says what it needs.

    `provider` is for paths that name one; `session` what a client would send as its conversation; `chance` the number
    that a request draws by lot (left out: drawn).
    """

    model: _Text = ""
    body: dict[str, Any] | None = None
    key_id: _Text = ""
    provider: _Text = ""
    session: _Text = ""
    needs: NeedsBody | None = None
    chance: Annotated[float, msgspec.Meta(ge=0, lt=1)] | None = None
    states: StatesBody | None = None


@post("/api/routing/simulate", status_code=200)
async def simulate(
    data: JSONBody[SimulateBody], plane: NamedDependency[Plane], simulator: NamedDependency[Simulator]
) -> dict[str, Any]:
    """Where the request would go now, by the workers' own code. A refusal is an answer, too: `refused` says which."""
    question = await _question(data, plane)
    return _view(question, await simulator.simulate(question))


async def _question(data: SimulateBody, plane: Plane) -> Question:
    given = data.body or {}
    model = data.model or given.get("model", "")
    if not isinstance(model, str) or not model or len(model) > 512:
        raise bad_request(("model", "is missing: name it here or in `body`"))
    return Question(
        model=model,
        chance=random.random() if data.chance is None else data.chance,
        key=await _key(plane, data.key_id),
        provider=data.provider,
        body=msgspec.json.encode(given) if data.body is not None else b"",
        needs=None if data.needs is None else msgspec.convert(data.needs, Needs, from_attributes=True),
        session=data.session,
        states=_states(data.states or StatesBody()),
    )


async def _key(plane: Plane, key_id: str) -> KeyRow | None:
    if not key_id:
        return None
    async with plane.database.read() as connection:
        row = await keys.get(connection, key_id)
    if row is None:
        raise bad_request(("keyId", f"there is no key {key_id!r}"))
    return row


def _states(body: StatesBody) -> States:
    if any(len(part) > _MAX_STATES for part in (body.rests, body.speeds, body.uses, body.tickets)):
        raise bad_request(("states", f"at most {_MAX_STATES} names of each kind"))
    if unknown := sorted(set(body.spent_tiers) - set(TIERS)):
        raise bad_request(("states.spentTiers", f"there is no tier {unknown[0]!r}: they are {', '.join(TIERS)}"))
    return msgspec.convert(body, States, from_attributes=True)


def _view(question: Question, found: Simulation) -> dict[str, Any]:
    return {
        "model": question.model,
        "revision": found.revision,
        "chance": question.chance,
        "turns": found.turns,
        "knowsSharedState": found.knows_shared_state,
        "routing": None if found.decision is None else decision_view(found.decision),
        "refused": None if found.refusal is None else _refusal(found.refusal),
    }


def _refusal(error: GatewayError) -> dict[str, Any]:
    return {"status": error.status, "code": error.code, "message": error.message, "retryAfterS": error.retry_after_s}


handlers = (simulate,)
