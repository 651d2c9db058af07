"""Lists in pages: `limit` and `cursor` in the query, `nextCursor` in the answer. It is the `cursor` of the next page, null at the end.

A client that gives no `limit`, as those of the seed system, gets all that there is, up to a bound.
"""

from typing import Annotated, TypeVar

import msgspec
import sqlalchemy as sa
from litestar.params import QueryParameter
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.http.errors import bad_request
from admin_api.store.collection import Collection
from admin_api.store.cursor import BadCursor

MAX_PAGE = 500
MAX_WHOLE = 5_000
"""Rows for a client that asks for no pages."""

Row = TypeVar("Row", bound=msgspec.Struct)
Limit = Annotated[
    int | None,
    QueryParameter(
        name="limit", ge=1, le=MAX_PAGE, required=False, description=f"Rows of a page; {MAX_WHOLE} without."
    ),
]
Cursor = Annotated[
    str, QueryParameter(name="cursor", max_length=4000, required=False, description="`nextCursor` of the page before.")
]


async def load_page(
    connection: AsyncConnection,
    collection: Collection[Row],
    limit: int | None,
    cursor: str,
    *where: sa.ColumnElement[bool],
    is_reversed: bool = False,
) -> tuple[list[Row], str | None]:
    """The rows of a page in the collection's order, and the cursor of the next one. Raises 400 for a cursor of elsewhere."""
    try:
        page = await collection.load_page(connection, cursor, limit or MAX_WHOLE, *where, is_reversed=is_reversed)
    except BadCursor as error:
        raise bad_request(("cursor", str(error))) from error
    return page.rows, page.after
