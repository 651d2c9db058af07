"""What an operator sets for all requests: `/api/settings`. Also the change of the admin password, as the seed has it.

Only what has an effect here is taken; anything else is refused by name, so that no setting is lost in silence.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, patch, put
from litestar.di import NamedDependency
from litestar.params import JSONBody
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.auth.sessions import hash_token
from admin_api.http.answers import saved
from admin_api.http.errors import bad_request
from admin_api.http.versions import IfMatch, Version, check_version
from admin_api.services.keep_settings import keep_settings, load_settings, version_of
from admin_api.services.log_in import check_password, new_password_hash, user_of
from admin_api.services.plane import Plane
from admin_api.services.seed_differences import SETTINGS_ELSEWHERE
from admin_api.store.credentials import delete_sessions, set_password_hash
from admin_api.store.database import Change
from admin_api.store.settings import SettingRow
from gateway.config.file_shape import BackupPlan
from gateway.config.snapshot import AccountStrategy, ProviderStrategy, RoutingSettings, SessionAffinity
from gateway.domain.bodies import LogSettings
from gateway.domain.budget import TierBudgets
from gateway.domain.caching import CacheSettings, SharingSettings
from gateway.domain.rest import Resilience
from gateway.domain.retrying import RetryBudget
from gateway.domain.shaping import Shaping
from gateway.domain.timeouts import Timeouts
from gateway.domain.waiting import Waiting

_Seconds = Annotated[float, msgspec.Meta(ge=0, le=86_400)]
_Limit = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
_Text = Annotated[str, msgspec.Meta(max_length=200)]
MAX_STRATEGIES = 500
"""Providers with a strategy of their own."""


class TimeoutsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Seconds. What is left out keeps its value."""

    connect_s: _Limit | msgspec.UnsetType = msgspec.UNSET
    headers_s: _Limit | msgspec.UnsetType = msgspec.UNSET
    first_event_s: _Limit | msgspec.UnsetType = msgspec.UNSET
    first_event_reasoning_s: _Limit | msgspec.UnsetType = msgspec.UNSET
    gap_s: _Limit | msgspec.UnsetType = msgspec.UNSET
    total_s: _Limit | msgspec.UnsetType = msgspec.UNSET
    caller_stall_s: _Limit | msgspec.UnsetType = msgspec.UNSET


class WaitingBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Waiting for a connection's limits, and a worker's own. What is left out keeps its value."""

    max_waiting: Annotated[int, msgspec.Meta(ge=0, le=100_000)] | msgspec.UnsetType = msgspec.UNSET
    max_wait_s: Annotated[float, msgspec.Meta(ge=0, le=3_600)] | msgspec.UnsetType = msgspec.UNSET
    learns_limits: bool | msgspec.UnsetType = msgspec.UNSET
    adapts_concurrency: bool | msgspec.UnsetType = msgspec.UNSET
    adaptive_start: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | msgspec.UnsetType = msgspec.UNSET
    adaptive_most: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | msgspec.UnsetType = msgspec.UNSET
    max_open: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] | msgspec.UnsetType = msgspec.UNSET
    max_lag_s: Annotated[float, msgspec.Meta(ge=0, le=3_600)] | msgspec.UnsetType = msgspec.UNSET


class SettingsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The first block steers requests, the second the dashboard, the third changes the password."""

    fallback_strategy: AccountStrategy | msgspec.UnsetType = msgspec.UNSET
    sticky_round_robin_limit: Annotated[int, msgspec.Meta(ge=0, le=1000)] | msgspec.UnsetType = msgspec.UNSET
    provider_strategies: dict[_Text, ProviderStrategy | None] | msgspec.UnsetType = msgspec.UNSET
    timeouts: TimeoutsBody | msgspec.UnsetType = msgspec.UNSET
    waiting: WaitingBody | msgspec.UnsetType = msgspec.UNSET
    resilience: Resilience | msgspec.UnsetType = msgspec.UNSET
    tier_budgets: TierBudgets | msgspec.UnsetType = msgspec.UNSET
    session_affinity: SessionAffinity | msgspec.UnsetType = msgspec.UNSET
    retry_budget: RetryBudget | msgspec.UnsetType = msgspec.UNSET
    cache: CacheSettings | msgspec.UnsetType = msgspec.UNSET
    sharing: SharingSettings | msgspec.UnsetType = msgspec.UNSET
    logs: LogSettings | msgspec.UnsetType = msgspec.UNSET
    early_headers_s: _Seconds | msgspec.UnsetType = msgspec.UNSET
    shaping: Shaping | msgspec.UnsetType = msgspec.UNSET
    progress_s: _Limit | msgspec.UnsetType = msgspec.UNSET
    explains_all: bool | msgspec.UnsetType = msgspec.UNSET
    backups: BackupPlan | msgspec.UnsetType = msgspec.UNSET
    blocked_providers: Annotated[list[_Text], msgspec.Meta(max_length=500)] | msgspec.UnsetType = msgspec.UNSET

    require_login: bool | msgspec.UnsetType = msgspec.UNSET
    setup_complete: bool | msgspec.UnsetType = msgspec.UNSET
    theme: _Text | msgspec.UnsetType = msgspec.UNSET
    language: _Text | msgspec.UnsetType = msgspec.UNSET
    instance_name: _Text | msgspec.UnsetType = msgspec.UNSET

    current_password: str | msgspec.UnsetType = msgspec.UNSET
    new_password: str | msgspec.UnsetType = msgspec.UNSET
    version: Version | msgspec.UnsetType = msgspec.UNSET

    def __repr__(self) -> str:
        return "SettingsBody()"


