"""The config file → rows, in one transaction. What comes from it is managed: read-only through the API.

A file with a problem changes nothing and is shown on the health page; the rows applied last stay in force. Ids come
from natural names, so they are the same after every start. What stood under the same name before is taken over;
what has left the file is removed; without a file, what was managed becomes ordinary.
"""

import asyncio
import json
import os
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import msgspec
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.auth.actor import CONFIG_FILE
from admin_api.services.key_rules import nano_usd, new_key_row, secret_hint
from admin_api.services.plane import Plane
from admin_api.store.collection import Collection
from admin_api.store.combos import ComboRow, combos
from admin_api.store.connections import ConnectionRow, connections
from admin_api.store.database import Change
from admin_api.store.keys import KeyRow, bury_key, keys, unbury_key
from admin_api.store.names import AliasRow, ChainRow, aliases, chains
from admin_api.store.nodes import NodeRow, nodes
from admin_api.store.prices import PriceRow, price_id, prices
from admin_api.store.settings import SettingRow, settings_rows
from gateway.config.envelope import EnvelopeError, open_sealed
from gateway.config.file import (
    ConfigFileError,
    FileCombo,
    FileConfig,
    FileConnection,
    FileKey,
    FileNode,
    FileSettings,
    load_config_file,
)
from gateway.config.keys import digest_of
from gateway.config.snapshot import Price

_IDS = uuid.UUID("6f6d6e69-726f-5574-8000-000000000001")
_UNCHANGING = ("created_at", "updated_at", "version", "revision")

Row = TypeVar("Row", bound=msgspec.Struct)

log = structlog.get_logger()


class _NothingChanged(Exception):
    """The rows are as the file says."""


class _Clash(ValueError):
    """The file does not fit what was made through the API."""


async def apply_config_file(plane: Plane) -> None:
    """Apply the file of the settings. Never raises for what is in the file."""
    state = plane.config_file
    path = plane.settings.config_file
    if path is None:
        await _release_managed(plane)
        return
    state.file = str(path)
    try:
        config = await asyncio.to_thread(load_config_file, path, dict(os.environ))
        is_changed = await _apply(plane, config)
    except (ConfigFileError, _Clash, SQLAlchemyError) as error:
        state.error = str(error)
        log.error("config_file_refused", file=state.file, error=state.error)  # noqa: TRY400  (the operator's text, no fault of ours)
        return
    state.error, state.applied_at = "", plane.now()
    for warning in config.warnings:
        log.warning("config_file_warning", file=state.file, detail=warning)
    log.info("config_file_applied", file=state.file, changed=is_changed)


async def _apply(plane: Plane, config: FileConfig) -> bool:
    try:
        async with plane.acting_as(CONFIG_FILE).change() as change:
            await _Application(plane, change).run_or_roll_back(config)
    except _NothingChanged:
        return False
    return True


