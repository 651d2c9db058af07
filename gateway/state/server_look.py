"""What a Valkey or Redis tells of itself, for the control plane."""

import time

import msgspec
from redis.asyncio import Redis

STORE_S = 1.0
"""A look may take so long."""


class ServerFigures(msgspec.Struct, frozen=True):
    """Counts are since the server's start; `run_id` is of this start. A server that keeps nothing on disk is well."""

    run_id: str
    ping_s: float = 0.0
    memory_bytes: int = 0
    memory_limit_bytes: int = 0
    clients: int = 0
    replicas: int = 0
    keys: int = 0
    is_persistence_ok: bool = True
    commands: int = 0
    hits: int = 0
    misses: int = 0
    evicted: int = 0
    refused: int = 0


async def look_at_server(redis: Redis) -> ServerFigures:
    """Raises redis.exceptions.RedisError. A managed server may leave fields out: they are 0."""
    began = time.monotonic()
    await redis.ping()
    ping_s = time.monotonic() - began
    found = await redis.info()
    spaces = [value["keys"] for name, value in found.items() if name.startswith("db") and isinstance(value, dict)]
    writes = (found.get("aof_last_write_status", "ok"), found.get("rdb_last_bgsave_status", "ok"))
    return ServerFigures(
        run_id=str(found.get("run_id", "")),
        ping_s=ping_s,
        memory_bytes=found.get("used_memory", 0),
        memory_limit_bytes=found.get("maxmemory", 0),
        clients=found.get("connected_clients", 0),
        replicas=found.get("connected_slaves", 0),
        keys=sum(spaces),
        is_persistence_ok=writes == ("ok", "ok"),
        commands=found.get("total_commands_processed", 0),
        hits=found.get("keyspace_hits", 0),
        misses=found.get("keyspace_misses", 0),
        evicted=found.get("evicted_keys", 0),
        refused=found.get("rejected_connections", 0),
    )
