"""Bring spooled records into the stream when Redis is back and the stream has room: our own, and those of workers that are gone.

Room is what the ledger has made of it: while SQL is away the stream stays as full as it may be, and the rest stays on disk.
"""

import asyncio
from pathlib import Path

import hiredis
import msgspec
import structlog

from gateway.domain.record import decode_record
from gateway.state import keys
from gateway.state.resp import RespClient, StateAway
from gateway.state.spool import Spool, adoptable

_log = structlog.get_logger()

EVERY_S = 1.0
BATCH = 200


async def replay_spool(redis: RespClient, spool: Spool, folder: Path, max_waiting: int) -> None:
    """Look every second. A file is deleted only when all its lines are in the stream, which they fill to half of `max_waiting`."""
    while True:
        await asyncio.sleep(EVERY_S)
        if not redis.is_up or not folder.exists():  # noqa: ASYNC240  (a stat, once a second)
            continue
        try:
            if not await _has_room(redis, max_waiting):
                continue
            spool.release()
            for path, lines in adoptable(folder):
                await _send(redis, lines, max_waiting)
                path.unlink(missing_ok=True)
                _log.info("spool_replayed", records=len(lines))
        except StateAway:
            continue


async def _has_room(redis: RespClient, max_waiting: int) -> bool:
    """The other half is left to requests that are settled meanwhile."""
    try:
        waiting = await redis.call("XLEN", keys.RECORDS, budget_s=1.0)
    except hiredis.ReplyError as error:
        raise StateAway("the stream is none") from error
    return isinstance(waiting, int) and waiting + BATCH <= max(max_waiting // 2, BATCH)


async def _send(redis: RespClient, lines: list[bytes], max_waiting: int) -> None:
    for start in range(0, len(lines), BATCH):
        # The ledger makes room; there is no event of that.
        while not await _has_room(redis, max_waiting):  # noqa: ASYNC110
            await asyncio.sleep(EVERY_S)
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
