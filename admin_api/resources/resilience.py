"""How long what fails rests, by provider; and what rests now: `/api/resilience`. Workers take changes up at once.

`profiles` are in the seed's words (ms), `rules` in ours (seconds): two views of one thing. `apikey` is the profile of all
providers that are asked with an API key; under a provider's id stands what is otherwise there.
"""

from typing import Annotated, Any

import msgspec
from litestar import Response, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody
from redis.exceptions import RedisError
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.http.answers import saved
from admin_api.http.errors import ApiError, bad_request
from admin_api.services.keep_settings import keep_settings, load_settings
from admin_api.services.plane import Plane
from admin_api.services.reset_rests import reset_states
from admin_api.services.seed_profiles import profile_of_seed, seed_profile
from admin_api.store.limit_defaults import LimitDefaults
from admin_api.store.nodes import nodes
from admin_api.store.settings import SettingRow, settings_rows
from gateway.domain.rest import EVERY_KEY, Profile, Resilience, with_profile
from gateway.state.rests_admin import breaker_bodies, cooldown_bodies, read_rests

MAX_IDS = 1_000
MAX_PROFILES = 500
_Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]


class ResetBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ids of connections; left out or null = everything."""

    ids: list[str] | None = None


class DefaultsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Limits of connections that have none of their own; 0 = none. What is left out keeps its value."""

    requests_per_minute: _Count | msgspec.UnsetType = msgspec.UNSET
    min_time_between_requests: _Count | msgspec.UnsetType = msgspec.UNSET
    concurrent_requests: _Count | msgspec.UnsetType = msgspec.UNSET


class ResilienceBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """By provider id or `apikey`; null takes a provider's profile away, or one of its `rules`. What is left out keeps its value."""

    profiles: dict[str, dict[str, Any] | None] = {}
    rules: dict[str, dict[str, Any] | None] = {}
    defaults: DefaultsBody | None = None


@get("/api/resilience")
async def get_resilience(plane: NamedDependency[Plane]) -> dict[str, Any]:
    """`profiles`, `rules`, `defaults`; `breakers` in the seed's shape, and `cooldowns`: who rests, why, until when (ms since 1970)."""
    try:
        states = await read_rests(plane.redis)
    except (RedisError, OSError) as error:
        raise ApiError(503, "shared state is away: nobody can tell what rests") from error
    async with plane.database.read() as connection:
        settings = await _settings(connection)
    return {**settings, "breakers": breaker_bodies(states), "cooldowns": cooldown_bodies(states)}


@patch("/api/resilience")
async def patch_resilience(data: JSONBody[ResilienceBody], plane: NamedDependency[Plane]) -> Response[dict[str, Any]]:
    return await _change(data, plane)


@put("/api/resilience")
async def put_resilience(data: JSONBody[ResilienceBody], plane: NamedDependency[Plane]) -> Response[dict[str, Any]]:
    return await _change(data, plane)


@post("/api/resilience/reset", status_code=200)
async def reset_resilience(data: JSONBody[ResetBody], plane: NamedDependency[Plane]) -> dict[str, Any]:
    """Let rest no longer: everything, or the connections named with all their models."""
    if data.ids is not None and len(data.ids) > MAX_IDS:
        raise ApiError(400, f"at most {MAX_IDS} ids")
    return {"reset": await reset_states(plane, data.ids)}


