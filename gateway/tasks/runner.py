"""Owns the worker's background tasks: starts them, restarts what breaks with backoff, stops them in order.

The only place, beside the edge's watch on a caller and shared calls (`cache/flights.py`), where tasks are made.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

_log = structlog.get_logger()

RESTART_MIN_S, RESTART_MAX_S = 0.1, 5.0
CANCEL_AGAIN_S = 0.2


class Runner:
    """Background tasks by name."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        self._tasks[name] = asyncio.get_running_loop().create_task(_keep_running(name, run), name=name)

    async def stop(self) -> None:
        """Cancel in reverse order of start and wait until each has ended."""
        for task in reversed(self._tasks.values()):
            while not task.done():
                task.cancel()  # again: redis-py loses one that comes just when a wait of its own is over (seen on 3.11)
                await asyncio.wait((task,), timeout=CANCEL_AGAIN_S)
        self._tasks.clear()


async def _keep_running(name: str, run: Callable[[], Awaitable[None]]) -> None:
    delay_s = RESTART_MIN_S
    while True:
        started_at = asyncio.get_running_loop().time()
        try:
            await run()
        except Exception:  # noqa: BLE001  (a loop that broke is logged and started again: the worker must not lose it)
            _log.exception("task_failed", task=name)
        else:
            return
        if asyncio.get_running_loop().time() - started_at > 60:
            delay_s = RESTART_MIN_S
        await asyncio.sleep(delay_s)
        delay_s = min(RESTART_MAX_S, delay_s * 2)
