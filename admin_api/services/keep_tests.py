"""Test connections that are there, and remember what was found."""

import asyncio
from collections.abc import Sequence

import msgspec

from admin_api.services.plane import Plane
from admin_api.services.probe import Probe, probe
from admin_api.store.connection_tests import TestRow, keep_test, load_tests
from admin_api.store.connections import ConnectionRow, connections
from admin_api.store.nodes import NodeRow

AT_ONCE = 8
MOST_MODELS = 500
"""Of what an endpoint lists; the first ones are kept."""


async def probe_and_keep(plane: Plane, row: ConnectionRow, node: NodeRow | None, model: str = "") -> Probe:
    """Test one connection; what was found is kept unless it was deleted meanwhile."""
    found = await probe(plane, row, node, model or str(row.extra.get("defaultModel") or ""))
    test = TestRow(
        connection_id=row.id,
        at=plane.now(),
        is_valid=found.diagnosis.is_valid,
        type=found.diagnosis.type,
        source=found.diagnosis.source,
        code=found.diagnosis.code,
        message=found.diagnosis.message,
        latency_ms=found.latency_ms,
        proxy=found.proxy,
        proxy_level=found.proxy_level,
    )
    async with plane.database.write() as connection:
        if await connections.get(connection, row.id) is not None:
            listed = found.models
            if listed is None:  # it did not say this time
                before = (await load_tests(connection, row.id)).get(row.id)
                listed = list(before.models) if before else []
            await keep_test(connection, msgspec.structs.replace(test, models=listed[:MOST_MODELS]))
    return found


async def probe_all(
    plane: Plane, rows: Sequence[tuple[ConnectionRow, NodeRow | None]], within_s: float
) -> list[Probe | None]:
    """In the order of `rows`; None for those that had no turn, or no answer, in time."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(row: ConnectionRow, node: NodeRow | None) -> Probe:
        async with turns:
            return await probe_and_keep(plane, row, node)

    tasks = [asyncio.create_task(one(row, node)) for row, node in rows]
    if tasks:
        await asyncio.wait(tasks, timeout=within_s)
    for task in tasks:
        if not task.done():
            task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    for result in ended:
        if isinstance(result, Exception):
            raise result
    return [result if isinstance(result, Probe) else None for result in ended]
