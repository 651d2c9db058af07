"""Small loops with a fixed beat: flush metrics, tell that the worker lives, follow the drain notice, watch the parent."""

import asyncio
import contextlib
import json
import multiprocessing
import os
import random
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from gateway.relay.exchange import Exchange
from gateway.relay.hearsay import Hearsay
from gateway.runtime import RuntimeHolder
from gateway.state import keys
from gateway.state.holds import Holds
from gateway.state.keyring import Keyring
from gateway.state.resp import RespClient, StateAway
from gateway.state.rests import Rests
from gateway.state.slots import Slots
from gateway.state.tier_money import TierMoney
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.process_look import ProcessLook

_log = structlog.get_logger()

FLUSH_S = 0.25
LAG_LOOK_S = 0.05
HEARTBEAT_S = 5.0
SAVE_KEYS_S = 5.0
REFRESH_RESTS_S = 1.0
SHARE_S = 0.25
PARENT_GONE_SIGNAL = signal.SIGUSR1
"""What the kernel sends a worker when the process that forked it dies; before a worker serves it simply ends it."""
LAST_WORDS_S = 1.0
"""Time to tell open streams that the parent is gone before the worker ends."""


async def flush_metrics(metrics: Metrics, gauges: Callable[[], None]) -> None:
    """Hand metrics over, and measure how late the loop wakes us: its lag."""
    process = ProcessLook("gateway", time.monotonic)
    while True:
        due = time.monotonic() + FLUSH_S  # uvloop's own clock counts whole ms
        await asyncio.sleep(FLUSH_S)
        lag_s = max(0.0, time.monotonic() - due)
        metrics.event_loop_lag_seconds.set(lag_s)
        gauges()
        process.look(metrics)
        metrics.flush()


async def watch_lag(note_lag: Callable[[float], None]) -> None:
    """Tell how late the loop is, often: whoever refuses by it lets in too many, or too few, until it is told."""
    while True:
        due = time.monotonic() + LAG_LOOK_S
        await asyncio.sleep(LAG_LOOK_S)
        note_lag(max(0.0, time.monotonic() - due))


async def beat_heart(
    redis: RespClient, worker: str, holder: RuntimeHolder, local_mode: Callable[[], dict[str, float]]
) -> None:
    """Renew the worker's key; when it is gone for WORKER_TTL_S its notes in flight become records."""
    started_at = time.time()
    host = socket.gethostname()
    while True:
        life = {
            "pid": os.getpid(),
            "host": host,
            "started_at": started_at,
            "revision": holder.revision,
            "local_mode": local_mode(),
        }
        try:
            await redis.call("SADD", keys.WORKERS, worker, budget_s=1.0)
            await redis.call("SET", keys.worker(worker), json.dumps(life), "EX", keys.WORKER_TTL_S, budget_s=1.0)
        except StateAway:
            await asyncio.sleep(0.5)
            continue
        await asyncio.sleep(HEARTBEAT_S)


async def renew_holds(holds: Holds, slots: Slots) -> None:
    """Keep the counts of open requests alive while they are open, of keys and of connections."""
    while True:
        await asyncio.sleep(HEARTBEAT_S)
        with contextlib.suppress(StateAway):
            await holds.renew_open()
        with contextlib.suppress(StateAway):
            await slots.renew()
        holds.live_workers = slots.live_workers


async def refresh_rests(rests: Rests) -> None:
    """Compare what rests with what the others know."""
    while True:
        await asyncio.sleep(REFRESH_RESTS_S)
        await rests.refresh()


async def share_views(hearsay: Hearsay, tiers: TierMoney) -> None:
    """Tell the other workers how targets do and what tiers cost, and hear from them; not all workers at once."""
    while True:
        await asyncio.sleep(SHARE_S * random.uniform(0.8, 1.2))
        await hearsay.exchange()
        await tiers.refresh()


async def save_keys(keyring: Keyring) -> None:
    """Keep the keys seen on disk, for a start without Redis."""
    while True:
        await asyncio.sleep(SAVE_KEYS_S)
        keyring.save()


async def follow_drain(notice: Path, begin: Callable[[], None], open_exchanges: set[Exchange]) -> None:
    """Poll for the supervisor's drain notice; at its deadline end what still runs."""
    # A look at a file costs microseconds; no event tells of another process's file on every system.
    while not notice.exists():  # noqa: ASYNC110, ASYNC240
        await asyncio.sleep(FLUSH_S)
    begin()
    try:
        left_s = _left_s(json.loads(notice.read_text()))  # noqa: ASYNC240  (some bytes, once)
    except (OSError, ValueError, KeyError, TypeError):
        left_s = 0.0
    _log.info("draining", open_requests=len(open_exchanges), seconds=round(left_s, 1))
    await asyncio.sleep(left_s)
    while True:
        for exchange in tuple(open_exchanges):
            exchange.end_for_drain()
        await asyncio.sleep(FLUSH_S)


def _left_s(notice: dict[str, float]) -> float:
    """Until the deadline; never longer than it was when the notice was written, though the clock was set back since."""
    left_s = float(notice["deadline"]) - time.time()
    return max(0.0, min(left_s, float(notice.get("seconds", left_s))))


async def watch_parent(open_exchanges: set[Exchange]) -> None:
    """End this process when the one that forked it has died: nobody would stop it, and it would go on serving."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    gone = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(PARENT_GONE_SIGNAL, gone.set)
    # Linux sends the signal; elsewhere a look tells. (The parent's pipe would, but siblings hold its other end open.)
    while os.getppid() == parent.pid and not gone.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(gone.wait(), FLUSH_S)
    _log.error("parent_gone", open_requests=len(open_exchanges))
    for exchange in tuple(open_exchanges):
        exchange.end_for_drain()
    await asyncio.sleep(LAST_WORDS_S if open_exchanges else 0)
    os._exit(1)