async def _change(data: ResilienceBody, plane: Plane) -> Response[dict[str, Any]]:
    async with plane.change() as change:
        rows = await load_settings(change.connection)
        known = {*plane.specs, *(row.id for row in await nodes.load_all(change.connection)), EVERY_KEY}
        profiles = _profiles(rows)
        base = _base(rows)
        for shape, given in (("profiles", data.profiles), ("rules", data.rules)):
            for name, fields in given.items():
                path = f"{shape}.{name}"
                is_taken_away = fields is None and name in profiles  # also of a provider that is gone
                if name not in known and not is_taken_away:
                    raise bad_request((path, _unknown(name)))
                if fields is None:
                    profiles.pop(name, None)
                    continue
                before = profiles.get(name, Profile())
                effective = with_profile(with_profile(base, profiles.get(EVERY_KEY)), before)
                profiles[name] = (
                    _merged(before, profile_of_seed(fields, effective, path))
                    if shape == "profiles"
                    else _changed(before, fields, path)
                )
                if profiles[name] == Profile():
                    profiles.pop(name)
        if len(profiles) > MAX_PROFILES:
            raise bad_request(("profiles", f"at most {MAX_PROFILES}"))
        if data.profiles or data.rules:
            await keep_settings(change, {"providerProfiles": msgspec.to_builtins(profiles)})
        if data.defaults is not None:
            await keep_settings(change, {"rateLimitDefaults": _defaults(rows, data.defaults)})
        view = await _settings(change.connection)
    return saved(view, await plane.published())


def _unknown(name: str) -> str:
    if name == "oauth":
        return "no provider of this version is asked with OAuth"
    return f"there is no provider {name!r}; `{EVERY_KEY}` is the profile of all"


def _changed(before: Profile, fields: dict[str, Any], path: str) -> Profile:
    """A profile with these rules; null has one be as for all again. Raises 400."""
    cleared = {name for name, value in fields.items() if value is None and name in Profile.__struct_fields__}
    kept = {name: value for name, value in msgspec.to_builtins(before).items() if name not in cleared}
    given = {name: value for name, value in fields.items() if name not in cleared}
    return _merged(msgspec.convert(kept, Profile), _read(given, path))


def _read(fields: dict[str, Any], path: str) -> Profile:
    try:
        return msgspec.convert(fields, Profile)
    except msgspec.ValidationError as error:
        message, _, at = str(error).partition(" - at `$.")
        raise bad_request((f"{path}.{at.rstrip('`')}" if at else path, message)) from error


def _merged(before: Profile, change: Profile) -> Profile:
    return msgspec.convert({**msgspec.to_builtins(before), **msgspec.to_builtins(change)}, Profile)


def _defaults(rows: dict[str, SettingRow], body: DefaultsBody) -> dict[str, int]:
    before = rows["rateLimitDefaults"].value if "rateLimitDefaults" in rows else {}
    named = {
        "rpm": body.requests_per_minute,
        "min_gap_ms": body.min_time_between_requests,
        "max_concurrency": body.concurrent_requests,
    }
    return {**before, **{name: value for name, value in named.items() if value is not msgspec.UNSET}}


def _profiles(rows: dict[str, SettingRow]) -> dict[str, Profile]:
    stored = rows["providerProfiles"].value if "providerProfiles" in rows else {}
    return msgspec.convert(stored, dict[str, Profile])


def _base(rows: dict[str, SettingRow]) -> Resilience:
    return msgspec.convert(rows["resilience"].value if "resilience" in rows else {}, Resilience)


async def _settings(connection: AsyncConnection) -> dict[str, Any]:
    rows = {row.name: row for row in await settings_rows.load_all(connection)}
    profiles, base = _profiles(rows), _base(rows)
    everywhere = with_profile(base, profiles.get(EVERY_KEY))
    limits = LimitDefaults(**(rows["rateLimitDefaults"].value if "rateLimitDefaults" in rows else {}))
    effective = {name: with_profile(everywhere, profile) for name, profile in profiles.items()}
    return {
        "profiles": {name: seed_profile(rules) for name, rules in {EVERY_KEY: everywhere, **effective}.items()},
        "rules": {name: msgspec.to_builtins(profile) for name, profile in profiles.items()},
        "resilience": msgspec.to_builtins(base),
        "defaults": {
            "requestsPerMinute": limits.rpm,
            "minTimeBetweenRequests": limits.min_gap_ms,
            "concurrentRequests": limits.max_concurrency,
        },
        "managed": [name for name in ("providerProfiles", "rateLimitDefaults") if name in rows and rows[name].managed],
    }


handlers = (get_resilience, patch_resilience, put_resilience, reset_resilience)
