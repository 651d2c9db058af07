"""Gateway keys, by digest; the secret itself is never stored. A removed key leaves a tombstone for the publisher."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.store import tables
from admin_api.store.collection import Collection
from gateway.domain.caching import CacheSwitch


class KeyBudget(msgspec.Struct, frozen=True):
    """What a key may spend in a period; `warn_share` of it spent is told, 0 = never."""

    nano_usd: int
    period: str
    warn_share: float = 0.8


class KeyRow(msgspec.Struct, frozen=True):
    """`revision` is the one that changed this row last; `hint` is what may be shown of the secret.

    A key that was rotated has its secret of before (`old_digest`) until `old_until`, unix seconds; `counted_as` is its
    first digest, under which its limits go on counting. There is a second budget only beside a first one.
    """

    id: str
    name: str
    digest: str
    hint: str
    version: int
    revision: int
    allowed_models: list[str]
    rpm: int
    tpm: int
    concurrency: int
    budget_nano_usd: int
    budget_period: str
    priority: str
    is_strict: bool
    is_no_log: bool
    cache_scope: str
    cache: CacheSwitch
    single_flight: CacheSwitch
    store_bodies: CacheSwitch
    unshaped: list[str]
    expires_at: float
    is_active: bool
    managed: bool
    created_at: float
    updated_at: float
    allowed_providers: list[str] = []
    allowed_endpoints: list[str] = []
    allowed_ips: list[str] = []
    warn_share: float = 0.8
    second_budget_nano_usd: int = 0
    second_budget_period: str = ""
    second_warn_share: float = 0.8
    counted_as: str = ""
    old_digest: str = ""
    old_until: float = 0.0

    @property
    def counter(self) -> str:
        """The digest under which workers count what it uses."""
        return self.counted_as or self.digest

    @property
    def budgets(self) -> tuple[KeyBudget, ...]:
        """None, one, or two of different periods."""
        both = (
            KeyBudget(self.budget_nano_usd, self.budget_period or "monthly", self.warn_share),
            KeyBudget(self.second_budget_nano_usd, self.second_budget_period, self.second_warn_share),
        )
        return tuple(one for one in both if one.nano_usd)

    @property
    def digests(self) -> tuple[str, ...]:
        """Of its secret, and of the one before while it has one."""
        return (self.digest, self.old_digest) if self.old_digest else (self.digest,)


keys = Collection(tables.api_keys, KeyRow, tables.api_keys.c.created_at, tables.api_keys.c.id)


async def get_key_by_digest(connection: AsyncConnection, digest: str) -> KeyRow | None:
    found = await keys.load_all(connection, tables.api_keys.c.digest == digest)
    return found[0] if found else None


def named_like(search: str) -> list[sa.ColumnElement[bool]]:
    """Keys whose name holds a text, however it is spelled; all of them when it is empty."""
    return [tables.api_keys.c.name.icontains(search, autoescape=True)] if search else []


def has_budget() -> tuple[sa.ColumnElement[bool], ...]:
    """Keys that have a budget and are in use."""
    return tables.api_keys.c.budget_nano_usd > 0, tables.api_keys.c.is_active


async def load_keys_with_budget(connection: AsyncConnection) -> list[KeyRow]:
    return await keys.load_all(connection, *has_budget())


async def load_outlived(connection: AsyncConnection, now: float) -> list[KeyRow]:
    """Rotated keys whose secret of before is valid no longer."""
    table = tables.api_keys
    return await keys.load_all(connection, table.c.old_digest != "", table.c.old_until <= now)


async def load_keys_since(connection: AsyncConnection, revision: int) -> list[KeyRow]:
    """Keys that changed after `revision`."""
    return await keys.load_all(connection, tables.api_keys.c.revision > revision)


async def load_keys_after(connection: AsyncConnection, key_id: str, limit: int) -> list[KeyRow]:
    """A page of all keys, by id."""
    statement = sa.select(tables.api_keys).where(tables.api_keys.c.id > key_id).order_by(tables.api_keys.c.id)
    return [KeyRow(**row._mapping) for row in await connection.execute(statement.limit(limit))]


async def load_active_digests(connection: AsyncConnection, among: Sequence[str] | None = None) -> set[str]:
    """Digests of the keys that are active: all of them, or those `among` (at most some thousand)."""
    table = tables.api_keys
    found: set[str] = set()
    for column in (table.c.digest, table.c.old_digest):
        statement = sa.select(column).where(table.c.is_active, column != "")
        if among is not None:
            statement = statement.where(column.in_(among))
        found.update((await connection.execute(statement)).scalars())
    return found


async def load_active_versions(connection: AsyncConnection) -> dict[str, int]:
    """By digest, of all keys that are active; under that of a rotated key's secret of before too."""
    rows = await keys.load_all(connection, tables.api_keys.c.is_active)
    return {digest: row.version for row in rows for digest in row.digests}


async def load_removed_since(connection: AsyncConnection, revision: int) -> list[str]:
    """Digests of keys that were removed after `revision`."""
    table = tables.key_tombstones
    return list((await connection.execute(sa.select(table.c.digest).where(table.c.revision > revision))).scalars())


async def bury_key(connection: AsyncConnection, digest: str, revision: int, now: float) -> None:
    """Leave a tombstone, so that every publisher takes the key out of Redis."""
    await unbury_key(connection, digest)
    await connection.execute(sa.insert(tables.key_tombstones).values(digest=digest, revision=revision, removed_at=now))


async def unbury_key(connection: AsyncConnection, digest: str) -> None:
    """Remove the tombstone of a secret that is a key again."""
    await connection.execute(sa.delete(tables.key_tombstones).where(tables.key_tombstones.c.digest == digest))


async def purge_tombstones(connection: AsyncConnection, removed_before: float) -> None:
    await connection.execute(
        sa.delete(tables.key_tombstones).where(tables.key_tombstones.c.removed_at < removed_before)
    )


async def find_key_id(connection: AsyncConnection, name: str) -> str:
    """The id of the key of that name; the name itself when there is none, since it may be the id of one that went."""
    found = (
        await connection.execute(sa.select(tables.api_keys.c.id).where(tables.api_keys.c.name == name).limit(1))
    ).scalar()
    return name if found is None else str(found)


async def load_expired_keys(connection: AsyncConnection, prefix: str, before: float, limit: int) -> list[KeyRow]:
    """Of the keys whose names begin with a prefix those that expired before an instant, by id."""
    columns = tables.api_keys.c
    where = (columns.name.startswith(prefix, autoescape=True), columns.expires_at > 0, columns.expires_at < before)
    statement = sa.select(tables.api_keys).where(*where).order_by(columns.id).limit(limit)
    return [KeyRow(**row._mapping) for row in await connection.execute(statement)]


async def load_budget_keys(connection: AsyncConnection, after: str, limit: int) -> list[KeyRow]:
    """A page of the keys that have a budget and are in use, by id."""
    columns = tables.api_keys.c
    statement = sa.select(tables.api_keys).where(columns.id > after, *has_budget())
    return [KeyRow(**row._mapping) for row in await connection.execute(statement.order_by(columns.id).limit(limit))]
