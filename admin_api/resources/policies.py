"""Who has to wait before trying to log in again, and what rests: `/api/policies`. Owners only: it names accounts and addresses."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from redis.exceptions import RedisError

from admin_api.http.errors import not_found
from admin_api.services.plane import Plane
from gateway.state.rests_admin import breaker_bodies, read_rests

MAX_SHOWN = 1_000


class PolicyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`identifier` is an address or an account's name, as the list has it."""

    action: Literal["unlock"]
    identifier: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


@get("/api/policies")
async def get_policies(plane: NamedDependency[Plane]) -> dict[str, Any]:
    """`lockouts` are those of all admin processes, the longest first, of this one alone while Redis is away.

    `circuitBreakers` are null then.
    """
    waits = [
        {"identifier": one.who, "kind": one.kind, "waitS": round(one.wait_s, 1)} for one in await plane.logins.locked()
    ]
    try:
        breakers = breaker_bodies(await read_rests(plane.redis))
    except (RedisError, OSError):
        breakers = None
    return {"lockouts": waits[:MAX_SHOWN], "circuitBreakers": breakers}


@post("/api/policies", status_code=200)
async def unlock(data: JSONBody[PolicyBody], plane: NamedDependency[Plane]) -> dict[str, Any]:
    """Let an address or an account try again at once."""
    kinds = {one.kind for one in await plane.logins.locked() if one.who == data.identifier}
    if not kinds:
        raise not_found("lock-out of", data.identifier)
    await plane.logins.forgive(**dict.fromkeys(kinds, data.identifier))
    await plane.audit("lockout.ended", "lockout", data.identifier, name=data.identifier)
    return {"success": True, "identifier": data.identifier}


handlers = (get_policies, unlock)
