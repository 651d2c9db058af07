"""Who may come in at all: `/api/settings/ip-filter`. Owners only. What would shut out who sets it is refused."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody

from admin_api.auth.addresses import NAME
from admin_api.http.answers import saved
from admin_api.http.errors import bad_request, conflict
from admin_api.http.versions import IfMatch, Version, check_version
from admin_api.services.keep_settings import keep_settings, load_settings
from admin_api.services.plane import Plane
from admin_api.store.settings import SettingRow
from gateway.admission.gate import Gate
from gateway.config.addresses import network_of
from gateway.domain.ip_filter import MAX_ENTRIES, Address, IpFilter, TempBan

BAN_S = 3600.0

_List = Annotated[list[Address], msgspec.Meta(max_length=MAX_ENTRIES)]
_Unset = msgspec.UnsetType


class BanBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    ip: Address
    duration_s: Annotated[float, msgspec.Meta(gt=0, le=366 * 86_400)] = BAN_S
    reason: Annotated[str, msgspec.Meta(max_length=200)] = ""


class FilterBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What is left out keeps its value. `rpm`: requests a minute from one address. `force` allows to shut oneself out."""

    enabled: bool | _Unset = msgspec.UNSET
    mode: Literal["blacklist", "whitelist", "whitelist-priority"] | _Unset = msgspec.UNSET
    blacklist: _List | _Unset = msgspec.UNSET
    whitelist: _List | _Unset = msgspec.UNSET
    add_blacklist: _List | Address = []
    remove_blacklist: _List | Address = []
    add_whitelist: _List | Address = []
    remove_whitelist: _List | Address = []
    temp_ban: BanBody | None = None
    remove_ban: Address | None = None
    rpm: Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)] | _Unset = msgspec.UNSET
    force: bool = False
    version: Version | _Unset = msgspec.UNSET


@get("/api/settings/ip-filter")
async def get_filter(plane: NamedDependency[Plane]) -> dict[str, Any]:
    async with plane.database.read() as connection:
        return _view((await load_settings(connection)).get(NAME), plane.now())


@put("/api/settings/ip-filter")
async def put_filter(
    data: JSONBody[FilterBody], plane: NamedDependency[Plane], if_match: IfMatch = None
) -> Response[dict[str, Any]]:
    async with plane.change() as change:
        row = (await load_settings(change.connection)).get(NAME)
        check_version(row.version if row else 0, if_match, data.version)
        rules = _changed(_rules(row), data, plane.now())
        address = plane.actor.address
        if not data.force and Gate(rules).judge(address, plane.now()):
            raise conflict(f"this would shut you out, who come from {address}: send force: true if that is meant")
        await keep_settings(change, {NAME: msgspec.to_builtins(rules)})
        view = _view((await load_settings(change.connection)).get(NAME), plane.now())
    return saved(view, await plane.published(), version=view["version"])


def _rules(row: SettingRow | None) -> IpFilter:
    return msgspec.convert(row.value, IpFilter) if row else IpFilter()


def _changed(rules: IpFilter, data: FilterBody, now: float) -> IpFilter:
    given: dict[str, Any] = {
        name: value for name in ("enabled", "mode", "rpm") if (value := getattr(data, name)) is not msgspec.UNSET
    }
    for name in ("blacklist", "whitelist"):
        whole = getattr(data, name)
        entries = list(getattr(rules, name) if whole is msgspec.UNSET else whole)
        entries += _many(getattr(data, f"add_{name}"))
        gone = set(_many(getattr(data, f"remove_{name}")))
        given[name] = tuple(dict.fromkeys(entry for entry in entries if entry not in gone))
        _check(name, given[name])
    bans = [ban for ban in rules.temp_bans if ban.until > now and ban.ip != data.remove_ban]
    if data.temp_ban is not None:
        _check("tempBan", (data.temp_ban.ip,))
        bans = [ban for ban in bans if ban.ip != data.temp_ban.ip]
        bans.append(TempBan(data.temp_ban.ip, now + data.temp_ban.duration_s, data.temp_ban.reason))
    if len(bans) > MAX_ENTRIES:
        raise bad_request(("tempBan", f"there are {MAX_ENTRIES} bans already"))
    return msgspec.structs.replace(rules, **given, temp_bans=tuple(bans))


def _many(given: list[str] | str) -> list[str]:
    return [given] if isinstance(given, str) else given


def _check(field: str, entries: tuple[str, ...]) -> None:
    if len(entries) > MAX_ENTRIES:
        raise bad_request((field, f"may hold {MAX_ENTRIES} entries"))
    problems = [
        (f"{field}[{index}]", f"{entry!r} is no address, no CIDR range, and not like 10.0.*.*")
        for index, entry in enumerate(entries)
        if network_of(entry) is None
    ]
    if problems:
        raise bad_request(*problems)


def _view(row: SettingRow | None, now: float) -> dict[str, Any]:
    rules = _rules(row)
    return {
        "enabled": rules.enabled,
        "mode": rules.mode,
        "blacklist": list(rules.blacklist),
        "whitelist": list(rules.whitelist),
        "tempBans": [msgspec.structs.asdict(ban) for ban in rules.temp_bans if ban.until > now],
        "rpm": rules.rpm,
        "version": row.version if row else 0,
    }


handlers = (get_filter, put_filter)
