"""Bring spooled records into the stream when Redis is back: our own, and those of workers that are gone."""

import asyncio
from pathlib import Path

import msgspec
import structlog

from gateway.domain.record import decode_record
from gateway.state import keys
from gateway.state.resp import RespClient, StateAway
from gateway.state.spool import Spool, adoptable

_log = structlog.get_logger()

EVERY_S = 1.0
BATCH = 200


async def replay_spool(redis: RespClient, spool: Spool, folder: Path) -> None:
    """Every second while Redis is up. A file is deleted only when all its lines are in the stream."""
    while True:
        await asyncio.sleep(EVERY_S)
        if not redis.is_up or not folder.exists():  # noqa: ASYNC240  (a stat, once a second)
            continue
        spool.release()
        for path, lines in adoptable(folder):
            try:
                await _send(redis, lines)
            except StateAway:
                break
            path.unlink(missing_ok=True)
            _log.info("spool_replayed", records=len(lines))


async def _send(redis: RespClient, lines: list[bytes]) -> None:
    for start in range(0, len(lines), BATCH):
        trips: list[asyncio.Future[object]] = []
        for line in lines[start : start + BATCH]:
            trips.append(redis.send("XADD", keys.RECORDS, "*", "r", line))
            trips.append(_forget_note(redis, line))
        for trip in trips:
            trip.add_done_callback(lambda done: done.cancelled() or done.exception())
        await redis.call("PING", budget_s=2.0)  # answers come in order: with this one all others are there
        if any(isinstance(trip.result(), Exception) for trip in trips):
            raise StateAway("the stream takes no records now")


def _forget_note(redis: RespClient, line: bytes) -> asyncio.Future[object]:
    """The record's note in flight was taken before Redis went away, and `settle` never reached it."""
    try:
        record = decode_record(line)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return redis.send("PING")  # the ledger job keeps what it cannot read for a person to see
    return redis.send("HDEL", keys.inflight(record.worker), record.id)
