"""What is not the API: the front door, a page in place of the dashboard, and the probe."""

from typing import Any

from litestar import MediaType, Request, Response, get
from litestar.response import Redirect

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>OmniRoute</title>
<h1>OmniRoute is running</h1>
<p>The dashboard is not part of this version. The admin API is described by
<a href="/api/openapi.json">/api/openapi.json</a>.</p>
"""
_CSP = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


@get("/", include_in_schema=False, status_code=307)
async def front_door() -> Redirect:
    return Redirect("/dashboard/", status_code=307)


@get("/dashboard", include_in_schema=False)
async def dashboard() -> Response[str]:
    return Response(_PAGE, media_type=MediaType.HTML, headers={"Content-Security-Policy": _CSP})


@get("/api/openapi.json", include_in_schema=False)
async def describe_api(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """The API, as OpenAPI."""
    return request.app.openapi_schema.to_schema()


@get("/healthz", include_in_schema=False)
async def process_up() -> dict[str, str]:
    return {"status": "ok"}


handlers = (front_door, dashboard, describe_api, process_up)
