"""Gateway keys: `/api/keys`. A secret is in the answer that made it (POST, rotate) and nowhere else."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, Parameter, QueryParameter

from admin_api.http.answers import saved
from admin_api.http.errors import bad_request, conflict, not_found
from admin_api.http.paging import MAX_PAGE, Cursor, Limit, load_page
from admin_api.http.versions import IfMatch, Version, check_version
from admin_api.services.key_rules import NANO, nano_usd, new_key_row, rotated, with_budgets
from admin_api.services.key_usage import course_of_key, usage_of_keys
from admin_api.services.plane import Plane
from admin_api.services.usage_views import Range
from admin_api.store.keys import KeyBudget, KeyRow, bury_key, keys, named_like
from gateway.config.addresses import network_of
from gateway.config.file_shape import BudgetPeriod, KeyPriority
from gateway.config.keys import new_key_secret
from gateway.config.snapshot import ShapingStep
from gateway.domain.caching import CacheSwitch

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_Model = Annotated[str, msgspec.Meta(min_length=1, max_length=400)]
_Models = Annotated[list[_Model], msgspec.Meta(max_length=1000)]
_Limit = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
_Money = Annotated[float, msgspec.Meta(ge=0, le=1_000_000_000)]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Instant = Annotated[float, msgspec.Meta(ge=0, le=1e11)]


_Range = Annotated[
    Range | None,
    QueryParameter(name="range", required=False, description="Also what was used in it (whole UTC days), as `usage`."),
]
_Paths = Annotated[
    list[Annotated[str, msgspec.Meta(pattern=r"^/[A-Za-z0-9_/.:{}*?-]*$", max_length=200)]],
    msgspec.Meta(max_length=100),
]
_Addresses = Annotated[list[Annotated[str, msgspec.Meta(min_length=1, max_length=60)]], msgspec.Meta(max_length=500)]


class KeyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Limits of 0 mean none; `expiresAt` is unix seconds, 0 = never; empty lists of what is allowed = all.

    `allowedEndpoints` are paths of the API with `*` (`/v1/chat/*`), `allowedIps` addresses and CIDR ranges.
    `warningThreshold` is the part of the budget, 0..1, from which callers are told in a header; 0 = never. A key may have a
    second budget, of another period.
    """

    name: _Name | msgspec.UnsetType = msgspec.UNSET
    allowed_models: _Models | msgspec.UnsetType | None = msgspec.UNSET
    no_log: bool | msgspec.UnsetType = msgspec.UNSET
    rpm: _Limit | msgspec.UnsetType = msgspec.UNSET
    tpm: _Limit | msgspec.UnsetType = msgspec.UNSET
    concurrency: _Limit | msgspec.UnsetType = msgspec.UNSET
    budget_usd: _Money | msgspec.UnsetType = msgspec.UNSET
    budget_period: BudgetPeriod | Literal[""] | msgspec.UnsetType = msgspec.UNSET
    priority: KeyPriority | msgspec.UnsetType = msgspec.UNSET
    strict: bool | msgspec.UnsetType = msgspec.UNSET
    cache_scope: Annotated[str, msgspec.Meta(max_length=100)] | msgspec.UnsetType = msgspec.UNSET
    cache: CacheSwitch | msgspec.UnsetType = msgspec.UNSET
    single_flight: CacheSwitch | msgspec.UnsetType = msgspec.UNSET
    store_bodies: CacheSwitch | msgspec.UnsetType = msgspec.UNSET
    unshaped: Annotated[list[ShapingStep], msgspec.Meta(max_length=10)] | msgspec.UnsetType = msgspec.UNSET
    expires_at: _Instant | msgspec.UnsetType = msgspec.UNSET
    is_active: bool | msgspec.UnsetType = msgspec.UNSET
    allowed_providers: _Models | msgspec.UnsetType | None = msgspec.UNSET
    allowed_endpoints: _Paths | msgspec.UnsetType | None = msgspec.UNSET
    allowed_ips: _Addresses | msgspec.UnsetType | None = msgspec.UNSET
    warning_threshold: _Share | msgspec.UnsetType = msgspec.UNSET
    second_budget_usd: _Money | msgspec.UnsetType = msgspec.UNSET
    second_budget_period: BudgetPeriod | Literal[""] | msgspec.UnsetType = msgspec.UNSET
    second_warning_threshold: _Share | msgspec.UnsetType = msgspec.UNSET
    version: Version | msgspec.UnsetType = msgspec.UNSET


class RotateBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """For `overlapS` seconds the secret of before is valid beside the new one; 0 = it ends at once."""

    overlap_s: Annotated[float, msgspec.Meta(ge=0, le=90 * 86_400)] = 86_400.0
    version: Version | msgspec.UnsetType = msgspec.UNSET


@get("/api/keys")
async def list_keys(
    plane: NamedDependency[Plane],
    limit: Limit = None,
    cursor: Cursor = "",
    search: FromQuery[Annotated[str, Parameter(max_length=200)]] = "",
    wanted: _Range = None,
) -> dict[str, Any]:
    """Newest first; `search` is a part of the name. 500 of them without a limit, since there may be very many."""
    where = named_like(search)
    async with plane.database.read() as connection:
        rows, after = await load_page(connection, keys, limit or MAX_PAGE, cursor, *where, is_reversed=True)
        used = await usage_of_keys(connection, rows, wanted, plane.now()) if wanted else [{} for _ in rows]
    return {"keys": [key_view(row) | one for row, one in zip(rows, used, strict=True)], "nextCursor": after}


@post("/api/keys")
async def create_key(data: JSONBody[KeyBody], plane: NamedDependency[Plane]) -> Response[dict[str, Any]]:
    if data.name is msgspec.UNSET:
        raise bad_request(("name", "is missing"))
    secret = new_key_secret()
    async with plane.change() as change:
        row = _changed(new_key_row(plane, secret, data.name, change.revision), data)
        await keys.insert(change.connection, row)
    return saved({**key_view(row), "key": secret}, await plane.published(), status=201)


@get("/api/keys/{key_id:str}")
async def get_key(key_id: FromPath[str], plane: NamedDependency[Plane], wanted: _Range = None) -> dict[str, Any]:
    """With `range` also the course of what was used, by day, as `trend`."""
    async with plane.database.read() as connection:
        row = await keys.get(connection, key_id)
        if row is None:
            raise not_found("key", key_id)
        if wanted is None:
            return key_view(row)
        used = (await usage_of_keys(connection, [row], wanted, plane.now()))[0]
        return key_view(row) | used | {"trend": await course_of_key(connection, key_id, wanted, plane.now())}


@patch("/api/keys/{key_id:str}")
async def change_key(
    key_id: FromPath[str], data: JSONBody[KeyBody], plane: NamedDependency[Plane], if_match: IfMatch = None
) -> Response[dict[str, Any]]:
    async with plane.change() as change:
        row = _own(await keys.get(change.connection, key_id), key_id)
        check_version(row.version, if_match, data.version)
        row = msgspec.structs.replace(
            _changed(row, data), version=row.version + 1, revision=change.revision, updated_at=plane.now()
        )
        await keys.replace(change.connection, row)
    return saved(key_view(row), await plane.published(), version=row.version)


@post("/api/keys/{key_id:str}/rotate", status_code=200)
async def rotate_key(
    key_id: FromPath[str],
    plane: NamedDependency[Plane],
    data: JSONBody[RotateBody | None] = None,
    if_match: IfMatch = None,
) -> Response[dict[str, Any]]:
    """A new secret for the same key: limits and budget go on counting. The secret is in this answer only."""
    asked = data or RotateBody()
    secret, now = new_key_secret(), plane.now()
    async with plane.change() as change:
        row = _own(await keys.get(change.connection, key_id), key_id)
        check_version(row.version, if_match, asked.version)
        ended = [row.old_digest] if row.old_digest else []
        if not asked.overlap_s:
            ended.append(row.digest)
        row = rotated(row, secret, plane, until=now + asked.overlap_s if asked.overlap_s else 0.0)
        row = msgspec.structs.replace(row, version=row.version + 1, revision=change.revision, updated_at=now)
        await keys.replace(change.connection, row)
        for digest in ended:
            await bury_key(change.connection, digest, change.revision, now)
    return saved({**key_view(row), "key": secret}, await plane.published(), version=row.version)


@delete("/api/keys/{key_id:str}", status_code=200)
async def delete_key(
    key_id: FromPath[str], plane: NamedDependency[Plane], if_match: IfMatch = None
) -> Response[dict[str, Any]]:
    async with plane.change() as change:
        row = _own(await keys.get(change.connection, key_id), key_id)
        check_version(row.version, if_match)
        await keys.delete(change.connection, key_id)
        for digest in row.digests:
            await bury_key(change.connection, digest, change.revision, plane.now())
    return saved({"success": True, "message": "Key deleted successfully"}, await plane.published())