class _Application:
    """One run over all aggregates, in one transaction."""

    def __init__(self, plane: Plane, change: Change) -> None:
        self._plane = plane
        self._change = change
        self._connection = change.connection
        self._now = plane.now()

    async def run_or_roll_back(self, config: FileConfig) -> None:
        """Raises _NothingChanged when the rows were so already: then the revision must not rise either."""
        if not await self._run(config):
            raise _NothingChanged

    async def _run(self, config: FileConfig) -> bool:
        await self._check_prefixes(config.nodes)
        changed = [
            await self._sync(nodes, config.nodes, lambda file: file.id, lambda row: row.id, self._node),
            await self._sync(
                connections,
                config.connections,
                lambda file: (file.provider, file.name),
                lambda row: (row.provider, row.name),
                self._connection_row,
            ),
            await self._sync(combos, config.combos, lambda file: file.name, lambda row: row.name, self._combo),
            await self._sync(
                aliases,
                config.aliases,
                lambda file: file.pattern,
                lambda row: row.pattern,
                lambda file, _old: AliasRow(file.pattern, file.target, managed=True),
            ),
            await self._sync(
                chains,
                config.fallback_chains,
                lambda file: file.name,
                lambda row: row.name,
                lambda file, _old: ChainRow(file.name, list(file.models), managed=True),
            ),
            await self._sync(
                prices,
                config.prices,
                lambda file: price_id(file.model, file.valid_from),
                lambda row: row.id,
                self._price,
            ),
            await self._sync(
                settings_rows,
                _setting_rows(config.settings),
                lambda file: file.name,
                lambda row: row.name,
                lambda file, _old: file,
            ),
            await self._sync_keys(config.keys),
        ]
        return any(changed)

    async def _sync(
        self,
        collection: Collection[Row],
        wanted: Iterable[Any],
        name_in_file: Callable[[Any], Any],
        name_of: Callable[[Row], Any],
        build: Callable[[Any, Row | None], Row],
    ) -> bool:
        """Make the managed rows of one aggregate those of the file."""
        existing = {name_of(row): row for row in await collection.load_all(self._connection)}
        built = {name_in_file(item): build(item, existing.get(name_in_file(item))) for item in wanted}
        gone = [row for name, row in existing.items() if row.managed and name not in built]  # type: ignore[attr-defined]  # every row has it
        changed = {
            name: _at(row, self._change.revision)
            for name, row in built.items()
            if not _is_same(row, existing.get(name))
        }
        stale = [existing[name] for name in changed if name in existing]
        await self._exchange(collection, [*gone, *stale], list(changed.values()))
        return bool(gone or changed)

    async def _exchange(self, collection: Collection[Row], old: Sequence[Row], new: Sequence[Row]) -> None:
        """Delete, then insert: so unique names may move from one row to another."""
        for row in old:
            await collection.delete(self._connection, collection.key_of(row))
        for row in new:
            await collection.insert(self._connection, row)

    async def _sync_keys(self, wanted: Sequence[FileKey]) -> bool:
        """Keys go by name among the managed; a secret that was a key already is taken over."""
        existing = await keys.load_all(self._connection)
        managed = {row.name: row for row in existing if row.managed}
        built = {file.name: self._key(file, managed.get(file.name)) for file in wanted}
        digests = {row.digest for row in built.values()}
        gone = [
            row
            for row in existing
            if (row.managed and row.name not in built) or (not row.managed and row.digest in digests)
        ]
        changed = {name: row for name, row in built.items() if not _is_same(row, managed.get(name))}
        stale = [managed[name] for name in changed if name in managed]
        await self._exchange(keys, [*gone, *stale], list(changed.values()))
        for digest in {digest for row in (*gone, *stale) for digest in row.digests} - digests:
            await bury_key(self._connection, digest, self._change.revision, self._now)
        for row in changed.values():
            await unbury_key(self._connection, row.digest)
        return bool(gone or changed)

    async def _check_prefixes(self, wanted: Sequence[FileNode]) -> None:
        ids = {file.id for file in wanted}
        taken = {row.prefix: row for row in await nodes.load_all(self._connection) if not row.managed}
        for file in wanted:
            other = taken.get(file.prefix)
            if other and other.id not in ids:
                raise _Clash(f"nodes: the prefix {file.prefix!r} belongs to the node {other.id!r} made through the API")

    def _node(self, file: FileNode, old: NodeRow | None) -> NodeRow:
        return NodeRow(
            **msgspec.structs.asdict(file),
            managed=True,
            created_at=old.created_at if old else self._now,
            updated_at=self._now,
        )

    def _connection_row(self, file: FileConnection, old: ConnectionRow | None) -> ConnectionRow:
        row_id = stable_id("connection", file.provider, file.name)
        kept = old if old and old.id == row_id else None
        return ConnectionRow(
            **{
                **msgspec.structs.asdict(file),
                "api_key": self._sealed(file.api_key, row_id, kept.api_key if kept else ""),
                "proxy": self._sealed(file.proxy, row_id, kept.proxy if kept else ""),
                "models": list(file.models),
            },
            id=row_id,
            api_key_hint=secret_hint(file.api_key),
            is_active=True,
            managed=True,
            extra={},
            created_at=old.created_at if old else self._now,
            updated_at=self._now,
        )

    def _sealed(self, plaintext: str, owner_id: str, kept: str) -> str:
        """The envelope that is there already if it holds the same: sealing again would look like a change."""
        try:
            if kept and open_sealed(kept, owner_id, self._plane.encryption_key) == plaintext:
                return kept
        except EnvelopeError:
            log.info("secret_sealed_anew", owner=owner_id)
        return self._plane.seal(plaintext, owner_id)

    def _combo(self, file: FileCombo, old: ComboRow | None) -> ComboRow:
        return ComboRow(
            id=stable_id("combo", file.name),
            name=file.name,
            models=[{"model": entry.model, "weight": entry.weight} for entry in file.models],
            strategy=file.strategy,
            config=dict(file.config),
            is_active=file.is_active,
            managed=True,
            created_at=old.created_at if old else self._now,
            updated_at=self._now,
        )

    def _price(self, file: Price, _old: PriceRow | None) -> PriceRow:
        given = {name: getattr(file, name) for name in ("input", "output", "cache_read", "cache_write", "reasoning")}
        return PriceRow(
            id=price_id(file.model, file.valid_from),
            model=file.model,
            valid_from=file.valid_from,
            **given,
            managed=True,
            updated_at=self._now,
            version=self._change.revision,
        )

    def _key(self, file: FileKey, old: KeyRow | None) -> KeyRow:
        fresh = new_key_row(self._plane, file.secret, file.name, self._change.revision)
        return msgspec.structs.replace(
            fresh,
            id=stable_id("key", file.name),
            digest=digest_of(file.secret, self._plane.pepper),
            allowed_models=list(file.allowed_models),
            allowed_providers=list(file.allowed_providers),
            allowed_endpoints=list(file.allowed_endpoints),
            allowed_ips=list(file.allowed_ips),
            warn_share=file.warn_share,
            rpm=file.rpm,
            tpm=file.tpm,
            concurrency=file.concurrency,
            budget_nano_usd=nano_usd(file.budget_usd),
            budget_period=file.budget_period,
            second_budget_nano_usd=nano_usd(file.second_budget_usd),
            second_budget_period=file.second_budget_period,
            second_warn_share=file.second_warn_share,
            priority=file.priority,
            is_strict=file.strict,
            is_no_log=file.no_log,
            cache_scope=file.cache_scope,
            cache=file.cache,
            single_flight=file.single_flight,
            store_bodies=file.store_bodies,
            unshaped=list(file.unshaped),
            expires_at=file.expires,
            managed=True,
            version=old.version + 1 if old else 1,
            created_at=old.created_at if old else self._now,
        )