_ROUTING = {
    "fallbackStrategy": "fallback_strategy",
    "stickyRoundRobinLimit": "sticky_round_robin_limit",
    "sessionAffinity": "session_affinity",
    "earlyHeadersS": "early_headers_s",
    "progressS": "progress_s",
    "explainsAll": "explains_all",
    "blockedProviders": "blocked_providers",
    "setupComplete": "setup_complete",
    "theme": "theme",
    "language": "language",
    "instanceName": "instance_name",
}
_ALIASES = {"accountStrategy": "fallbackStrategy", "stickyLimit": "stickyRoundRobinLimit"}
_KNOWN = frozenset(field.encode_name for field in msgspec.structs.fields(SettingsBody))


@get("/api/settings")
async def get_settings(plane: NamedDependency[Plane]) -> dict[str, Any]:
    async with plane.database.read() as connection:
        return await _view(connection)


@patch("/api/settings")
async def patch_settings(
    data: JSONBody[dict[str, Any]],
    request: Request[Any, Any, Any],
    plane: NamedDependency[Plane],
    if_match: IfMatch = None,
) -> Response[dict[str, Any]]:
    return await _change(data, request, plane, if_match)


@put("/api/settings")
async def put_settings(
    data: JSONBody[dict[str, Any]],
    request: Request[Any, Any, Any],
    plane: NamedDependency[Plane],
    if_match: IfMatch = None,
) -> Response[dict[str, Any]]:
    """The documents of the seed say PUT where its code says PATCH: both change only what is given."""
    return await _change(data, request, plane, if_match)


async def _change(
    data: dict[str, Any], request: Request[Any, Any, Any], plane: Plane, if_match: str | None
) -> Response[dict[str, Any]]:
    body = _read(data)
    if body.require_login is False:
        raise bad_request(("requireLogin", "cannot be switched off: the admin API always asks who you are"))
    password_hash = await _checked_new_password(body, plane, request.scope["state"]["peer"])
    async with plane.change() as change:
        rows = await load_settings(change.connection)
        check_version(version_of(rows), if_match, body.version)
        await _store(change, rows, body, data)
        if password_hash:
            user_id = (await user_of(plane)).id
            await set_password_hash(change.connection, password_hash, plane.now(), user_id)
            token = request.scope["state"]["session_token"]
            await delete_sessions(change.connection, but=hash_token(token) if token else "", user_id=user_id)
        view = await _view(change.connection)
    return saved(view, await plane.published(), version=view["version"])


def _read(data: dict[str, Any]) -> SettingsBody:
    """Raises 400 that names every unknown field, or the first wrong one."""
    named = {_ALIASES.get(name, name): value for name, value in data.items()}
    unknown = sorted(set(named) - _KNOWN)
    if unknown:
        raise bad_request(*((name, _why_not(name)) for name in unknown))
    try:
        return msgspec.convert(named, SettingsBody)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$.")
        raise bad_request((path.rstrip("`") or "body", message)) from error


def _why_not(name: str) -> str:
    elsewhere = SETTINGS_ELSEWHERE.get(name)
    return f"is not set here: {elsewhere}" if elsewhere else "is not a setting of this version"


async def _checked_new_password(body: SettingsBody, plane: Plane, peer: str) -> str:
    """The hash of the new password; empty when there is none. Raises 400, 401 or 429."""
    if body.new_password is msgspec.UNSET:
        return ""
    if body.current_password is msgspec.UNSET:
        raise bad_request(("currentPassword", "is missing"))
    password_hash = await new_password_hash(plane, body.new_password)
    await check_password(plane, (await user_of(plane)).name, body.current_password, peer)
    return password_hash


