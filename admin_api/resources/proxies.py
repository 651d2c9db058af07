"""Proxies by level: `/api/settings/proxy`. A connection's own counts first, then its provider's, then that of all.

That of all is not for nodes in a private network (`allowPrivate`). A proxy that cannot be used is never passed by. The
seed's levels `combo` and `key` (a gateway key there) are refused: the way to a provider does not depend on who asks.
"""

import time
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

import msgspec
from litestar import Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody

from admin_api.http.answers import saved
from admin_api.http.errors import bad_request, not_found
from admin_api.services.find_provider import find_provider
from admin_api.services.keep_settings import PROXIES, keep_settings, load_proxies
from admin_api.services.node_rules import proxy_problem
from admin_api.services.ownership import editable
from admin_api.services.plane import Plane
from admin_api.store.connections import connections
from admin_api.store.database import Change
from admin_api.store.nodes import nodes
from gateway.config.addresses import shown_proxy
from gateway.config.snapshot import proxy_owner
from gateway.domain.target import Connection
from gateway.upstream.seam import UpstreamFault

_Url = Annotated[str, msgspec.Meta(max_length=2048)]
_Text = Annotated[str, msgspec.Meta(max_length=400)]
_PORTS = {"http": 8080, "https": 443, "socks5": 1080, "socks5h": 1080}
_UNSUPPORTED = "is not a level of this version: give the proxy to connections, to a provider, or to all"


class ProxyParts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A proxy in parts, as the seed has it."""

    host: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    type: Literal["http", "https", "socks5", "socks5h"] = "http"
    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)] | str | None = None
    username: _Text = ""
    password: _Text = ""

    def __repr__(self) -> str:
        return f"ProxyParts(type={self.type!r}, host={self.host!r})"


_Given = _Url | ProxyParts | None


class ProxyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`{level, id, proxy}` for one level (`id` of a provider or a connection), or the maps. null or "" takes one away."""

    level: Literal["global", "provider", "connection", "combo", "key"] | None = None
    id: _Text = ""
    proxy: _Given = None
    global_: _Given | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="global")
    providers: Annotated[dict[str, _Given], msgspec.Meta(max_length=500)] = {}
    combos: dict[str, Any] = {}
    keys: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"ProxyBody(level={self.level!r}, id={self.id!r})"


class ProxyTestBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """`provider` is who is to be reached through it; left out: the first that is connected."""

    proxy: _Url | ProxyParts
    provider: _Text = ""

    def __repr__(self) -> str:
        return f"ProxyTestBody(provider={self.provider!r})"


@get("/api/settings/proxy")
async def get_proxies(
    plane: NamedDependency[Plane],
    level: FromQuery[str] = "",
    id: FromQuery[str] = "",  # noqa: A002  (the seed's word)
    resolve: FromQuery[str] = "",
) -> dict[str, Any]:
    """Without credentials. `?resolve=` a connection's id: which one counts there; a connection's own is not shown."""
    async with plane.database.read() as connection:
        kept = await load_proxies(connection)
        if resolve:
            row = await connections.get(connection, resolve)
            if row is None:
                raise not_found("connection", resolve)
            node = await nodes.get(connection, row.provider)
            if row.proxy:
                return {"level": "connection", "id": row.id, "proxy": "…"}
            if row.provider in kept:
                return {"level": "provider", "id": row.provider, "proxy": kept[row.provider]["hint"]}
            if "" in kept and not (node is not None and node.allow_private):
                return {"level": "global", "id": None, "proxy": kept[""]["hint"]}
            return {"level": None, "id": None, "proxy": None}
    if level in ("global", "provider"):
        name = "" if level == "global" else id
        return {"level": level, "id": id or None, "proxy": kept[name]["hint"] if name in kept else None}
    if level:
        raise bad_request(("level", "must be global or provider"))
    return {
        "global": kept[""]["hint"] if "" in kept else None,
        "providers": {name: one["hint"] for name, one in kept.items() if name},
    }


@put("/api/settings/proxy")
async def put_proxies(data: JSONBody[ProxyBody], plane: NamedDependency[Plane]) -> Response[dict[str, Any]]:
    for name in ("combos", "keys"):
        if getattr(data, name):
            raise bad_request((name, _UNSUPPORTED))
    if data.level in ("combo", "key"):
        raise bad_request(("level", _UNSUPPORTED))
    wanted: dict[str, _Given] = dict(data.providers)
    if data.global_ is not msgspec.UNSET:
        wanted[""] = data.global_
    if data.level == "global":
        wanted[""] = data.proxy
    elif data.level is not None and not data.id:
        raise bad_request(("id", "is missing"))
    elif data.level == "provider":
        wanted[data.id] = data.proxy
    async with plane.change() as change:
        if data.level == "connection":
            await _set_of_connection(plane, change, data.id, data.proxy)
        if wanted:
            await _set_of_levels(plane, change, wanted)
        kept = await load_proxies(change.connection)
    view = {
        "success": True,
        "global": kept[""]["hint"] if "" in kept else None,
        "providers": {name: one["hint"] for name, one in kept.items() if name},
    }
    return saved(view, await plane.published())


