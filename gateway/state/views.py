"""What workers tell each other about targets: a short stream in Redis, written and read in one trip by each now and then.

What is told is opaque here (`relay/hearsay.py`); who starts late or reads slowly misses what is older than LIFETIME_S.
"""

from typing import NamedTuple

from gateway.state import keys
from gateway.state.resp import RespClient, Script

MAX_ENTRIES = 2_000
LIFETIME_S = 10.0
MAX_READ_BYTES = 128 * 1024
"""At once: the next trip reads on. An answer this long does not hold up the trips of requests."""

_SHARE_VIEW = Script("share_view")


class Heard(NamedTuple):
    """One message of another worker. `age_s` by the server's clock."""

    age_s: float
    worker: str
    message: bytes


class Views:
    """One worker's place in the stream."""

    def __init__(self, redis: RespClient, worker: str) -> None:
        self._redis = redis
        self._worker = worker
        self._last = b"0"
        self._run_id = b""

    @property
    def is_up(self) -> bool:
        return self._redis.is_up

    async def exchange(self, message: bytes) -> list[Heard]:
        """Tell `message` (empty: nothing) and hear what others told since the last time. Raises StateAway.

        After a StateAway the message may or may not have been told.
        """
        if self._run_id != self._redis.run_id:  # ids of another server say nothing about this one's
            self._run_id, self._last = self._redis.run_id, b"0"
        arguments = (self._worker, message, self._last, MAX_ENTRIES, int(LIFETIME_S * 1000), MAX_READ_BYTES)
        answer = await self._redis.run(_SHARE_VIEW, (keys.VIEW,), arguments)
        assert isinstance(answer, list)
        self._last, found = answer
        return [
            Heard(max(0, found[at]) / 1000, found[at + 1].decode(), found[at + 2]) for at in range(0, len(found), 3)
        ]
