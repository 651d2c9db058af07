"""SQL → Snapshot → Redis, by revision; and the keyring beside it. The only writer of both.

Everything here may run twice, in several admin processes at once, or stop anywhere: the keyring's epoch is written
last and holds which database Redis follows and the revision up to which it is complete; `snapshot:current` never
moves back. Redis is read before SQL, so a revision seen in Redis is never newer than what SQL then says, unless SQL
was restored from a backup or begun anew: then its revision is raised above, and all is written.
"""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.store.combos import combos
from admin_api.store.connections import ConnectionRow, connections
from admin_api.store.custom_models import custom_models
from admin_api.store.database import Database, get_origin, get_revision, raise_revision
from admin_api.store.keys import (
    KeyRow,
    keys,
    load_active_digests,
    load_keys_after,
    load_keys_since,
    load_removed_since,
)
from admin_api.store.limit_defaults import LimitDefaults
from admin_api.store.names import aliases, chains
from admin_api.store.nodes import NodeRow, nodes
from admin_api.store.prices import price_entry, prices
from admin_api.store.settings import settings_rows
from gateway.config.snapshot import (
    SCHEMA,
    Alias,
    Combo,
    ComboModel,
    Connection,
    CustomModel,
    FallbackChain,
    KeyEntry,
    Node,
    Price,
    RoutingSettings,
    Snapshot,
    decode_snapshot,
    encode_key_entry,
    encode_snapshot,
)
from gateway.domain.timeouts import Timeouts
from gateway.domain.waiting import Waiting
from gateway.state import keys as redis_keys
from gateway.state.resp import Script

KEPT_SNAPSHOTS = 5
PUBLISH_LIMIT_S = 2.0
"""How long a change waits for it; the job, which has time, does what takes longer."""
WHOLE_LIMIT_S = 60.0
"""All of it anew: 100,000 keys into an empty Redis take many seconds of a busy machine."""
_BATCH = 1000
_MAX_NEWS = 10_000

_MOVE_CURRENT = Script("move_current").text.decode()

log = structlog.get_logger()


class InvalidSnapshot(Exception):
    """The rows do not make a snapshot that workers can read. Nothing was published."""


@dataclass(frozen=True, slots=True)
class _Due:
    """What has to be written: the snapshot, and keys since `since` (-1: all of them)."""

    snapshot: Snapshot
    origin: str
    encoded: bytes
    is_whole: bool
    changed: Sequence[KeyRow]
    removed: Sequence[str]


