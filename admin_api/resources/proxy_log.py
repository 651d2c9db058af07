"""Which proxy was used for what: `/api/usage/proxy-logs`, newest first, in pages as the log of requests.

An entry is an attempt at a provider that went through a proxy; `tests` are the last tests of connections that did. Proxies are without
credentials. `publicIp` of the seed is not there: nobody is asked for it.
"""

from typing import Annotated, Any
from urllib.parse import urlsplit

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery, Parameter

from admin_api.http.errors import bad_request
from admin_api.services.plane import Plane
from admin_api.store.connection_tests import TestRow, load_proxied_tests
from admin_api.store.cursor import BadCursor
from admin_api.store.record_lists import Filters, load_page
from admin_api.store.records import RecordRow

MAX_LIMIT = 200
MAX_TESTS = 1_000
_Limit = Annotated[int, Parameter(ge=1, le=MAX_LIMIT)]
_Instant = Annotated[float, Parameter(ge=0, le=1e11)]
_Text = Annotated[str, Parameter(max_length=200)]


@get("/api/usage/proxy-logs")
async def proxy_logs(
    plane: NamedDependency[Plane],
    limit: FromQuery[_Limit] = 50,
    cursor: FromQuery[_Text] = "",
    provider: FromQuery[_Text] = "",
    account: FromQuery[_Text] = "",
    since: FromQuery[_Instant] = 0.0,
    until: FromQuery[_Instant] = 0.0,
) -> dict[str, Any]:
    """`limit` counts requests; `provider` and `account` are those that answered. `tests` stand on the first page only."""
    filters = Filters(provider=provider, account=account, since=since, until=until, proxied=True)
    try:
        async with plane.database.read() as connection:
            page = await load_page(connection, filters, cursor, limit)
            tests = [] if cursor else await load_proxied_tests(connection, MAX_TESTS)
    except BadCursor as error:
        raise bad_request(("cursor", str(error))) from error
    return {
        "logs": [entry for row in page.rows for entry in _entries(row)],
        "tests": [_test_entry(test) for test in tests],
        "nextCursor": page.after,
    }


def _entries(row: RecordRow) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{row['id']}-{number}",
            "requestId": row["id"],
            "timestamp": row["at"],
            "proxy": _proxy(attempt["proxy"]),
            "level": attempt.get("proxy_level", ""),
            "provider": attempt.get("provider", ""),
            "connectionId": attempt.get("connection_id", ""),
            "model": attempt.get("model", ""),
            "status": "success" if attempt.get("outcome") == "committed" else "error",
            "outcome": attempt.get("outcome", ""),
            "latencyMs": attempt.get("duration_ms", 0.0),
            "error": attempt.get("error", "") or None,
        }
        for number, attempt in enumerate(row["attempts"], 1)
        if attempt.get("proxy")
    ]


def _test_entry(test: TestRow) -> dict[str, Any]:
    return {
        "timestamp": test.at,
        "proxy": _proxy(test.proxy),
        "level": test.proxy_level,
        "connectionId": test.connection_id,
        "status": "success" if test.is_valid else "error",
        "outcome": test.type,
        "latencyMs": test.latency_ms,
        "error": None if test.is_valid else test.message or test.type,
    }


def _proxy(shown: str) -> dict[str, Any]:
    """In parts, as the seed has it. A worker of another version may write what is no URL."""
    try:
        parts = urlsplit(shown)
        port = parts.port
    except ValueError:
        return {"type": "", "host": shown[:200], "port": None}
    return {"type": parts.scheme, "host": parts.hostname or "", "port": port}


handlers = (proxy_logs,)