def key_view(row: KeyRow) -> dict[str, Any]:
    """A key as the API shows it: the secret masked."""
    return {
        "id": row.id,
        "name": row.name,
        "key": row.hint,
        "allowedModels": row.allowed_models,
        "noLog": row.is_no_log,
        "rpm": row.rpm,
        "tpm": row.tpm,
        "concurrency": row.concurrency,
        "budgetUsd": row.budget_nano_usd / NANO,
        "budgetPeriod": row.budget_period,
        "priority": row.priority,
        "strict": row.is_strict,
        "cacheScope": row.cache_scope,
        "cache": row.cache,
        "singleFlight": row.single_flight,
        "storeBodies": row.store_bodies,
        "unshaped": row.unshaped,
        "expiresAt": row.expires_at,
        "isActive": row.is_active,
        "allowedProviders": row.allowed_providers,
        "allowedEndpoints": row.allowed_endpoints,
        "allowedIps": row.allowed_ips,
        "warningThreshold": row.warn_share,
        "secondBudgetUsd": row.second_budget_nano_usd / NANO,
        "secondBudgetPeriod": row.second_budget_period,
        "secondWarningThreshold": row.second_warn_share,
        "oldSecretUntil": row.old_until if row.old_digest else None,
        "managed": row.managed,
        "version": row.version,
        "createdAt": row.created_at,
        "updatedAt": row.updated_at,
    }


def _own(row: KeyRow | None, key_id: str) -> KeyRow:
    if row is None:
        raise not_found("key", key_id)
    if row.managed:
        raise conflict(f"the key {row.name!r} is managed by the config file: change it there")
    return row


def _changed(row: KeyRow, data: KeyBody) -> KeyRow:
    given = {
        name: getattr(data, field) for field, name in _COLUMNS.items() if getattr(data, field) is not msgspec.UNSET
    }
    given = {name: [] if value is None else value for name, value in given.items()}
    if data.allowed_ips:
        _check_addresses(data.allowed_ips)
    if data.budget_usd is not msgspec.UNSET:
        given["budget_nano_usd"] = nano_usd(data.budget_usd)
    if data.second_budget_usd is not msgspec.UNSET:
        given["second_budget_nano_usd"] = nano_usd(data.second_budget_usd)
    row = msgspec.structs.replace(row, **given)
    if row.budget_nano_usd and not row.budget_period:
        row = msgspec.structs.replace(row, budget_period="monthly")
    return with_budgets(row, _checked(row.budgets)) if row.second_budget_nano_usd else row


def _checked(budgets: tuple[KeyBudget, ...]) -> tuple[KeyBudget, ...]:
    """Two budgets of one period would be one; a period has to be said."""
    periods = [budget.period for budget in budgets]
    if not all(periods):
        raise bad_request(("secondBudgetPeriod", "is missing"))
    if len(set(periods)) < len(periods):
        raise bad_request(("secondBudgetPeriod", "is that of the first budget"))
    return budgets


_COLUMNS = {
    "name": "name",
    "allowed_models": "allowed_models",
    "no_log": "is_no_log",
    "rpm": "rpm",
    "tpm": "tpm",
    "concurrency": "concurrency",
    "budget_period": "budget_period",
    "priority": "priority",
    "strict": "is_strict",
    "cache_scope": "cache_scope",
    "cache": "cache",
    "single_flight": "single_flight",
    "store_bodies": "store_bodies",
    "unshaped": "unshaped",
    "expires_at": "expires_at",
    "is_active": "is_active",
    "allowed_providers": "allowed_providers",
    "allowed_endpoints": "allowed_endpoints",
    "allowed_ips": "allowed_ips",
    "warning_threshold": "warn_share",
    "second_budget_period": "second_budget_period",
    "second_warning_threshold": "second_warn_share",
}


def _check_addresses(addresses: list[str]) -> None:
    problems = [
        (f"allowedIps[{index}]", "must be an address, a CIDR range, or like 10.0.*.*")
        for index, text in enumerate(addresses)
        if network_of(text) is None
    ]
    if problems:
        raise bad_request(*problems)


handlers = (list_keys, create_key, get_key, change_key, rotate_key, delete_key)
