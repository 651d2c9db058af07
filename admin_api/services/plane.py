"""What every resource and job is handed: the plane's shared objects, made once in `app.py`."""

import asyncio
import copy
import uuid
from collections import Counter as Tally
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import structlog
from redis.asyncio import Redis

from admin_api.auth.actor import SYSTEM, Actor
from admin_api.auth.login_link import LoginLink
from admin_api.auth.throttle import LoginTries
from admin_api.publish import Publisher
from admin_api.services.audit import write_trail
from admin_api.services.backups import Backups
from admin_api.services.job_status import JobStatus
from admin_api.services.provider_calls import ProviderCalls
from admin_api.store.database import Change, Database
from admin_api.store.faults import FAILURES
from gateway.config.envelope import parse_encryption_key, seal
from gateway.config.settings import Settings
from gateway.config.snapshot import Price
from gateway.providers.spec import ProviderSpec
from gateway.telemetry.log_tail import LogTail

if TYPE_CHECKING:
    from admin_api.services.tariff import Tariff

_HASHES_AT_ONCE = 2

LoginOutcome = Literal["right", "wrong", "throttled"]

log = structlog.get_logger()


@dataclass(slots=True)
class ConfigFileState:
    """What became of the config file: shown on the health page."""

    file: str = ""
    applied_at: float = 0.0
    error: str = ""


@dataclass(slots=True)
class LiveCounts:
    """Of the live stream: who hears it now, who of them watches requests pass, and how many were cut because they did not keep up. On the health page."""

    listeners: int = 0
    watchers: int = 0
    dropped: int = 0


class Plane:
    """The control plane's objects. `now` gives unix seconds. `password_slots` bounds the memory of hashing.

    A route gets the plane as it is for whoever asks (`acting_as`): what it changes is told of that `actor`. A plain class, because the routes' library takes dataclasses apart to validate them.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        redis: Redis,
        cache_store: Redis | None,
        publisher: Publisher,
        specs: Mapping[str, ProviderSpec],
        now: Callable[[], float],
        shipped_prices: Sequence[Price] = (),
    ) -> None:
        self.settings = settings
        self.database = database
        self.redis = redis
        self.cache_store = cache_store
        """Where kept answers and stored bodies are, if there is such a place. It fails fast."""
        self.publisher = publisher
        self.specs = specs
        self.now = now
        self.actor = SYSTEM
        self.started_at = now()
        self.logins = LoginTries(redis, now)
        self.login_counts: Tally[LoginOutcome] = Tally()
        """Since they were told last."""
        self.config_file = ConfigFileState()
        self.unreadable_secrets = 0
        self.shipped_prices = shipped_prices
        self.tariff: Tariff | None = None
        self.jobs: dict[str, JobStatus] = {}
        self.log_tail: LogTail | None = None
        """Of this process's log, when it is to be shown."""
        self.backups = Backups(settings, database, now)
        self.provider_calls = ProviderCalls()
        self.login_link = LoginLink(now)
        self.live_counts = LiveCounts()
        self.stopping = asyncio.Event()
        """Set when this process ends: what streams to browsers ends with it."""
        self.password_slots = asyncio.Semaphore(_HASHES_AT_ONCE)

    @property
    def pepper(self) -> bytes:
        """What gateway keys are digested with."""
        return self.settings.api_key_secret.encode()

    @property
    def encryption_key(self) -> bytes:
        return parse_encryption_key(self.settings.storage_encryption_key)

    def seal(self, plaintext: str, owner_id: str) -> str:
        return seal(plaintext, owner_id, self.encryption_key)

    def new_id(self) -> str:
        return str(uuid.uuid4())

    def acting_as(self, actor: Actor) -> "Plane":
        """The same plane on behalf of somebody. All it holds is shared."""
        other = copy.copy(self)
        other.actor = actor
        return other

    async def close(self) -> None:
        """Let go of whatever it has open."""
        await self.provider_calls.close()
        await self.redis.aclose()
        if self.cache_store is not None:
            await self.cache_store.aclose()
        await self.database.close()

    @asynccontextmanager
    async def change(self) -> AsyncIterator[Change]:
        """A transaction of the configuration. After it, answer only once `published()` has been asked.

        What it does to rows is in the audit log when it is committed; `Change.trail.note` adds what is no row.
        """
        async with self.database.change() as change:
            yield change
            await write_trail(change.connection, change.trail, self.actor, self.now(), change.revision)

    @asynccontextmanager
    async def act(self) -> AsyncIterator[Change]:
        """A transaction of what workers need not hear of (users, tokens, sessions); audited as `change` is."""
        async with self.database.act() as change:
            yield change
            await write_trail(change.connection, change.trail, self.actor, self.now(), change.revision)

    async def audit(
        self,
        action: str,
        kind: str,
        object_id: str = "",
        *,
        name: str = "",
        before: object = None,
        after: object = None,
    ) -> None:
        """Tell of something done outside of a transaction, a reset in Redis say. `action` as `<kind>.<verb>`."""
        async with self.act() as acting:
            acting.trail.note(action, kind, object_id, name=name, before=before, after=after)

    async def audit_done(self, action: str, kind: str, object_id: str = "", *, after: object = None) -> None:
        """Tell of what Redis has done already. While SQL is away it stands in this process's log: it cannot be undone for that."""
        try:
            await self.audit(action, kind, object_id, after=after)
        except FAILURES as error:
            who = {"actor": self.actor.name, "address": self.actor.address}
            log.warning("audit_row_not_written", action=action, after=after, **who, reason=type(error).__name__)

    async def published(self) -> dict[str, bool]:
        """Publish what was changed; part of every answer to a change."""
        return {"published": await self.publisher.publish()}
