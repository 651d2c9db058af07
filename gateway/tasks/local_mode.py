"""Whether this worker is on its own: it enters local mode when Redis is lost or slow, and leaves it when Redis answers.

The hot path's client decides (`RespClient.is_up`, `outages`); here that is only counted, timed and told.
"""

from collections.abc import Callable

import structlog

from gateway.state.resp import RespClient
from gateway.telemetry.metrics import Metrics

_log = structlog.get_logger()


class LocalMode:
    """`look` is called a few times a second; `clock` is monotonic seconds."""

    def __init__(self, redis: RespClient, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._redis = redis
        self._metrics = metrics
        self._clock = clock
        self._seen = dict.fromkeys(redis.outages, 0)
        self._entered_at: float | None = None
        self._looked_at = clock()
        self._seconds = 0.0

    def told(self) -> dict[str, float]:
        """For the heartbeat: how often this worker was in local mode, and for how many seconds in all."""
        return {"times": sum(self._seen.values()), "seconds": round(self._seconds, 1)}

    def look(self) -> None:
        now, elapsed_s = self._clock(), self._clock() - self._looked_at
        self._looked_at = now
        for cause, count in self._redis.outages.items():
            if count > self._seen[cause]:
                self._metrics.redis_outages.add((cause,), count - self._seen[cause])
                self._seen[cause] = count
                _log.warning("local_mode_entered", cause=cause)
                self._entered_at = now if self._entered_at is None else self._entered_at
        if self._entered_at is None:
            return
        self._seconds += elapsed_s
        self._metrics.local_mode_seconds.add((), elapsed_s)
        if self._redis.is_up:
            _log.warning("local_mode_left", seconds=round(now - self._entered_at, 2))
            self._entered_at = None