class Publisher:
    """Owns what Redis holds of the configuration. `published_revision` is what this process knows Redis has."""

    def __init__(
        self,
        database: Database,
        redis: Redis,
        *,
        is_demo_enabled: bool,
        now: Callable[[], float],
        shipped_prices: Sequence[Price] = (),
    ) -> None:
        self._database = database
        self._redis = redis
        self._is_demo_enabled = is_demo_enabled
        self._shipped_prices = shipped_prices
        self._now = now
        self._lock = asyncio.Lock()
        self._recent: deque[int] = deque()
        self._is_checked = False
        self.published_revision = -1
        self.is_redis_up = False
        self.problem = ""

    async def publish(self, limit_s: float = PUBLISH_LIMIT_S) -> bool:
        """Bring Redis up to date. False when that is not possible now; the job goes on trying."""
        try:
            async with asyncio.timeout(limit_s), self._lock:
                await self._bring_up_to_date()
        except (RedisError, OSError, TimeoutError) as error:
            self._note_away(error)
            return False
        except InvalidSnapshot as error:
            self._note_problem(str(error))
            return False
        return True

    async def republish_all(self) -> bool:
        """Write every key anew and take out of Redis what SQL does not know: repairs what a crash left behind.

        In pages, so that a change made meanwhile is published at once.
        """
        try:
            async with asyncio.timeout(WHOLE_LIMIT_S):
                await self._rewrite_keys()
                await self._remove_strangers()
        except (RedisError, OSError, TimeoutError) as error:
            self._note_away(error)
            return False
        return True

    async def _bring_up_to_date(self) -> None:
        current, followed, epoch = await self._read_redis()
        due = await self._load_due(current, followed, epoch)
        if due is not None:
            if not followed:
                # Said before the first word of it is written: else another process that looks now takes what is half
                # written for that of another database.
                await self._redis.set(redis_keys.KEYRING_EPOCH, f"{due.origin}:-1", nx=True)
            await self._write_snapshot(due)
            await self._write_keys(due)
            await self._redis.set(redis_keys.KEYRING_EPOCH, f"{due.origin}:{due.snapshot.revision}")
            self.published_revision = due.snapshot.revision
            log.info("config_published", revision=self.published_revision, changed_keys=len(due.changed))
        if not self.is_redis_up:
            log.info("redis_reached", revision=self.published_revision)
        self.is_redis_up, self._is_checked, self.problem = True, True, ""

    async def _read_redis(self) -> tuple[int, str, int]:
        """The revision that Redis has as current, the database it follows, and the keyring's epoch.

        -1 and "": there is none. The epoch is -1 for that of another database, too, and while the first publishing goes on.
        """
        answer: list[Any] = await self._redis.mget(redis_keys.SNAPSHOT_CURRENT, redis_keys.KEYRING_EPOCH)
        current, epoch = answer
        async with self._database.read() as connection:
            origin = await get_origin(connection)
        followed, _, revision = (epoch or b"").decode().rpartition(":")
        return _revision(current), followed, _revision(revision) if followed == origin else -1

    async def _load_due(self, current: int, followed: str, epoch: int) -> _Due | None:
        """What Redis lacks; None when it lacks nothing."""
        async with self._database.read() as connection:
            revision, origin = await get_revision(connection), await get_origin(connection)
            if revision == current == epoch and self._is_checked:
                self.published_revision = revision
                return None
        if current > revision or (followed != origin and current >= 0 and not self._is_checked):
            log.warning("database_older_than_redis", database=revision, redis=current)
            return await self._load_above(current)
        if revision == current and await self._differs_in_redis(revision):
            # Same rows, another meaning: the demo provider was switched by the environment, or the code is newer.
            return await self._load_above(current, epoch)
        async with self._database.read() as connection:
            return await self._build_due(connection, epoch)

    async def _load_above(self, current: int, epoch: int = -1) -> _Due:
        async with self._database.write() as connection:
            await raise_revision(connection, above=current)
            return await self._build_due(connection, epoch)

    async def _differs_in_redis(self, revision: int) -> bool:
        held = await self._redis.get(redis_keys.snapshot(revision))
        if not isinstance(held, bytes):
            return False
        async with self._database.read() as connection:
            snapshot = await self._build_snapshot(connection, now=0.0)
        if snapshot.revision != revision:
            return False  # changed since; what is due is built from what it is by then
        try:
            return msgspec.structs.replace(decode_snapshot(held), published_at=0.0) != snapshot
        except ValueError:
            return True

    async def _build_snapshot(self, connection: AsyncConnection, now: float) -> Snapshot:
        return await build_snapshot(
            connection, is_demo_enabled=self._is_demo_enabled, now=now, shipped_prices=self._shipped_prices
        )

    async def _build_due(self, connection: AsyncConnection, epoch: int) -> _Due:
        snapshot = await self._build_snapshot(connection, now=self._now())
        is_whole = epoch < 0
        return _Due(
            snapshot=snapshot,
            origin=await get_origin(connection),
            encoded=_checked(snapshot),
            is_whole=is_whole,
            changed=await (keys.load_all(connection) if is_whole else load_keys_since(connection, epoch)),
            removed=await load_removed_since(connection, epoch),
        )

    async def _write_snapshot(self, due: _Due) -> None:
        revision = due.snapshot.revision
        await self._redis.set(redis_keys.snapshot(revision), due.encoded)
        await self._redis.eval(_MOVE_CURRENT, 1, redis_keys.SNAPSHOT_CURRENT, str(revision))
        await self._redis.publish(redis_keys.NEWS, f"snapshot:{revision}")
        if revision not in self._recent:
            self._recent.append(revision)
        while len(self._recent) > KEPT_SNAPSHOTS:
            await self._redis.delete(redis_keys.snapshot(self._recent.popleft()))

    async def _write_keys(self, due: _Due) -> None:
        has_news = not due.is_whole or len(due.changed) <= _MAX_NEWS
        for start in range(0, len(due.changed), _BATCH):
            await self._write_page(due.changed[start : start + _BATCH], has_news=has_news)
        for digest in due.removed:
            await self._redis.delete(redis_keys.key(digest))
            await self._redis.publish(redis_keys.NEWS, f"key:{digest}")

    async def _write_page(self, rows: Sequence[KeyRow], *, has_news: bool) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        for row in rows:
            entry = key_entry(row)
            for digest in row.digests:
                name = redis_keys.key(digest)
                if row.is_active:
                    seen = entry if digest == row.digest else ending_entry(entry, row.old_until)
                    fields = {"v": row.version, "e": encode_key_entry(seen)}
                    pipeline.hset(name, mapping=fields)  # type: ignore[arg-type]  # the stub forbids mixed values
                else:
                    pipeline.delete(name)
                if has_news:
                    pipeline.publish(redis_keys.NEWS, f"key:{digest}")
        await pipeline.execute()

    async def _rewrite_keys(self) -> None:
        after = ""
        while True:
            async with self._lock, self._database.read() as connection:
                rows = await load_keys_after(connection, after, _BATCH)
                await self._write_page(rows, has_news=False)
            if len(rows) < _BATCH:
                return
            after = rows[-1].id

    async def _remove_strangers(self) -> None:
        """Delete keys and snapshots that SQL does not know, from before a restore or a crash."""
        async with self._database.read() as connection:
            known = await load_active_digests(connection)
        prefix, suffix = redis_keys.key("*").split("*")
        held = [name.removeprefix(prefix).removesuffix(suffix) async for name in self._scan(redis_keys.key("*"))]
        strangers = [digest for digest in held if digest not in known]
        for start in range(0, len(strangers), _BATCH):
            await self._remove_page(strangers[start : start + _BATCH])
        snapshots = [name async for name in self._scan(redis_keys.snapshot(0).removesuffix("0") + "*")]
        old = sorted(set(snapshots) - {redis_keys.SNAPSHOT_CURRENT}, key=_revision_of_name, reverse=True)
        for name in old[KEPT_SNAPSHOTS:]:
            await self._redis.delete(name)

    async def _remove_page(self, digests: Sequence[str]) -> None:
        """Look again under the lock: a key may have been made since."""
        async with self._lock:
            async with self._database.read() as connection:
                known = await load_active_digests(connection, among=digests)
            for digest in digests:
                if digest not in known:
                    await self._redis.delete(redis_keys.key(digest))
                    await self._redis.publish(redis_keys.NEWS, f"key:{digest}")

    async def _scan(self, pattern: str) -> AsyncIterator[str]:
        async for name in self._redis.scan_iter(match=pattern, count=_BATCH):
            yield name.decode() if isinstance(name, bytes) else name

    def _note_away(self, error: Exception) -> None:
        if self.is_redis_up or not self.problem:
            log.warning("redis_away", error=type(error).__name__, detail=str(error))
        self.is_redis_up, self.problem = False, f"{type(error).__name__}: {error}"

    def _note_problem(self, problem: str) -> None:
        if problem != self.problem:
            log.error("snapshot_invalid", error=problem)
        self.problem = problem


