"""How everything that keeps things is doing: the database, its backups, the disk, the state store and the spool."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.services.keep_settings import load_backup_plan
from admin_api.services.plane import Plane
from admin_api.services.spool_size import spool_bytes
from admin_api.services.storage_check import StorageCheck, load_check
from admin_api.store.database import known_schemas
from admin_api.store.records import count_rejected
from admin_api.store.storage_files import file_sizes
from gateway.state.cache_admin import read_store

STATE_LIMIT_S = 1.0
LOW_DISK_BYTES = 1 << 30
HIGH_MEMORY = 0.7
"""Share of the state store's memory from which it is told: it evicts nothing, so a full one refuses writes."""
OVERDUE = 2.0
"""A scheduled backup is late after so many of its spans."""
HIGH_SPOOL_BYTES = 64 << 20
_WRITES = ("aof_last_write", "rdb_last_bgsave")


async def storage_view(plane: Plane) -> dict[str, Any]:
    """The whole page, with `problems` as (what, message) and `status`. Redis may be away; the database must be there."""
    async with plane.database.read() as connection:
        database = await _database(plane, connection)
        plan = await load_backup_plan(connection)
        rejected = await count_rejected(connection)
    kept = await plane.backups.load_all()
    (state, check), cache = await asyncio.gather(_state_store(plane.redis), read_store(plane.cache_store))
    is_file = plane.database.path is not None
    scheduled = next((one.created_at for one in kept if one.reason == "scheduled"), None)
    view: dict[str, Any] = {
        "driver": "sqlite" if is_file else "postgresql",
        "database": {**database, "integrity": _check_view(check) if is_file else None},
        "backups": {
            "count": len(kept),
            "sizeBytes": sum(one.size for one in kept),
            "lastAt": kept[0].created_at if kept else None,
            "lastReason": kept[0].reason if kept else None,
            "everyH": plan.every_h,
            "keep": plan.keep,
            "dueAt": scheduled + plan.every_h * 3600 if scheduled and plan.every_h else None,
        },
        "disk": await asyncio.to_thread(_disk, plane.settings.data_dir),
        "stateStore": state,
        "cacheStore": cache,
        "spool": {"sizeBytes": await asyncio.to_thread(spool_bytes, plane.settings.spool_dir)},
        "ledger": {"rejected": rejected},
    }
    problems = problems_of(view, plane.now())
    return {"status": "degraded" if problems else "healthy", "problems": problems, **view}


def problems_of(view: dict[str, Any], now: float) -> list[dict[str, str]]:
    """What an operator should look at: where it is, and what."""
    backups, state, integrity = view["backups"], view["stateStore"], view["database"]["integrity"]
    found = {
        "database": bool(integrity) and not integrity["ok"] and f"the file is damaged: {integrity['damage']}",
        "disk": view["disk"]["freeBytes"] < LOW_DISK_BYTES and "there is little room on the disk of the data dir",
        "backups": bool(backups["dueAt"])
        and now > backups["dueAt"] + (OVERDUE - 1) * backups["everyH"] * 3600
        and "the scheduled backup is late",
        "stateStore": (not state["up"] and "it is away: workers decide alone, records wait on disk")
        or ((state["usedShare"] or 0) >= HIGH_MEMORY and "its memory is nearly full")
        or (not state["writesLast"] and "it cannot write to its disk: what it holds would be lost with it"),
        "spool": view["spool"]["sizeBytes"] > HIGH_SPOOL_BYTES and "many records wait on disk for Redis",
    }
    return [{"what": what, "message": message} for what, message in found.items() if message]


async def _database(plane: Plane, connection: AsyncConnection) -> dict[str, Any]:
    schema = await plane.database.get_schema()
    shown: dict[str, Any] = {"schema": schema, "isNewest": schema == known_schemas()[0]}
    path = plane.database.path
    if path is None:
        size = await connection.execute(sa.text("SELECT pg_database_size(current_database())"))
        return {"name": None, "sizeBytes": int(size.scalar_one()), "walBytes": None, **shown}
    size_bytes, wal_bytes = await asyncio.to_thread(file_sizes, path)
    return {"name": path.name, "sizeBytes": size_bytes, "walBytes": wal_bytes, **shown}


async def _state_store(redis: Redis) -> tuple[dict[str, Any], StorageCheck | None]:
    """And what the last look at the database found, which is kept there."""
    try:
        async with asyncio.timeout(STATE_LIMIT_S):
            memory, persistence = await redis.info("memory"), await redis.info("persistence")
            check = await load_check(redis)
    except (RedisError, OSError, TimeoutError):
        return {"up": False, "usedBytes": None, "maxBytes": None, "usedShare": None, "writesLast": None}, None
    used, most = int(memory["used_memory"]), int(memory.get("maxmemory", 0))
    view = {
        "up": True,
        "usedBytes": used,
        "maxBytes": most or None,
        "usedShare": used / most if most else None,
        "writesLast": all(persistence.get(f"{name}_status", "ok") == "ok" for name in _WRITES),
    }
    return view, check


def _check_view(check: StorageCheck | None) -> dict[str, Any] | None:
    """None before the first look, or while nobody can say."""
    return None if check is None else {"checkedAt": check.at, "ok": not check.damage, "damage": check.damage}


def _disk(folder: Path) -> dict[str, int]:
    usage = shutil.disk_usage(folder)
    return {"totalBytes": usage.total, "freeBytes": usage.free}
