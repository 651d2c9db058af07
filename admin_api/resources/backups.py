"""Backups of the database, and what is carried elsewhere: `/api/db-backups`. For owners only."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec
from litestar import Request, Response, delete, get, post, put
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Stream

from admin_api.http.answers import saved
from admin_api.http.errors import ApiError, bad_request, not_found
from admin_api.services.backups import Backup, BackupUnderWay
from admin_api.services.export_config import export_archive, export_config
from admin_api.services.move_in import MovedIn, move_in
from admin_api.services.plane import Plane
from admin_api.services.restore import OtherSecrets, Restored, is_ours, restore
from admin_api.store.backup_files import BackupFailed, BadDatabase, check_intact

MAX_UPLOAD_BYTES = 100 << 20
MIN_UPLOAD_BYTES = 4096
_PART_BYTES = 1 << 18
_FRAME_BYTES = 1 << 16
"""What a form may be larger than the file in it."""


class RestoreBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """`acceptOtherSecrets`: also when its secrets or keys cannot be used here, because they were made with other ones."""

    backup_id: str
    accept_other_secrets: bool = False


@get("/api/db-backups")
async def list_backups(plane: NamedDependency[Plane]) -> dict[str, Any]:
    """The newest first: those of the machine that answers."""
    return {"backups": [backup_view(one) for one in await plane.backups.load_all()], "available": True}


@put("/api/db-backups", status_code=201)
async def make_backup(plane: NamedDependency[Plane]) -> Response[dict[str, Any]]:
    return await _make(plane)


@post("/api/db-backups", status_code=200)
async def restore_backup(data: JSONBody[RestoreBody], plane: NamedDependency[Plane]) -> Response[dict[str, Any]]:
    """Go back to a backup. The ledger and the audit log stay; what was there before is backed up; sessions end."""
    path = plane.backups.path_of(data.backup_id)
    if path is None:
        raise not_found("backup", data.backup_id)
    try:
        restored = await restore(plane, path, data.backup_id, accepts_other_secrets=data.accept_other_secrets)
    except (BadDatabase, BackupFailed, OtherSecrets) as problem:
        raise refusal(problem, "backupId") from problem
    return saved({"restored": True, "backupId": data.backup_id, **restored_view(restored)}, await plane.published())


@delete("/api/db-backups/{backup_id:str}", status_code=200)
async def delete_backup(backup_id: FromPath[str], plane: NamedDependency[Plane]) -> dict[str, Any]:
    if not await plane.backups.delete(backup_id):
        raise not_found("backup", backup_id)
    await plane.audit("backup.deleted", "backup", backup_id)
    return {"success": True}


@post("/api/db-backups/import", status_code=200, request_max_body_size=MAX_UPLOAD_BYTES + _FRAME_BYTES)
async def import_database(
    request: Request[Any, Any, Any], plane: NamedDependency[Plane], dry_run: FromQuery[bool] = False
) -> Response[dict[str, Any]]:
    """A backup of ours is restored; of a seed system's `storage.sqlite` all moves in that can, beside what is here.

    The file is `file` of a form (with `encryptionKey`, the seed's `STORAGE_ENCRYPTION_KEY`, and `acceptOtherSecrets`), or the body
    itself. `?dry_run=true` only says what would move. 4 KB to 100 MB.
    """
    try:
        with plane.backups.scratch("upload") as folder:
            body = await _take_in(plane, request, folder / "upload.sqlite", is_dry_run=dry_run)
    except (BadDatabase, BackupFailed, OtherSecrets) as problem:
        raise refusal(problem, "file") from problem
    return saved(body, await plane.published())


async def _take_in(plane: Plane, request: Request[Any, Any, Any], path: Path, *, is_dry_run: bool) -> dict[str, Any]:
    fields = await _receive(request, path)
    if is_ours(await asyncio.to_thread(check_intact, path)):
        if is_dry_run:
            raise bad_request(("dry_run", "a restore cannot be tried: it can be undone with its `before`"))
        accepts = fields.get("acceptOtherSecrets") == "true"
        restored = await restore(plane, path, "upload", accepts_other_secrets=accepts)
        return {"imported": True, "kind": "backup", **restored_view(restored)}
    seed_keys = (fields.get("encryptionKey", ""), plane.settings.seed_encryption_key)
    moved = await move_in(plane, path, seed_keys, is_dry_run=is_dry_run)
    return {"imported": not is_dry_run, "kind": "seed", **moved_view(moved)}


@get("/api/db-backups/export")
async def export(
    plane: NamedDependency[Plane],
    format: FromQuery[Literal["sqlite", "yaml"]] = "sqlite",  # noqa: A002  (the query's word)
) -> Response[Any]:
    """The database as a SQLite file, sealed as it is; or with `?format=yaml` the configuration as a config file, secrets as `${…}`."""
    if format == "yaml":
        return _download((await export_config(plane)).text.encode(), "omniroute.yaml", "application/yaml")
    try:
        file = await plane.backups.export()
    except BackupFailed as problem:
        raise refusal(problem, "") from problem
    await plane.audit("database.exported", "database")
    named = {"content-disposition": 'attachment; filename="omniroute.sqlite"'}
    return Stream(_parts(file), media_type="application/vnd.sqlite3", headers=named)


@get("/api/db-backups/exportAll")
async def export_all(plane: NamedDependency[Plane]) -> Response[bytes]:
    """The configuration as a `.tar.gz` of a config file and JSON, without any credential or hash of one."""
    return _download(await export_archive(plane), "omniroute-export.tar.gz", "application/gzip")


async def _parts(file: BinaryIO) -> AsyncIterator[bytes]:
    with file:
        while part := await asyncio.to_thread(file.read, _PART_BYTES):
            yield part


def _download(data: bytes, name: str, media_type: str) -> Response[bytes]:
    return Response(data, media_type=media_type, headers={"content-disposition": f'attachment; filename="{name}"'})


async def _receive(request: Request[Any, Any, Any], path: Path) -> dict[str, str]:
    """Write the uploaded file; gives the other fields of the form. Raises 400 or 413."""
    fields: dict[str, str] = {}
    size = 0
    with path.open("wb") as target:
        os.fchmod(target.fileno(), 0o600)
        if request.content_type[0] == "multipart/form-data":
            form = await request.form()
            upload = form.get("file")
            fields = {name: value for name, value in form.items() if isinstance(value, str)}
            if not isinstance(upload, UploadFile):
                raise bad_request(("file", "is missing"))
            while part := await upload.read(1 << 20):
                size += target.write(part)
        else:
            async for part in request.stream():
                size += target.write(part)
    if size > MAX_UPLOAD_BYTES:
        raise ApiError(413, f"the file has more than {MAX_UPLOAD_BYTES >> 20} MB")
    if size < MIN_UPLOAD_BYTES:
        raise bad_request(("file", "is too small to be a database"))
    return fields


def moved_view(moved: MovedIn) -> dict[str, Any]:
    """In the seed's words first, then the whole report."""
    taken = moved.taken
    return {
        "connectionCount": taken.get("connections", 0),
        "nodeCount": taken.get("nodes", 0),
        "comboCount": taken.get("combos", 0),
        "apiKeyCount": taken.get("keys", 0),
        **msgspec.to_builtins(moved),
    }


async def _make(plane: Plane) -> Response[dict[str, Any]]:
    try:
        backup = await plane.backups.create("manual")
    except BackupFailed as problem:
        raise refusal(problem, "") from problem
    await plane.audit("backup.created", "backup", backup.id)
    return Response({"success": True, "backup": backup_view(backup)}, status_code=201)


def backup_view(backup: Backup) -> dict[str, Any]:
    return {
        "id": backup.id,
        "filename": backup.id,
        "createdAt": backup.created_at,
        "size": backup.size,
        "reason": backup.reason,
    }


def restored_view(restored: Restored) -> dict[str, Any]:
    """In the seed's words, and the backup of what was there before."""
    return {
        "connectionCount": restored.connections,
        "nodeCount": restored.nodes,
        "comboCount": restored.combos,
        "apiKeyCount": restored.keys,
        "before": backup_view(restored.before),
    }


def refusal(problem: Exception, field: str) -> ApiError:
    """Why it was not done, as an answer: 400 for a file, 409 for secrets and for another that is under way, 507 for the disk."""
    if isinstance(problem, BadDatabase):
        return bad_request((field, str(problem)))
    return ApiError(409 if isinstance(problem, OtherSecrets | BackupUnderWay) else 507, str(problem))


handlers = (list_backups, make_backup, restore_backup, delete_backup, import_database, export, export_all)