async def build_snapshot(
    connection: AsyncConnection, *, is_demo_enabled: bool, now: float, shipped_prices: Sequence[Price] = ()
) -> Snapshot:
    """The whole configuration as the rows say it, at the revision they have."""
    values = {row.name: row.value for row in await settings_rows.load_all(connection)}
    combo_defaults = {name: said for name, said in values.get("comboDefaults", {}).items() if name != "strategy"}
    limits = LimitDefaults(**values.get("rateLimitDefaults", {}))
    return Snapshot(
        schema=SCHEMA,
        revision=await get_revision(connection),
        published_at=now,
        nodes=tuple(node_entry(row) for row in await nodes.load_all(connection)),
        connections=tuple(
            limits.applied(row, connection_entry(row))
            for row in await connections.load_all(connection)
            if row.is_active
        ),
        combos=tuple(
            Combo(
                id=row.id,
                name=row.name,
                models=tuple(ComboModel(entry["model"], entry.get("weight", 0)) for entry in row.models),
                strategy=row.strategy,  # type: ignore[arg-type]  # checked when decoded
                config={**combo_defaults, **row.config},
                is_active=row.is_active,
            )
            for row in await combos.load_all(connection)
        ),
        aliases=tuple(Alias(row.pattern, row.target) for row in await aliases.load_all(connection)),
        fallback_chains=tuple(FallbackChain(row.name, tuple(row.models)) for row in await chains.load_all(connection)),
        prices=(*(price_entry(row) for row in await prices.load_all(connection)), *shipped_prices),
        models=tuple(
            CustomModel(row.provider, row.model, row.context, row.max_output)
            for row in await custom_models.load_all(connection)
        ),
        settings=routing_settings(values, is_demo_enabled=is_demo_enabled),
    )


