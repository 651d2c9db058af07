"""A provider by any of its names: what an operator writes is a built-in's id or prefix, or a node's."""

from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.http.errors import bad_request
from admin_api.services.plane import Plane
from admin_api.store.nodes import NodeRow, nodes


async def find_provider(
    plane: Plane, connection: AsyncConnection, name: str, field: str = "provider"
) -> tuple[str, NodeRow | None]:
    """The provider's id, and the node where it is one. Raises 400 that names the field."""
    for spec in plane.specs.values():
        if name in (spec.id, *spec.prefixes):
            return spec.id, None
    for row in await nodes.load_all(connection):
        if name in (row.id, row.prefix):
            return row.id, row
    raise bad_request((field, f"there is no provider {name!r}: make a node for it first"))
