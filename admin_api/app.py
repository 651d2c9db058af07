"""Composition root: makes the plane's objects and the ASGI application around them."""

import time
from collections.abc import Callable
from typing import Any

from litestar import Litestar, Request
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.types import ASGIApp, Receive, Scope, Send
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from admin_api.auth.addresses import AddressFilter
from admin_api.auth.guard import Guard, GuardRules
from admin_api.http.bundle import Bundle
from admin_api.http.errors import (
    ApiError,
    answer_api_error,
    answer_bug,
    answer_database_failure,
    answer_http_exception,
    answer_too_deep,
)
from admin_api.publish import Publisher
from admin_api.resources import (
    audit,
    auth,
    backups,
    budgets,
    cache,
    combos,
    credentials,
    health,
    ip_filter,
    keys,
    live,
    logs,
    models,
    names,
    nodes,
    pages,
    policies,
    pricing,
    provider_tests,
    providers,
    proxies,
    proxy_log,
    quotas,
    rate_limits,
    resilience,
    routing,
    seed_settings,
    sessions,
    settings,
    storage,
    tokens,
    translator,
    usage,
    usage_views,
    users,
)
from admin_api.services.live import Live
from admin_api.services.plane import Plane
from admin_api.services.shipped_prices import shipped_prices
from admin_api.services.simulate import Simulator
from admin_api.store.database import open_database
from admin_api.store.faults import FAILURES
from gateway import __version__
from gateway.config.settings import Settings
from gateway.providers.load import load_specs
from gateway.state.cache_admin import connect_cache_store
from gateway.state.client import make_client

MAX_BODY_BYTES = 1 << 20
RESOURCES = (
    auth,
    settings,
    seed_settings,
    proxies,
    nodes,
    providers,
    provider_tests,
    combos,
    keys,
    names,
    models,
    usage,
    usage_views,
    proxy_log,
    quotas,
    credentials,
    pricing,
    health,
    storage,
    resilience,
    rate_limits,
    routing,
    translator,
    sessions,
    cache,
    audit,
    logs,
    users,
    tokens,
    ip_filter,
    policies,
    backups,
    budgets,
    live,
    pages,
)


def build_plane(settings: Settings, redis: Redis, now: Callable[[], float] = time.time) -> Plane:
    """Make the objects of one admin process. Nothing is opened yet."""
    database = open_database(settings.database_url, settings.data_dir)
    shipped = shipped_prices()
    return Plane(
        settings=settings,
        database=database,
        redis=redis,
        cache_store=connect_cache_store(settings.redis_cache_url) if settings.redis_cache_url else None,
        publisher=Publisher(database, redis, is_demo_enabled=settings.is_demo_enabled, now=now, shipped_prices=shipped),
        specs=load_specs(),
        now=now,
        shipped_prices=shipped,
    )


def connect_redis(url: str) -> Redis:
    """A client that fails fast: whoever calls it has a limit and a way to go on."""
    return make_client(
        url,
        socket_connect_timeout=1.0,
        socket_timeout=5.0,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
        max_connections=256,
    )


class _Behind:
    """The routes with the objects of one process: routes know none, and find these in the scope's state."""

    def __init__(self, routes: ASGIApp, plane: Plane) -> None:
        self._routes = routes
        self._objects = {"plane": plane, "simulator": Simulator(plane), "live": Live(plane), "bundle": Bundle()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state: dict[str, Any] = scope.setdefault("state", {})
        state |= self._objects
        await self._routes(scope, receive, send)


def _provide_plane(request: Request[Any, Any, Any]) -> Plane:
    """The plane on behalf of whoever the guard let in."""
    state = request.scope["state"]
    plane: Plane = state["plane"]
    return plane.acting_as(state.get("actor", plane.actor))


def _provide_simulator(request: Request[Any, Any, Any]) -> Simulator:
    simulator: Simulator = request.scope["state"]["simulator"]
    return simulator


def _provide_live(request: Request[Any, Any, Any]) -> Live:
    feed: Live = request.scope["state"]["live"]
    return feed


def _provide_bundle(request: Request[Any, Any, Any]) -> Bundle:
    bundle: Bundle = request.scope["state"]["bundle"]
    return bundle


def build_routes() -> Litestar:
    """The routes alone, without the guard and the objects that they work on. Takes a fifth of a second."""
    return Litestar(
        route_handlers=[handler for resource in RESOURCES for handler in resource.handlers],
        dependencies={
            "plane": Provide(_provide_plane, sync_to_thread=False),
            "simulator": Provide(_provide_simulator, sync_to_thread=False),
            "live": Provide(_provide_live, sync_to_thread=False),
            "bundle": Provide(_provide_bundle, sync_to_thread=False),
        },
        exception_handlers={
            ApiError: answer_api_error,
            HTTPException: answer_http_exception,
            **dict.fromkeys(FAILURES, answer_database_failure),
            RecursionError: answer_too_deep,
            Exception: answer_bug,
        },
        openapi_config=OpenAPIConfig(
            title="OmniRoute admin API",
            version=__version__,
            # `resources/pages.py` serves it; the library's own router would answer unknown paths beside it with HTML.
            path="/openapi",
            render_plugins=[JsonRenderPlugin(path="/openapi.json")],
            use_handler_docstrings=True,
        ),
        request_max_body_size=MAX_BODY_BYTES,
        logging_config=None,
        signature_namespace={"Plane": Plane, "Simulator": Simulator, "Live": Live, "Bundle": Bundle},
    )


def build_app(plane: Plane, *, is_relayed: bool, is_loopback: bool, routes: Litestar | None = None) -> ASGIApp:
    """The whole application: the guard, and behind it the routes, those that are given or new ones."""
    rules = GuardRules(
        is_loopback=is_loopback,
        is_relayed=is_relayed,
        base_url=plane.settings.base_url,
        admin_token=plane.settings.admin_token,
        csrf_secret=plane.settings.jwt_secret,
        trusted_proxies=plane.settings.trusted_proxies,
    )
    addresses = None if is_relayed else AddressFilter(plane.database, plane.redis, plane.now)
    return Guard(_Behind(routes or build_routes(), plane), plane.database, rules, plane.now, addresses)
