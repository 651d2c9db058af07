"""The audit log: `GET /api/compliance/audit-log`, newest first. `nextCursor` is the `cursor` of the next page."""

from typing import Annotated, Any

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery, Parameter

from admin_api.services.plane import Plane
from admin_api.store.audit import AuditRow, audit_conditions, load_audit

MAX_LIMIT = 500
MAX_OFFSET = 10_000
_Limit = Annotated[int, Parameter(ge=1, le=MAX_LIMIT)]
_Offset = Annotated[int, Parameter(ge=0, le=MAX_OFFSET)]
_Text = Annotated[str, Parameter(max_length=400)]


@get("/api/compliance/audit-log")
async def list_audit(
    plane: NamedDependency[Plane],
    action: FromQuery[_Text] = "",
    actor: FromQuery[_Text] = "",
    kind: FromQuery[_Text] = "",
    object_id: FromQuery[_Text] = "",
    since: FromQuery[float] = 0.0,
    until: FromQuery[float] = 0.0,
    limit: FromQuery[_Limit] = 50,
    offset: FromQuery[_Offset] = 0,
    cursor: FromQuery[_Text] = "",
) -> dict[str, Any]:
    """`action` is one (`key.changed`), or all of a kind (`key.`); `offset` is the seed's way to page, `cursor` the fast one."""
    where = audit_conditions(action=action, actor=actor, kind=kind, object_id=object_id, since=since, until=until)
    async with plane.database.read() as connection:
        rows = await load_audit(connection, where, cursor, limit + 1, offset)
    page = rows[:limit]
    return {
        "entries": [audit_view(row) for row in page],
        "nextCursor": str(page[-1]["id"]) if len(rows) > limit else None,
    }


def audit_view(row: AuditRow) -> dict[str, Any]:
    """An entry as the API shows it; secrets were masked when it was written."""
    return {
        "id": row["id"],
        "at": row["at"],
        "actor": {
            "kind": row["actor_kind"],
            "name": row["actor"],
            "id": row["actor_id"],
            "role": row["role"],
            "address": row["address"],
        },
        "action": row["action"],
        "object": {"kind": row["kind"], "id": row["object_id"], "name": row["object_name"]},
        "before": row["before"],
        "after": row["after"],
        "revision": row["revision"],
    }


handlers = (list_audit,)
