"""Samples of requests for an owner who watches: published while somebody's lease lives, and only then; nothing is kept anywhere.

While nobody watches a request costs one look at `is_watched`. Samples are few, made after the answer in the background,
and those that find no room are counted and gone.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import msgspec

from gateway.accounting.bodies import redacted
from gateway.domain.errors import GatewayError
from gateway.domain.sample import Sample, encode_sample
from gateway.domain.target import Target
from gateway.relay.asking import Asking, native_asking, translated_asking
from gateway.relay.exchange import Exchange
from gateway.shaping.outline import outline
from gateway.shaping.stored import BodyRedactor
from gateway.state import keys
from gateway.state.resp import RespClient, StateAway
from gateway.telemetry.metrics import Metrics
from gateway.upstream.fetch import Picture, PictureUnavailable

MAX_LEASE_S = 15.0
MAX_A_SECOND = 5
"""Samples of one worker."""
MAX_WAITING = 16
MAX_ANSWER_BYTES = 64 * 1024
"""Of an answer that is looked at."""
_MAX_OUTLINE_BYTES = 24 * 1024
_PUBLISH_S = 1.0
"""No request waits for it."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A request that is over. `exchange` is None when it was not admitted, or too large; `secrets` must stand in no sample."""

    sample: Sample
    exchange: Exchange | None
    asked: bytes
    answered: bytes
    secrets: Collection[str]


class Monitor:
    """`redis`: the state store's client; what is published there stays nowhere."""

    def __init__(self, redis: RespClient, metrics: Metrics, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._redis = redis
        self._metrics = metrics
        self.is_watched = False
        self._lease: asyncio.TimerHandle | None = None
        self._waiting: deque[Watched] = deque()
        self._news = asyncio.Event()
        self._second = 0
        self._taken = 0
        self._skipped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def hear(self, lease_s: str) -> None:
        """Somebody watches for so many seconds more."""
        try:
            span_s = min(MAX_LEASE_S, float(lease_s))
        except ValueError:
            return
        if self._lease is not None:
            self._lease.cancel()
        self.is_watched = True
        self._lease = asyncio.get_running_loop().call_later(max(0.0, span_s), self.forget)

    def forget(self) -> None:
        """Nobody watches any more."""
        if self._lease is not None:
            self._lease.cancel()
        self._lease, self.is_watched, self._skipped = None, False, 0
        self._waiting.clear()

    def takes(self) -> bool:
        """Whether one more request of this second is to be sampled."""
        second = int(self._now())
        if second != self._second:
            self._second, self._taken = second, 0
        self._taken += 1
        if self._taken > MAX_A_SECOND or len(self._waiting) >= MAX_WAITING:
            self._skipped += 1
            self._metrics.samples.add(("skipped",))
            return False
        return True

    def offer(self, watched: Watched) -> None:
        """Take it, if there is still somebody and room. Never waits."""
        if self.is_watched and len(self._waiting) < MAX_WAITING:
            self._waiting.append(watched)
            self._news.set()

    async def run(self) -> None:
        """Publish what comes, one after the other."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                self._metrics.samples.add((await self._publish(self._waiting.popleft()),))

    async def _publish(self, watched: Watched) -> str:
        sample = await _sample(watched, self._skipped)
        if not self.is_watched:
            return "unwatched"
        self._skipped = 0
        try:
            await self._redis.call("PUBLISH", keys.SAMPLES, encode_sample(sample), budget_s=_PUBLISH_S)
        except StateAway:
            return "store_away"
        return "published"


async def _sample(watched: Watched, skipped: int) -> Sample:
    """Bodies become outlines; credentials that stand even there are taken out."""
    redactor, exchange = BodyRedactor(watched.secrets, None), watched.exchange
    asking = None if exchange is None or not exchange.attempts else await _asking(exchange, exchange.target)

    async def shown(body: bytes) -> str:
        text = outline(body)
        await asyncio.sleep(0)  # requests have their turn between two bodies
        return await redacted(redactor, text.encode(), _MAX_OUTLINE_BYTES, is_stream=False, is_cut=False)

    return msgspec.structs.replace(
        watched.sample,
        asked=await shown(watched.asked),
        sent="" if asking is None or asking.is_native else await shown(asking.body),
        answered=await shown(watched.answered),
        target_dialect="" if asking is None else asking.codec.dialect,
        passed_on=asking is not None and asking.is_native,
        dropped=() if asking is None else tuple(note[:200] for note in asking.notes[:20]),
        requested_model=_plain(watched.sample.requested_model, watched.secrets),
        skipped=skipped,
    )


async def _asking(exchange: Exchange, target: Target | None) -> Asking | None:
    """What the target was asked, made anew: nothing of it is kept while the request runs."""
    if target is None:
        return None
    try:
        native = native_asking(exchange, target, asks_usage=True)
        return native or await translated_asking(exchange, target, _NoPictures(), asks_usage=True)
    except GatewayError:
        return None


def _plain(text: str, secrets: Collection[str]) -> str:
    """A model's name may be any text."""
    return "" if any(secret in text for secret in secrets) else text[:200]


class _NoPictures:
    """Those that were fetched are there; nothing is fetched for a sample."""

    async def fetch_all(self, urls: Iterable[str], *, within_s: float) -> Mapping[str, Picture]:
        raise PictureUnavailable("nothing is fetched for a sample")
