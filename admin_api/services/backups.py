"""Backups of the database: made by hand, by the clock and before anything that could go wrong; the oldest go.

They lie in `backups/` of the data dir, private, one file each, as `db_<time>_<reason>.sqlite`: a SQLite file also where the
database is PostgreSQL, so each is restored into either. Those made by hand go only by hand.
"""

import asyncio
import hashlib
import hmac
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec
import structlog

from admin_api.store.backup_files import BackupFailed, copy_live
from admin_api.store.database import Database, get_origin, known_schemas
from admin_api.store.postgres_copies import copy_postgres
from gateway import __version__
from gateway.config.file_shape import BackupPlan
from gateway.config.settings import Settings

Reason = Literal["manual", "scheduled", "pre-migration", "pre-restore", "pre-import"]

MAX_BY_HAND = 100
TURN_LIMIT_S = 50.0
"""How long a copy waits for the one before it; who asked has an answer within a minute."""
_NAME = re.compile(r"db_(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3})Z_([a-z-]{1,20})\.sqlite")
_STAMP = "%Y-%m-%dT%H-%M-%S"
_CHECK = b"omniroute backup check"

log = structlog.get_logger()


class Backup(msgspec.Struct, frozen=True):
    """One file. `created_at` is unix seconds, `size` bytes."""

    id: str
    created_at: float
    size: int
    reason: str


class BackupUnderWay(BackupFailed):
    """Another copy is being made, and took too long to wait for."""


class Backups:
    """The folder of backups of one database. `lock`: one restore or import at a time."""

    def __init__(self, settings: Settings, database: Database, now: Callable[[], float]) -> None:
        self._settings = settings
        self._database = database
        self._now = now
        self.folder = settings.backups_dir
        self.lock = asyncio.Lock()
        self.turn_limit_s = TURN_LIMIT_S
        self._turn = asyncio.Lock()

    async def load_all(self) -> list[Backup]:
        """The newest first."""
        return await asyncio.to_thread(self._list)

    async def create(self, reason: Reason) -> Backup:
        """Copy the database as it is now. Raises BackupFailed."""
        made_at = self._now()
        async with self._database.read() as connection:
            origin = await get_origin(connection) if await self._database.get_schema() else ""
        facts = {
            "made_at": str(made_at),
            "reason": reason,
            "version": __version__,
            "origin": origin,
            "pepper": pepper_check(self._settings),
        }
        await asyncio.to_thread(self._make_folder)
        if reason == "manual" and sum(one.reason == "manual" for one in await self.load_all()) >= MAX_BY_HAND:
            raise BackupFailed(f"there are {MAX_BY_HAND} backups made by hand: delete some")
        async with self.turn():
            target = self._free_name(made_at, reason)
            size = await self._copy(target, facts)
        log.info("backup_made", file=target.name, bytes=size)
        return Backup(target.name, _instant(target.name[3:26]), size, reason)

    async def export(self) -> BinaryIO:
        """The database as one file, for somebody to keep elsewhere; it is gone when it is closed. Raises BackupFailed."""
        with self.scratch("export") as folder:
            target = folder / "export.sqlite"
            facts = {"made_at": str(self._now()), "version": __version__, "pepper": pepper_check(self._settings)}
            async with self.turn():
                await self._copy(target, facts)
            return target.open("rb")

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One after the other: files get names of their own, and Alembic, which knows one migration at a time, makes their schemas.

        Raises BackupUnderWay.
        """
        try:
            async with asyncio.timeout(self.turn_limit_s):
                await self._turn.acquire()
        except TimeoutError as error:
            raise BackupUnderWay("another backup is being made: try again when it is there") from error
        try:
            yield
        finally:
            self._turn.release()

    @contextmanager
    def scratch(self, purpose: Literal["export", "import", "restore", "upload"]) -> Iterator[Path]:
        """A private folder for files on their way, gone at the end. Raises BackupFailed."""
        data_dir = self._settings.data_dir
        try:
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = tempfile.TemporaryDirectory(prefix=f".{purpose}-", dir=data_dir)
        except OSError as error:
            raise BackupFailed(f"cannot write in {data_dir}: {error.strerror}") from error
        with folder as path:
            yield Path(path)

    async def prune(self, keep: int) -> int:
        """Delete the oldest of those that were not made by hand, but for the newest `keep`. Gives how many went."""
        gone = [one for one in await self.load_all() if one.reason != "manual"][max(keep, 1) :]
        for one in gone:
            await self.delete(one.id)
        return len(gone)

    async def delete(self, backup_id: str) -> bool:
        """False when there is no such backup."""
        path = self.path_of(backup_id)
        if path is None:
            return False
        await asyncio.to_thread(path.unlink, missing_ok=True)
        return True

    def path_of(self, backup_id: str) -> Path | None:
        """Its file; None when there is none of that name."""
        path = self.folder / backup_id
        return path if _NAME.fullmatch(backup_id) and path.is_file() else None

    def is_due(self, plan: BackupPlan, newest: float) -> bool:
        """Whether the clock asks for one, the newest being from `newest` (unix seconds)."""
        return plan.every_h > 0 and self._now() - newest >= plan.every_h * 3600

    async def _copy(self, target: Path, facts: dict[str, str]) -> int:
        if self._database.path is None:
            return await copy_postgres(self._database, target, facts)
        return await asyncio.to_thread(copy_live, self._database.path, target, facts)

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise BackupFailed(f"cannot make {self.folder}: {error.strerror}") from error

    def _list(self) -> list[Backup]:
        found = []
        for path in self.folder.glob("db_*.sqlite"):
            if match := _NAME.fullmatch(path.name):
                try:
                    size = path.stat().st_size
                except FileNotFoundError:
                    continue
                found.append(Backup(path.name, _instant(match[1]), size, match[2]))
        return sorted(found, key=lambda one: one.id, reverse=True)

    def _free_name(self, at: float, reason: Reason) -> Path:
        while True:
            moment = datetime.fromtimestamp(at, UTC)
            path = self.folder / f"db_{moment:{_STAMP}}-{moment.microsecond // 1000:03d}Z_{reason}.sqlite"
            if not path.exists():
                return path
            at += 0.001


class SchemaTooNew(Exception):
    """A newer version has been here. The message says what to do."""


async def migrate_safely(database: Database, settings: Settings, now: Callable[[], float]) -> None:
    """Bring the schema up to date; what is there already is copied first. Raises BackupFailed, SchemaTooNew: nothing was changed then."""
    async with database.turn():
        schema = await database.get_schema()
        if schema and schema not in known_schemas():
            raise SchemaTooNew(
                f"the database has schema {schema}, and version {__version__} knows schemas up to {known_schemas()[0]}: "
                "start the newer version, or have it restore a backup that was made before the upgrade"
            )
        if schema and schema != known_schemas()[0] and settings.backs_up_before_migrations:
            await Backups(settings, database, now).create("pre-migration")
        await database.migrate()


def pepper_check(settings: Settings) -> str:
    """Tells whether two `API_KEY_SECRET`s are the same, and nothing else of them."""
    return hmac.digest(settings.api_key_secret.encode(), _CHECK, hashlib.sha256).hex()


def _instant(stamp: str) -> float:
    moment = datetime.strptime(stamp[:-4], _STAMP).replace(tzinfo=UTC)
    return moment.timestamp() + int(stamp[-3:]) / 1000
