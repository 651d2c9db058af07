"""Backups of a SQLite database, and what is carried elsewhere: `/api/db-backups`. For owners only."""

from typing import Any

import msgspec
from litestar import Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from admin_api.http.answers import saved
from admin_api.http.errors import ApiError, bad_request, not_found
from admin_api.services.backups import Backup, NoBackups
from admin_api.services.plane import Plane
from admin_api.services.restore import OtherSecrets, Restored, restore
from admin_api.store.backup_files import BackupFailed, BadDatabase


class RestoreBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """`acceptOtherSecrets`: also when its secrets or keys cannot be used here, because they were made with other ones."""

    backup_id: str
    accept_other_secrets: bool = False


@get("/api/db-backups")
async def list_backups(plane: NamedDependency[Plane]) -> dict[str, Any]:
    """The newest first. `available` is false on PostgreSQL, which has its own tools."""
    is_file = plane.database.path is not None
    return {"backups": [backup_view(one) for one in await plane.backups.load_all()], "available": is_file}


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
    except (BadDatabase, BackupFailed, OtherSecrets, NoBackups) as problem:
        raise refusal(problem, "backupId") from problem
    return saved({"restored": True, "backupId": data.backup_id, **restored_view(restored)}, await plane.published())


@delete("/api/db-backups/{backup_id:str}", status_code=200)
async def delete_backup(backup_id: FromPath[str], plane: NamedDependency[Plane]) -> dict[str, Any]:
    if not await plane.backups.delete(backup_id):
        raise not_found("backup", backup_id)
    await plane.audit("backup.deleted", "backup", backup_id)
    return {"success": True}


async def _make(plane: Plane) -> Response[dict[str, Any]]:
    try:
        backup = await plane.backups.create("manual")
    except (BackupFailed, NoBackups) as problem:
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
    """Why it was not done, as an answer: 400 for a file, 409 for secrets, 501 for PostgreSQL, 507 for the disk."""
    if isinstance(problem, BadDatabase):
        return bad_request((field, str(problem)))
    status = {OtherSecrets: 409, NoBackups: 501}.get(type(problem), 507)
    return ApiError(status, str(problem))


handlers = (list_backups, make_backup, restore_backup, delete_backup)