async def _release_managed(plane: Plane) -> None:
    """There is no file any more: what it brought can be edited from now on."""
    every: tuple[Collection[Any], ...] = (nodes, connections, combos, aliases, chains, prices, settings_rows, keys)
    async with plane.acting_as(CONFIG_FILE).act() as acting:
        for collection in every:
            await _release(acting.connection, collection)


async def _release(connection: AsyncConnection, collection: Collection[Any]) -> None:
    for row in await collection.load_all(connection):
        if row.managed:
            await collection.replace(connection, msgspec.structs.replace(row, managed=False))


def stable_id(kind: str, *names: str) -> str:
    """An id that is the same whenever the same name is read."""
    return str(uuid.uuid5(_IDS, json.dumps([kind, *names])))


def _setting_rows(given: FileSettings | None) -> list[SettingRow]:
    if given is None:
        return []
    values = {
        "fallbackStrategy": given.account_strategy,
        "stickyRoundRobinLimit": given.sticky_limit,
        "providerStrategies": None
        if given.provider_strategies is None
        else msgspec.to_builtins(given.provider_strategies),
        "timeouts": msgspec.structs.asdict(given.timeouts) if given.timeouts else None,
        "waiting": msgspec.structs.asdict(given.waiting) if given.waiting else None,
        "resilience": msgspec.structs.asdict(given.resilience) if given.resilience else None,
        "tierBudgets": msgspec.to_builtins(given.tier_budgets) if given.tier_budgets else None,
        "sessionAffinity": given.session_affinity,
        "retryBudget": msgspec.structs.asdict(given.retry_budget) if given.retry_budget else None,
        "backups": msgspec.to_builtins(given.backups) if given.backups else None,
        "cache": msgspec.to_builtins(given.cache) if given.cache else None,
        "sharing": msgspec.to_builtins(given.sharing) if given.sharing else None,
        "logs": msgspec.to_builtins(given.logs) if given.logs else None,
        "earlyHeadersS": given.early_headers_s,
        "shaping": msgspec.to_builtins(given.shaping) if given.shaping else None,
        "progressS": given.progress_s,
        "explainsAll": given.explains_all,
        "providerProfiles": None if given.profiles is None else msgspec.to_builtins(given.profiles),
        "rateLimitDefaults": None
        if given.rate_limit_defaults is None
        else msgspec.to_builtins(given.rate_limit_defaults),
        "blockedProviders": None if given.blocked_providers is None else list(given.blocked_providers),
    }
    return [SettingRow(name, value, managed=True) for name, value in values.items() if value is not None]


def _at(row: Row, revision: int) -> Row:
    """The row as of a revision of the configuration, which is the version of what it describes."""
    return msgspec.structs.replace(row, version=revision) if "version" in row.__struct_fields__ else row


def _is_same(row: msgspec.Struct, other: msgspec.Struct | None) -> bool:
    """Equal but for when and how often it was written."""
    if other is None:
        return False
    one, two = msgspec.structs.asdict(row), msgspec.structs.asdict(other)
    return all(one[name] == two[name] for name in one if name not in _UNCHANGING)
