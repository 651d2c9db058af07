"""What was used, in sums: `/api/usage/analytics`, a connection's, a provider's times, `/api/telemetry/summary`. From roll-ups."""

from typing import Annotated, Any, Literal

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, Parameter, QueryParameter

from admin_api.http.errors import not_found
from admin_api.services.plane import Plane
from admin_api.services.usage_views import Range, analytics, begin_of, courses, provider_metrics, sums_view, telemetry
from admin_api.store.connections import connections
from admin_api.store.usage_sums import DAY, HOUR, load_series, load_sums

_Hours = Annotated[int, Parameter(ge=1, le=24 * 366)]


@get("/api/usage/analytics")
async def usage_analytics(
    plane: NamedDependency[Plane],
    wanted: Annotated[Range, QueryParameter(name="range")] = "7d",
) -> dict[str, Any]:
    """Sums, their course by hour or day, and the dearest providers, models, accounts, combos and keys."""
    async with plane.database.read() as connection:
        return await analytics(connection, wanted, plane.now())


@get("/api/usage/courses")
async def usage_courses(
    plane: NamedDependency[Plane],
    by: FromQuery[Literal["provider", "model", "connection", "combo", "key"]] = "provider",
    wanted: Annotated[Range, QueryParameter(name="range")] = "7d",
) -> dict[str, Any]:
    """The course of the seven dearest of a kind, by hour of the last day, else by UTC day; of keys always by day."""
    async with plane.database.read() as connection:
        return await courses(connection, by, wanted, plane.now())


@get("/api/usage/{connection_id:str}")
async def usage_of_connection(
    connection_id: FromPath[str],
    plane: NamedDependency[Plane],
    wanted: Annotated[Range, QueryParameter(name="range")] = "7d",
) -> dict[str, Any]:
    """Of one connection; of one that is gone too, as long as it was used in the range."""
    now = plane.now()
    since = begin_of(wanted, now)
    async with plane.database.read() as connection:
        sums = await load_sums(connection, "connection", since, connection_id)
        if not sums["requests"] and await connections.get(connection, connection_id) is None:
            raise not_found("connection", connection_id)
        step = HOUR if wanted == "1d" else DAY
        course = await load_series(connection, since, step, "connection", connection_id)
    return {
        "connectionId": connection_id,
        "range": wanted,
        "summary": sums_view(sums),
        "trend": [{"at": at, **sums_view(one)} for at, one in course],
    }


@get("/api/provider-metrics")
async def metrics_of_providers(plane: NamedDependency[Plane], hours: FromQuery[_Hours] = 24) -> dict[str, Any]:
    async with plane.database.read() as connection:
        return {"metrics": await provider_metrics(connection, plane.now() - hours * HOUR), "hours": hours}


@get("/api/telemetry/summary")
async def telemetry_summary(plane: NamedDependency[Plane], hours: FromQuery[_Hours] = 24) -> dict[str, Any]:
    """p50, p95 and p99 of whole answers and of their first byte, in ms, good to a fifth."""
    async with plane.database.read() as connection:
        return {**await telemetry(connection, plane.now() - hours * HOUR), "hours": hours}


handlers = (usage_analytics, usage_courses, usage_of_connection, metrics_of_providers, telemetry_summary)
