"""What is not the API: the front door, the dashboard, and the probe."""

from typing import Any

from litestar import MediaType, Request, Response, get
from litestar.di import NamedDependency
from litestar.response import Redirect

from admin_api.http.bundle import MISSING, PAGE_CSP, Bundle

_PLAIN_CSP = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


@get("/", include_in_schema=False, status_code=307)
async def front_door() -> Redirect:
    return Redirect("dashboard/", status_code=307)  # relative: a proxy may have us below a path


@get(["/dashboard", "/dashboard/{name:path}"], include_in_schema=False)
async def dashboard(request: Request[Any, Any, Any], bundle: NamedDependency[Bundle]) -> Response[Any]:
    """A file of the bundle, or for every other address the page, which knows what to show there."""
    path = (request.scope.get("raw_path") or b"").decode("latin-1").partition("?")[0]  # with its last slash
    if path == "/dashboard":
        return Redirect("dashboard/", status_code=307)
    name = path.removeprefix("/dashboard/")
    file = bundle.get(name)
    if file is not None:
        encoding, body = file.best(request.headers.get("accept-encoding", ""))
        headers = {"cache-control": file.cache_control, "vary": "accept-encoding"}
        if encoding:
            headers["content-encoding"] = encoding
        return Response(body, media_type=file.content_type, headers=headers)
    if name.startswith("assets/"):
        return Response("there is no such file", media_type=MediaType.TEXT, status_code=404)
    page = bundle.page(path)
    headers = {"content-security-policy": PAGE_CSP if page else _PLAIN_CSP, "cache-control": "no-cache"}
    return Response(page or MISSING, media_type=MediaType.HTML, headers=headers)


@get("/api/openapi.json", include_in_schema=False)
async def describe_api(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """The API, as OpenAPI."""
    return request.app.openapi_schema.to_schema()


@get("/healthz", include_in_schema=False)
async def process_up() -> dict[str, str]:
    return {"status": "ok"}


handlers = (front_door, dashboard, describe_api, process_up)
