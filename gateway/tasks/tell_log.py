"""Bring the worker's log lines to where an operator can look at them. What finds no way stays on stderr alone."""

import asyncio

from gateway.state.log_lines import command
from gateway.state.resp import RespClient, StateAway
from gateway.telemetry.log_tail import LogTail

EVERY_S = 1.0
AT_ONCE = 200


async def tell_log(redis: RespClient, worker: str, tail: LogTail) -> None:
    """Every second, at most AT_ONCE lines; while Redis is away the newest are kept."""
    while True:
        await asyncio.sleep(EVERY_S)
        if not redis.is_up:
            continue
        try:
            for line in tail.take(AT_ONCE):
                redis.send(*command(worker, line)).add_done_callback(lambda done: done.cancelled() or done.exception())
        except StateAway:
            continue
