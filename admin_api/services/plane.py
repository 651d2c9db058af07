"""What every resource and job is handed: the plane's shared objects, made once in `app.py`."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from admin_api.auth.throttle import LoginThrottle
from admin_api.publish import Publisher
from admin_api.services.job_status import JobStatus
from admin_api.store.database import Change, Database
from gateway.config.envelope import parse_encryption_key, seal
from gateway.config.settings import Settings
from gateway.providers.spec import ProviderSpec

_HASHES_AT_ONCE = 2


@dataclass(slots=True)
class ConfigFileState:
    """What became of the config file: shown on the health page."""

    file: str = ""
    applied_at: float = 0.0
    error: str = ""


class Plane:
    """The control plane's objects. `now` gives unix seconds. `password_slots` bounds the memory of hashing.

    A plain class, because the routes' library takes dataclasses apart to validate them.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        redis: Redis,
        publisher: Publisher,
        specs: Mapping[str, ProviderSpec],
        now: Callable[[], float],
    ) -> None:
        self.settings = settings
        self.database = database
        self.redis = redis
        self.publisher = publisher
        self.specs = specs
        self.now = now
        self.started_at = now()
        self.throttle = LoginThrottle(now)
        self.config_file = ConfigFileState()
        self.unreadable_secrets = 0
        self.jobs: dict[str, JobStatus] = {}
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

    @asynccontextmanager
    async def change(self) -> AsyncIterator[Change]:
        """A transaction of the configuration. After it, answer only once `published()` has been asked."""
        async with self.database.change() as change:
            yield change

    async def published(self) -> dict[str, bool]:
        """Publish what was changed; part of every answer to a change."""
        return {"published": await self.publisher.publish()}
