"""How the control plane is, and what it knows of workers and of what they share. Answers whatever is away, within its limits."""

import asyncio
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import msgspec
from redis.exceptions import RedisError

from admin_api.http.errors import ApiError, database_problem
from admin_api.services.keep_settings import load_settings
from admin_api.services.plane import Plane
from admin_api.services.rate_limits import rate_limits
from admin_api.services.spool_size import spool_bytes
from admin_api.store.connections import ConnectionName, load_connection_names
from admin_api.store.database import get_revision
from admin_api.store.faults import FAILURES
from admin_api.store.records import count_rejected
from gateway import __version__
from gateway.state import keys as redis_keys
from gateway.state.cache_admin import read_store
from gateway.state.rest_table import RestState
from gateway.state.rests_admin import breaker_bodies, cooldown_bodies, read_rests

_REDIS_LIMIT_S = 1.0
_SQL_LIMIT_S = 5.0
_MAX_WORKERS = 1000
_COUNTED = ("startsLastMinute", "open", "learnedGapMs", "adaptiveLimit")


async def health_view(plane: Plane) -> dict[str, Any]:
    """`status` is `healthy`, or `degraded` when SQL or Redis is away, the config file is broken or a job fails.

    While SQL is away only `OMNIROUTE_ADMIN_TOKEN` comes so far; what SQL would say is null then.
    """
    sql, redis, cache = await asyncio.gather(_sql_view(plane), _redis_view(plane), read_store(plane.cache_store))
    settings = sql["settings"]
    states = await _rests(plane) if redis["up"] else []
    names = await _names(plane, states) if sql["up"] else {}
    publisher, file = plane.publisher, plane.config_file
    jobs = {name: asdict(status) for name, status in plane.jobs.items()}
    is_well = (
        redis["up"]
        and sql["up"]
        and not file.error
        and not plane.unreadable_secrets
        and not publisher.problem
        and not any(j["error"] for j in jobs.values())
    )
    return {
        "status": "healthy" if is_well else "degraded",
        "timestamp": plane.now(),
        "instanceName": settings["instanceName"].value if "instanceName" in settings else "",
        "setupComplete": settings["setupComplete"].value if "setupComplete" in settings else True,
        "system": {
            "version": __version__,
            "uptime": plane.now() - plane.started_at,
            "pid": os.getpid(),
            "platform": platform.system().lower(),
        },
        "database": {"up": sql["up"], "error": sql["error"]},
        "revision": sql["revision"],
        "publishedRevision": publisher.published_revision,
        "publishProblem": publisher.problem,
        # `local`: workers go on by themselves, each with its share of limits; records wait on disk.
        "redis": {"up": redis["up"], "error": redis["error"], "mode": "shared" if redis["up"] else "local"},
        # Whether answers are kept; nothing waits for it, so the status does not depend on it.
        "cacheStore": cache,
        "config": {"file": file.file, "appliedAt": file.applied_at or None, "error": file.error},
        "unreadableSecrets": plane.unreadable_secrets,
        "workers": redis["workers"],
        "ledger": {**redis["ledger"], "rejected": sql["rejected"]},
        "spoolBytes": await asyncio.to_thread(spool_bytes, plane.settings.spool_dir),
        "jobs": jobs,
        "live": {
            "listeners": plane.live_counts.listeners,
            "watchers": plane.live_counts.watchers,
            "dropped": plane.live_counts.dropped,
        },
        "providerHealth": {
            body["name"]: {key: body[key] for key in ("state", "failures", "lastFailure", "reason", "until")}
            for body in breaker_bodies(states)
        },
        "lockouts": cooldown_bodies(states),
        "connectionNames": {of: one.name for of, one in names.items()},
        "connectionProviders": {of: one.provider for of, one in names.items()},
        "rateLimitStatus": await _limits(plane) if redis["up"] and sql["up"] else [],
    }


async def _sql_view(plane: Plane) -> dict[str, Any]:
    try:
        async with asyncio.timeout(_SQL_LIMIT_S), plane.database.read() as connection:
            return {
                "up": True,
                "error": "",
                "revision": await get_revision(connection),
                "rejected": await count_rejected(connection),
                "settings": await load_settings(connection),
            }
    except (*FAILURES, TimeoutError) as error:
        problem = database_problem(error)
        told = problem.message if problem else f"the database says nothing: {type(error).__name__}"
        return {"up": False, "error": told, "revision": None, "rejected": None, "settings": {}}


async def _rests(plane: Plane) -> list[RestState]:
    try:
        async with asyncio.timeout(_REDIS_LIMIT_S):
            return await read_rests(plane.redis)
    except (RedisError, OSError, TimeoutError):
        return []


async def _names(plane: Plane, states: Sequence[RestState]) -> dict[str, ConnectionName]:
    """Of connections that rest, by id: what rests is known by ids."""
    ids = {state.connection_id for state in states if state.connection_id}
    try:
        async with asyncio.timeout(_SQL_LIMIT_S), plane.database.read() as connection:
            return await load_connection_names(connection, ids) if ids else {}
    except (*FAILURES, TimeoutError):
        return {}


async def _limits(plane: Plane) -> list[dict[str, Any]]:
    """Connections whose limits count something now."""
    try:
        async with asyncio.timeout(_REDIS_LIMIT_S):
            found = (await rate_limits(plane))["connections"]
    except (ApiError, TimeoutError):
        return []
    return [one for one in found if any(one[name] for name in _COUNTED)]


async def _redis_view(plane: Plane) -> dict[str, Any]:
    away: dict[str, Any] = {"up": False, "error": "", "workers": [], "ledger": {"waiting": None}}
    try:
        async with asyncio.timeout(_REDIS_LIMIT_S):
            return {"up": True, "error": "", "workers": await _workers(plane), "ledger": await _ledger(plane)}
    except (RedisError, OSError, TimeoutError) as error:
        return {**away, "error": f"{type(error).__name__}: {error}"}


async def _workers(plane: Plane) -> list[dict[str, Any]]:
    """Heartbeats as workers wrote them, each with the worker's id."""
    names = [name async for name in plane.redis.scan_iter(match=redis_keys.WORKER_PREFIX + "*", count=1000)]
    names = sorted(names)[:_MAX_WORKERS]
    beats: list[Any] = await plane.redis.mget(names) if names else []
    return [
        {"id": name.decode().removeprefix(redis_keys.WORKER_PREFIX), **_beat(beat)}
        for name, beat in zip(names, beats, strict=True)
        if beat is not None
    ]


def _beat(beat: bytes) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(beat)
    except msgspec.DecodeError:
        return {}
    return decoded if isinstance(decoded, dict) else {}


async def _ledger(plane: Plane) -> dict[str, int]:
    """`waiting`: records that are not in SQL yet."""
    return {"waiting": int(await plane.redis.xlen(redis_keys.RECORDS))}