def routing_settings(values: dict[str, Any], *, is_demo_enabled: bool) -> RoutingSettings:
    """The settings that workers obey, out of all that are stored. Raises InvalidSnapshot."""
    default = RoutingSettings()
    document = {
        "account_strategy": values.get("fallbackStrategy", default.account_strategy),
        "sticky_limit": values.get("stickyRoundRobinLimit", default.sticky_limit),
        "provider_strategies": values.get("providerStrategies", {}),
        "timeouts": values.get("timeouts", msgspec.structs.asdict(Timeouts())),
        "waiting": values.get("waiting", msgspec.structs.asdict(Waiting())),
        "resilience": values.get("resilience", {}),
        "tier_budgets": values.get("tierBudgets", {}),
        "session_affinity": values.get("sessionAffinity", default.session_affinity),
        "retry_budget": values.get("retryBudget", {}),
        "cache": values.get("cache", {}),
        "sharing": values.get("sharing", {}),
        "logs": values.get("logs", {}),
        "early_headers_s": values.get("earlyHeadersS", default.early_headers_s),
        "profiles": values.get("providerProfiles", {}),
        "shaping": values.get("shaping", {}),
        "progress_s": values.get("progressS", default.progress_s),
        "explains_all": values.get("explainsAll", default.explains_all),
        "ip_filter": values.get("ipFilter", {}),
        "blocked_providers": values.get("blockedProviders", default.blocked_providers),
        "proxies": {level: kept["proxy"] for level, kept in values.get("proxies", {}).items()},
        "is_demo_enabled": is_demo_enabled,
    }
    try:
        return msgspec.convert(document, RoutingSettings)
    except msgspec.ValidationError as error:
        raise InvalidSnapshot(f"settings: {error}") from error


def node_entry(row: NodeRow) -> Node:
    """A node as workers see it."""
    return Node(row.id, row.prefix, row.dialect, row.base_url, row.name, row.allow_private)  # type: ignore[arg-type]  # checked when decoded


def connection_entry(row: ConnectionRow) -> Connection:
    """A connection as workers see it, with its own limits."""
    return Connection(
        id=row.id,
        provider=row.provider,
        name=row.name,
        api_key=row.api_key,
        priority=row.priority,
        tier=row.tier,  # type: ignore[arg-type]  # checked when decoded
        rpm=row.rpm,
        min_gap_ms=row.min_gap_ms,
        max_concurrency=row.max_concurrency,
        models=tuple(row.models),
        fingerprint=row.fingerprint,
        proxy=row.proxy,
    )


def key_entry(row: KeyRow) -> KeyEntry:
    """A key as workers see it."""
    return KeyEntry(
        id=row.id,
        name=row.name,
        version=row.version,
        allowed_models=tuple(row.allowed_models),
        rpm=row.rpm,
        tpm=row.tpm,
        concurrency=row.concurrency,
        budget_nano_usd=row.budget_nano_usd,
        budget_period=row.budget_period,
        priority=row.priority,
        is_strict=row.is_strict,
        is_no_log=row.is_no_log,
        cache_scope=row.cache_scope,
        cache=row.cache,
        single_flight=row.single_flight,
        store_bodies=row.store_bodies,
        unshaped=tuple(row.unshaped),  # type: ignore[arg-type]  # checked when it was stored
        expires_at=row.expires_at,
        allowed_providers=tuple(row.allowed_providers),
        allowed_endpoints=tuple(row.allowed_endpoints),
        allowed_ips=tuple(row.allowed_ips),
        counted_as=row.counted_as,
        warn_nano_usd=math.ceil(row.budget_nano_usd * row.warn_share),
        second_budget_nano_usd=row.second_budget_nano_usd,
        second_budget_period=row.second_budget_period,
        second_warn_nano_usd=math.ceil(row.second_budget_nano_usd * row.second_warn_share),
    )


def ending_entry(entry: KeyEntry, until: float) -> KeyEntry:
    """A key under its secret of before: the same, until then."""
    ends_at = min(until, entry.expires_at) if entry.expires_at else until
    return msgspec.structs.replace(entry, expires_at=ends_at)


def _checked(snapshot: Snapshot) -> bytes:
    """Encode, and read back as a worker will. Raises InvalidSnapshot."""
    encoded = encode_snapshot(snapshot)
    try:
        decode_snapshot(encoded)
    except ValueError as error:
        raise InvalidSnapshot(str(error)) from error
    return encoded


def _revision(text: bytes | str | None) -> int:
    try:
        return int(text) if text is not None else -1
    except ValueError:
        return -1


def _revision_of_name(name: str) -> int:
    return _revision(name.rpartition(":")[2])
