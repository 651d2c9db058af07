"""Admin tokens for programs: `/api/admin-tokens`. Owners only. The token is in the answer to POST and nowhere else."""

from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from admin_api.auth.actor import Role
from admin_api.auth.sessions import create_admin_token
from admin_api.http.errors import bad_request, conflict, not_found
from admin_api.http.paging import Cursor, Limit, load_page
from admin_api.services.plane import Plane
from admin_api.store.credentials import TokenRow, admin_tokens

MAX_TOKENS = 1000

_Scope = Annotated[str, msgspec.Meta(pattern=r"^/api(/[A-Za-z0-9._-]+)*$", max_length=200)]


class TokenBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """`scopes` are paths, with all below them; none = all that the role may. `expiresAt`: unix seconds, 0 = never."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    role: Role = "viewer"
    scopes: Annotated[list[_Scope], msgspec.Meta(max_length=50)] = []
    expires_at: Annotated[float, msgspec.Meta(ge=0, le=1e11)] = 0.0


@get("/api/admin-tokens")
async def list_tokens(plane: NamedDependency[Plane], limit: Limit = None, cursor: Cursor = "") -> dict[str, Any]:
    """Newest first; there are at most MAX_TOKENS."""
    async with plane.database.read() as connection:
        rows, after = await load_page(connection, admin_tokens, limit, cursor, is_reversed=True)
    return {"tokens": [token_view(row) for row in rows], "nextCursor": after}


@post("/api/admin-tokens")
async def create_token(data: JSONBody[TokenBody], plane: NamedDependency[Plane]) -> Response[dict[str, Any]]:
    if 0 < data.expires_at <= plane.now():
        raise bad_request(("expiresAt", "is in the past"))
    async with plane.act() as acting:
        if len(await admin_tokens.load_all(acting.connection)) >= MAX_TOKENS:
            raise conflict(f"there are {MAX_TOKENS} tokens already: delete some")
        row, token = await create_admin_token(
            acting.connection,
            data.name,
            data.role,
            plane.now(),
            scopes=tuple(data.scopes),
            expires_at=data.expires_at,
            created_by=plane.actor.name,
        )
    return Response({**token_view(row), "token": token}, status_code=201)


@delete("/api/admin-tokens/{token_id:str}", status_code=200)
async def delete_token(token_id: FromPath[str], plane: NamedDependency[Plane]) -> dict[str, Any]:
    """Revoke a token: it is refused from the next request on."""
    async with plane.act() as acting:
        if not await admin_tokens.delete(acting.connection, token_id):
            raise not_found("token", token_id)
    return {"success": True}


def token_view(row: TokenRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "role": row.role,
        "scopes": row.scopes,
        "expiresAt": row.expires_at,
        "lastUsedAt": row.last_used_at,
        "createdBy": row.created_by,
        "createdAt": row.created_at,
    }


handlers = (list_tokens, create_token, delete_token)