async def _store(change: Change, rows: Mapping[str, SettingRow], body: SettingsBody, data: dict[str, Any]) -> None:
    given: dict[str, Any] = {
        name: value for name, field in _ROUTING.items() if (value := getattr(body, field)) is not msgspec.UNSET
    }
    if body.provider_strategies is not msgspec.UNSET:
        before = rows["providerStrategies"].value if "providerStrategies" in rows else {}
        chosen = {**before, **msgspec.to_builtins(body.provider_strategies)}
        given["providerStrategies"] = {name: strategy for name, strategy in chosen.items() if strategy is not None}
        if len(given["providerStrategies"]) > MAX_STRATEGIES:
            raise bad_request(("providerStrategies", f"at most {MAX_STRATEGIES}"))
    if body.timeouts is not msgspec.UNSET:
        before = rows["timeouts"].value if "timeouts" in rows else {}
        given["timeouts"] = {**before, **msgspec.to_builtins(body.timeouts)}
    if body.waiting is not msgspec.UNSET:
        before = rows["waiting"].value if "waiting" in rows else {}
        given["waiting"] = {**before, **msgspec.to_builtins(body.waiting)}
    if body.resilience is not msgspec.UNSET:
        before = rows["resilience"].value if "resilience" in rows else {}
        given["resilience"] = {**before, **{name: getattr(body.resilience, name) for name in data["resilience"]}}
    if body.tier_budgets is not msgspec.UNSET:
        before = rows["tierBudgets"].value if "tierBudgets" in rows else {}
        named = {**before, **dict.fromkeys(data["tierBudgets"]), **msgspec.to_builtins(body.tier_budgets)}
        given["tierBudgets"] = {tier: budget for tier, budget in named.items() if budget is not None}
    if body.retry_budget is not msgspec.UNSET:
        before = rows["retryBudget"].value if "retryBudget" in rows else {}
        given["retryBudget"] = {**before, **{name: getattr(body.retry_budget, name) for name in data["retryBudget"]}}
    if body.cache is not msgspec.UNSET:
        before = rows["cache"].value if "cache" in rows else {}
        named = {name: value for name, value in msgspec.to_builtins(body.cache).items() if name in data["cache"]}
        if "semantic" in named:
            asked = {name: named["semantic"][name] for name in data["cache"]["semantic"]}
            named["semantic"] = {**before.get("semantic", {}), **asked}
        given["cache"] = {**before, **named}
    if body.backups is not msgspec.UNSET:
        before = rows["backups"].value if "backups" in rows else {}
        given["backups"] = {**before, **{name: getattr(body.backups, name) for name in data["backups"]}}
    if body.sharing is not msgspec.UNSET:
        before = rows["sharing"].value if "sharing" in rows else {}
        given["sharing"] = {**before, **{name: getattr(body.sharing, name) for name in data["sharing"]}}
    if body.logs is not msgspec.UNSET:
        before = rows["logs"].value if "logs" in rows else {}
        given["logs"] = {**before, **{name: getattr(body.logs, name) for name in data["logs"]}}
    if body.shaping is not msgspec.UNSET:
        before = rows["shaping"].value if "shaping" in rows else {}
        given["shaping"] = {
            **before,
            **{name: value for name, value in msgspec.to_builtins(body.shaping).items() if name in data["shaping"]},
        }
    await keep_settings(change, given)


async def _view(connection: AsyncConnection) -> dict[str, Any]:
    rows = await load_settings(connection)
    default = RoutingSettings()
    stored = {row.name: row.value for row in rows.values() if row.name in _KNOWN}
    return {
        "fallbackStrategy": default.account_strategy,
        "stickyRoundRobinLimit": default.sticky_limit,
        "providerStrategies": {},
        "earlyHeadersS": default.early_headers_s,
        "sessionAffinity": default.session_affinity,
        "tierBudgets": {},
        "progressS": default.progress_s,
        "explainsAll": default.explains_all,
        "blockedProviders": [],
        "requireLogin": True,
        "setupComplete": True,
        **stored,
        "timeouts": {**msgspec.structs.asdict(Timeouts()), **stored.get("timeouts", {})},
        "waiting": {**msgspec.structs.asdict(Waiting()), **stored.get("waiting", {})},
        "resilience": {**msgspec.structs.asdict(Resilience()), **stored.get("resilience", {})},
        "retryBudget": {**msgspec.structs.asdict(RetryBudget()), **stored.get("retryBudget", {})},
        "cache": _cache_view(stored.get("cache", {})),
        "backups": {**msgspec.structs.asdict(BackupPlan()), **stored.get("backups", {})},
        "logs": {**msgspec.to_builtins(LogSettings()), **stored.get("logs", {})},
        "sharing": {**msgspec.to_builtins(SharingSettings()), **stored.get("sharing", {})},
        "shaping": {**msgspec.to_builtins(Shaping()), **stored.get("shaping", {})},
        "managed": [row.name for row in rows.values() if row.managed],
        "version": version_of(rows),
    }


def _cache_view(stored: dict[str, Any]) -> dict[str, Any]:
    default = msgspec.to_builtins(CacheSettings())
    return {**default, **stored, "semantic": {**default["semantic"], **stored.get("semantic", {})}}


handlers = (get_settings, patch_settings, put_settings)
