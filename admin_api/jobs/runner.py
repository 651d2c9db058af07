"""The schedule of background work, and what runs it: one task a job, a lease for work that one process does for all.

A job may run twice, or be cut anywhere, without harm. A failure is logged, shown on the health page, and tried
again with growing pauses.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from admin_api.services.job_status import JobStatus
from admin_api.services.plane import Plane
from gateway.state import keys as redis_keys
from gateway.state.resp import Script

LEASE_S = 6.0
_RENEW_S = 2.0
_MAX_PAUSE_S = 10.0
_STOP_LIMIT_S = 2.0

_TAKE_LEASE = Script("take_lease").text.decode()
_GIVE_LEASE_BACK = Script("give_lease_back").text.decode()

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Job:
    """`run` is called every `every_s` and has `limit_s`. `is_shared`: one process of the cluster runs it, by lease.

    `runs_at_end`: once more when the process stops.
    """

    name: str
    every_s: float
    run: Callable[[], Awaitable[None]]
    is_shared: bool = True
    limit_s: float = 60.0
    runs_at_end: bool = False


class Lease:
    """The right of one process to run one job. A crash gives it up after `LEASE_S`."""

    def __init__(self, redis: Redis, job: str, token: str) -> None:
        self._redis = redis
        self._key = redis_keys.lease(job)
        self._token = token

    async def take(self) -> bool:
        """Take it or renew it. False when another process has it. Raises RedisError."""
        return bool(await self._redis.eval(_TAKE_LEASE, 1, self._key, self._token, str(int(LEASE_S * 1000))))

    async def give_back(self) -> None:
        await self._redis.eval(_GIVE_LEASE_BACK, 1, self._key, self._token)


class JobRunner:
    """Runs the table until `stop`. The statuses are shown on the health page."""

    def __init__(self, plane: Plane, jobs: tuple[Job, ...]) -> None:
        self._plane = plane
        self._jobs = jobs
        self._token = secrets.token_hex(16)
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        for job in self._jobs:
            self._plane.jobs[job.name] = JobStatus()
            self._tasks.append(asyncio.create_task(self._repeat(job), name=f"job-{job.name}"))

    async def stop(self) -> None:
        """Let running work finish for a moment, then cut it. Leases are given back."""
        self._stopping.set()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_STOP_LIMIT_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _repeat(self, job: Job) -> None:
        lease = Lease(self._plane.redis, job.name, self._token)
        failures = 0
        while not self._stopping.is_set():
            is_ok = await self._run_once(job, lease)
            failures = 0 if is_ok else min(failures + 1, 10)
            pause = job.every_s if is_ok else min(_MAX_PAUSE_S, max(job.every_s, 0.25) * 2 ** (failures - 1))
            await self._pause(pause)
        if job.runs_at_end:
            await self._run_once(job, lease)
        if job.is_shared:
            await _give_back(lease)

    async def _run_once(self, job: Job, lease: Lease) -> bool:
        """True when it went well or is another's to do. This is where a job's failure ends."""
        status = self._plane.jobs[job.name]
        try:
            if job.is_shared and not await lease.take():
                status.is_mine, status.error = False, ""
                return True
            status.is_mine = True
            async with asyncio.timeout(job.limit_s):
                await (self._run_renewing(job, lease) if job.is_shared else job.run())
        except Exception as error:  # noqa: BLE001  (the boundary of a job: logged, shown, tried again)
            self._note_failure(job, status, error)
            return False
        status.last_ok_at, status.error = self._plane.now(), ""
        return True

    async def _run_renewing(self, job: Job, lease: Lease) -> None:
        """Run the job and renew its lease meanwhile; a lost lease stops the job."""
        work = asyncio.ensure_future(job.run())
        renewal = asyncio.create_task(_renew(lease))
        try:
            done, _ = await asyncio.wait((work, renewal), return_when=asyncio.FIRST_COMPLETED)
        finally:
            work.cancel()
            renewal.cancel()
            await asyncio.gather(work, renewal, return_exceptions=True)
        for task in done:
            task.result()

    def _note_failure(self, job: Job, status: JobStatus, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        is_redis = isinstance(error, RedisError | OSError)
        if text != status.error and not (is_redis and not self._plane.publisher.is_redis_up):
            log.warning("job_failed", job=job.name, error=text, exc_info=None if is_redis else error)
        status.error = text

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return


async def _renew(lease: Lease) -> None:
    while True:
        await asyncio.sleep(_RENEW_S)
        if not await lease.take():
            raise LeaseLost


async def _give_back(lease: Lease) -> None:
    try:
        async with asyncio.timeout(1.0):
            await lease.give_back()
    except (RedisError, OSError, TimeoutError):
        log.info("lease_left_to_expire")


class LeaseLost(Exception):
    """Another process holds the lease now; this one was too slow."""
