"""The newest lines of the log: `/api/logs/console`, newest first. `nextCursor` is the `cursor` of the next page.

Of the workers and of the admin process, some thousand in all, without secrets as on stderr, where the whole log is; the supervisor's own
lines are there alone. Not for viewers.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery, Parameter
from redis.exceptions import RedisError

from admin_api.http.errors import ApiError, bad_request
from admin_api.services.plane import Plane
from gateway.state.log_lines import LogLine, read_lines

MAX_LIMIT = 2_000
_LEVELS = ("debug", "info", "warning", "error", "critical")
_CURSOR = re.compile(r"\d{1,18}-\d{1,10}")
_PAGE = 1_000
_MAX_PAGES = 5
_Limit = Annotated[int, Parameter(ge=1, le=MAX_LIMIT)]


@get("/api/logs/console")
async def console(
    plane: NamedDependency[Plane],
    limit: FromQuery[_Limit] = 200,
    cursor: FromQuery[Annotated[str, Parameter(max_length=40)]] = "",
    level: FromQuery[Literal["debug", "info", "warning", "error"]] = "debug",
    search: FromQuery[Annotated[str, Parameter(max_length=200)]] = "",
) -> dict[str, Any]:
    """`level` is the least that is shown; `search` looks for a text anywhere in a line."""
    if cursor and not _CURSOR.fullmatch(cursor):
        raise bad_request(("cursor", "is not a cursor of this list"))
    shown: list[dict[str, Any]] = []
    try:
        for _ in range(_MAX_PAGES):
            page = await read_lines(plane.redis, cursor, _PAGE)
            for line in page:
                cursor = line.id
                if _fits(line, level, search):
                    shown.append(_view(line))
                if len(shown) == limit:
                    return {"lines": shown, "nextCursor": cursor}
            if len(page) < _PAGE:
                break
    except (RedisError, OSError) as error:
        raise ApiError(503, "shared state is away: the log is on stderr") from error
    return {"lines": shown, "nextCursor": None}


def _fits(line: LogLine, level: str, search: str) -> bool:
    own = str(line.fields.get("level", "info"))
    is_loud = own not in _LEVELS or _LEVELS.index(own) >= _LEVELS.index(level)
    return is_loud and (not search or search.lower() in str(line.fields).lower())


def _view(line: LogLine) -> dict[str, Any]:
    fields = dict(line.fields)
    return {
        "id": line.id,
        "timestamp": _instant(fields.pop("timestamp", ""), line.id),
        "level": fields.pop("level", "info"),
        "event": fields.pop("event", ""),
        "process": line.process,
        "fields": fields,
    }


def _instant(stamp: Any, line_id: str) -> float:
    """Unix seconds of when it was logged; else of when it was told."""
    try:
        return datetime.fromisoformat(str(stamp)).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return int(line_id.partition("-")[0]) / 1000


handlers = (console,)