@delete("/api/settings/proxy", status_code=200)
async def delete_proxy(
    plane: NamedDependency[Plane],
    level: FromQuery[str] = "",
    id: FromQuery[str] = "",  # noqa: A002  (as above)
) -> Response[dict[str, Any]]:
    if level not in ("global", "provider", "connection"):
        raise bad_request(("level", "must be global, provider or connection"))
    if level != "global" and not id:
        raise bad_request(("id", "is missing"))
    async with plane.change() as change:
        if level == "connection":
            await _set_of_connection(plane, change, id, None)
        else:
            await _set_of_levels(plane, change, {"" if level == "global" else id: None})
    return saved({"success": True}, await plane.published())


@post("/api/settings/proxy/test", status_code=200)
async def check_proxy(data: JSONBody[ProxyTestBody], plane: NamedDependency[Plane]) -> dict[str, Any]:
    """Reach a provider through it. Any answer will do; nobody is asked for the address that it is seen with (`publicIp`)."""
    url = _url(data.proxy)
    where, allow_private = await _destination(plane, data.provider)
    connection = Connection(
        id="proxy-to-test",
        name="proxy-to-test",
        provider="proxy-to-test",
        prefix="proxy-to-test",
        dialect="openai_chat",
        paths={},
        headers=(),
        transport="curl",
        allow_private=allow_private,
        proxy=url,
    )
    began = time.perf_counter()
    answer: dict[str, Any] = {"publicIp": None, "proxyUrl": shown_proxy(url), "reached": urlsplit(where).netloc}
    try:
        reply = await plane.provider_calls.ask(connection, where)
    except UpstreamFault as fault:
        return {"success": False, "error": str(fault), "code": fault.kind, **answer, "latencyMs": None}
    latency_ms = round((time.perf_counter() - began) * 1000, 1)
    if reply.status == 407:
        return {
            "success": False,
            "error": "the proxy wants other credentials",
            "code": "407",
            **answer,
            "latencyMs": None,
        }
    return {"success": True, "error": None, "code": str(reply.status), **answer, "latencyMs": latency_ms}


async def _destination(plane: Plane, name: str) -> tuple[str, bool]:
    """A URL of the provider, and whether it may be in a private network. Raises 400."""
    async with plane.database.read() as connection:
        if not name:
            rows = [row for row in await connections.load_all(connection) if row.is_active]
            if not rows:
                raise bad_request(("provider", "is missing: nobody is connected yet"))
            name = rows[0].provider
        provider, node = await find_provider(plane, connection, name)
    if node is not None:
        return f"{node.base_url}/models", node.allow_private
    spec = plane.specs[provider]
    return spec.base_url + spec.paths.get("models", "/"), False


async def _set_of_levels(plane: Plane, change: Change, wanted: dict[str, _Given]) -> None:
    kept = await load_proxies(change.connection)
    for name, given in wanted.items():
        if not given and name in kept:  # also of a provider that is gone
            del kept[name]
            continue
        level = (await find_provider(plane, change.connection, name, "id"))[0] if name else ""
        if not given:
            kept.pop(level, None)
            continue
        url = _url(given)
        kept[level] = {"proxy": plane.seal(url, proxy_owner(level)), "hint": shown_proxy(url)}
    await keep_settings(change, {PROXIES: kept})


async def _set_of_connection(plane: Plane, change: Change, connection_id: str, given: _Given) -> None:
    old = editable(await connections.get(change.connection, connection_id), "connection", connection_id)
    sealed = plane.seal(_url(given), old.id) if given else ""
    row = msgspec.structs.replace(old, proxy=sealed, updated_at=plane.now(), version=change.revision)
    await connections.replace(change.connection, row)


def _url(given: str | ProxyParts) -> str:
    """Raises 400."""
    url = given if isinstance(given, str) else _joined(given)
    if problem := proxy_problem(url):
        raise bad_request(("proxy", problem))
    return url


def _joined(parts: ProxyParts) -> str:
    who = quote(parts.username, safe="")
    if parts.password:
        who += ":" + quote(parts.password, safe="")
    host = f"[{parts.host}]" if ":" in parts.host else parts.host
    return f"{parts.type}://{who + '@' if who else ''}{host}:{parts.port or _PORTS[parts.type]}"


handlers = (get_proxies, put_proxies, delete_proxy, check_proxy)
