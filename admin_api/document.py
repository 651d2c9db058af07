"""Writes `docs/api.md` from OpenAPI and the resources' own words: `python -m admin_api.document [FILE]`. Same code, same bytes."""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import msgspec
from litestar.handlers import HTTPRouteHandler

from admin_api.app import RESOURCES, build_routes
from admin_api.auth.access import ROLES, is_public, may
from admin_api.resources.settings import SettingsBody
from admin_api.services.seed_differences import ROUTES_ABSENT, SETTINGS_ELSEWHERE

DOCUMENT = Path("docs/api.md")

_HEAD = """\
# The admin API

Written by `python -m admin_api.document` from the code; do not edit. As OpenAPI it is at `/api/openapi.json`.

**Who may.** Log in (`POST /api/auth/login`) and send the cookie, with `X-CSRF-Token` for changes, or send
`Authorization: Bearer <admin token>`. A gateway key opens nothing here. Each route names the least role that may use it:
viewers look, operators change, owners do all.

**Errors** are `{"error": {"message", "details": [{"field", "message"}]}}`: 400 names every field that is wrong (a field nobody knows is one of them), 401
and 403 who may not, 404 what is not there, 409 what is managed by the config file, taken, or was changed meanwhile.

**Versions.** A configuration object has a `version`; it only rises. Send the one you read as `If-Match: "7"` or as `version` in the body: if somebody
has changed the object since, the answer is 409 with `error.version` as it is now, and nothing is changed. Without it the last one wins.

**Publishing.** The answer to a change says `published`: whether Redis has it. Workers take it up within a second. `false` means that
it is kept and will be published when Redis is back.

**Lists.** A list that can grow takes `limit` and `cursor`: `nextCursor` of the answer is the `cursor` of the next page, null at the end. What comes or goes
meanwhile neither doubles nor hides a row. Without a limit it is all there is, up to 5,000 rows (500 keys), and `nextCursor` leads on.

Secrets go in and never come out; of an API key enough is shown to tell two apart.

"""

_EXAMPLES: tuple[tuple[str, str, object, int, str], ...] = (
    (
        "POST",
        "/api/provider-nodes/validate",
        {"baseUrl": "$BASE_URL", "allowPrivate": True, "apiKey": "$API_KEY"},
        200,
        "",
    ),
    (
        "POST",
        "/api/provider-nodes",
        {"prefix": "local", "baseUrl": "$BASE_URL", "type": "openai-compatible", "allowPrivate": True},
        201,
        "",
    ),
    (
        "POST",
        "/api/providers",
        {"provider": "local", "name": "first", "apiKey": "$API_KEY", "rpm": 600},
        201,
        "connection = connection.id",
    ),
    ("POST", "/api/providers/$connection/test", None, 200, ""),
    ("GET", "/api/providers/$connection/models", None, 200, ""),
    ("POST", "/api/provider-models", {"provider": "local", "modelId": "m1", "contextLength": 128000}, 201, ""),
    ("PUT", "/api/models/alias", {"alias": "fast", "model": "local/m1"}, 200, ""),
    (
        "POST",
        "/api/combos",
        {"name": "always-on", "strategy": "priority", "models": ["local/m1", {"model": "local/m2", "weight": 2}]},
        201,
        "combo = id",
    ),
    ("POST", "/api/combos/test", {"comboName": "always-on"}, 200, ""),
    ("PUT", "/api/combos/$combo", {"strategy": "round-robin", "version": 1}, 409, ""),
    ("PUT", "/api/combos/$combo", {"isActive": False}, 200, ""),
    ("POST", "/api/routing/simulate", {"model": "fast"}, 200, ""),
    ("PATCH", "/api/settings", {"fallbackStrategy": "round-robin", "stickyRoundRobinLimit": 1}, 200, ""),
    ("PATCH", "/api/settings", {"faviconColour": "blue"}, 400, ""),
    ("PUT", "/api/settings/system-prompt", {"enabled": True, "prompt": "Answer briefly."}, 200, ""),
    ("POST", "/api/keys", {"name": "ci", "allowedModels": ["local/*"], "rpm": 60}, 201, "key = id"),
    ("GET", "/api/usage/history?limit=10", None, 200, ""),
    ("GET", "/api/usage/quota?connectionId=$connection", None, 200, ""),
    ("GET", "/api/usage/proxy-logs?limit=10", None, 200, ""),
    ("GET", "/api/token-health", None, 200, ""),
    ("GET", "/api/monitoring/health", None, 200, ""),
    ("GET", "/api/storage/health", None, 200, ""),
    ("GET", "/api/policies", None, 200, ""),
    ("DELETE", "/api/providers/$connection", None, 200, ""),
)


def api_document() -> str:
    """The whole page as Markdown."""
    app = build_routes()
    schema = msgspec.json.decode(msgspec.json.encode(app.openapi_schema.to_schema()))
    resources = "".join(part for module in RESOURCES for part in _resource(module, schema))
    return _HEAD + _walk() + resources + "".join(_differences())


def _walk() -> str:
    parts = [
        "## A walk through\n\nEach of these is run by a test, in this order. `$name` is what an answer before has shown.\n\n```http\n"
    ]
    for method, path, body, status, keeps in _EXAMPLES:
        parts.append(f"{method} {path}\n")
        if body is not None:
            parts.append(msgspec.json.encode(body).decode() + "\n")
        parts.append(f"→ {status}" + (f"; {keeps}" if keeps else "") + "\n\n")
    return "".join(parts).rstrip("\n") + "\n```\n\n"


def _resource(module: ModuleType, schema: dict[str, Any]) -> Iterator[str]:
    handlers = [one for one in module.handlers if one.include_in_schema is not False]
    if not handlers:
        return
    yield f"## {module.__name__.rpartition('.')[2].replace('_', ' ').capitalize()}\n\n{inspect.getdoc(module)}\n\n"
    for handler in handlers:
        yield from _handler(handler, schema)
    if module.__name__.endswith(".settings"):
        yield from _settings(schema)


def _handler(handler: HTTPRouteHandler, schema: dict[str, Any]) -> Iterator[str]:
    for path in sorted(handler.paths):
        shown = path.replace(":str}", "}").replace(":int}", "}")
        for method in sorted(handler.http_methods):
            operation = schema["paths"][shown][method.lower()]
            yield f"### `{method} {shown}`\n\n*{_least_role(method, shown)}*"
            words = inspect.getdoc(handler.fn)
            yield f": {words}\n\n" if words else "\n\n"
            yield from _parameters(operation)
            yield from _body(handler, operation, schema)


def _least_role(method: str, path: str) -> str:
    if is_public(method, path):
        return "everybody"
    return next(role for role in reversed(ROLES) if may(role, method, path))


def _parameters(operation: dict[str, Any]) -> Iterator[str]:
    asked = [one for one in operation.get("parameters", ()) if one["in"] == "query"]
    if asked:
        yield "Query: " + ", ".join(f"`{one['name']}` ({_kind(one['schema'])})" for one in asked) + "\n\n"
    if any(one["name"] == "If-Match" for one in operation.get("parameters", ())):
        yield "Takes `If-Match`.\n\n"


def _body(handler: HTTPRouteHandler, operation: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    name = _referred(content)
    if not name:
        return
    words = _words_of_body(handler)
    yield f"Body: {words}\n\n" if words else "Body:\n\n"
    yield from _fields(schema["components"]["schemas"][name], schema)


def _words_of_body(handler: HTTPRouteHandler) -> str:
    annotation = inspect.signature(handler.fn).parameters["data"].annotation
    structs = [one for one in (annotation, *get_args(annotation)) if _is_struct(one)]
    structs += [one for inner in get_args(annotation) for one in get_args(inner) if _is_struct(one)]
    words = structs[0].__dict__.get("__doc__") if structs else None
    return inspect.cleandoc(words) if isinstance(words, str) else ""


def _is_struct(one: object) -> bool:
    return isinstance(one, type) and issubclass(one, msgspec.Struct)


def _fields(body: dict[str, Any], schema: dict[str, Any], indent: str = "") -> Iterator[str]:
    required = set(body.get("required", ()))
    for name, field in body.get("properties", {}).items():
        yield f"{indent}- `{name}`{' (required)' if name in required else ''}: {_kind(field)}\n"
        inner = _referred(field)
        if inner and len(indent) < 4:
            yield from _fields(schema["components"]["schemas"][inner], schema, indent + "  ")
    if not indent:
        yield "\n"


def _settings(schema: dict[str, Any]) -> Iterator[str]:
    """PATCH takes a document, so that it can tell what is left out from what is null: its fields are told here."""
    (body,), inner = msgspec.json.schema_components([SettingsBody], ref_template="#/components/schemas/{name}")
    words = inspect.cleandoc(SettingsBody.__doc__ or "")
    yield f"### The fields of settings\n\n{words}\n\n"
    yield from _fields(inner[body["$ref"].rpartition("/")[2]], {"components": {"schemas": {**schema, **inner}}})


def _differences() -> Iterator[str]:
    yield "## What the seed system has and this has not\n\n"
    yield "| its route | why it is not here, or what stands in its place |\n|---|---|\n"
    yield from (f"| `{route}` | {why} |\n" for route, why in ROUTES_ABSENT.items())
    yield "\nSettings that `/api/settings` refuses, and where they are:\n\n| setting | where it is, or why not |\n|---|---|\n"
    yield from (f"| `{name}` | {why} |\n" for name, why in SETTINGS_ELSEWHERE.items())


def _referred(schema: dict[str, Any]) -> str:
    """The name of the one struct that a schema is, empty when it is something else."""
    found = [one["$ref"] for one in (schema, *schema.get("oneOf", ()), *schema.get("anyOf", ())) if "$ref" in one]
    return str(found[0]).rpartition("/")[2] if len(found) == 1 else ""


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(f"`{value}`" for value in schema["enum"] if value is not None)
    for word in ("oneOf", "anyOf"):
        if word in schema:
            return " or ".join(dict.fromkeys(_kind(one) for one in schema[word])) + _bounds(schema)
    if "$ref" in schema:
        return "object"
    named = schema.get("type", "any")
    kind = " or ".join(named) if isinstance(named, list) else str(named)
    if kind == "array" and schema.get("items"):
        kind = f"array of {_kind(schema['items'])}"
    return kind + _bounds(schema)


def _bounds(schema: dict[str, Any]) -> str:
    low = schema.get("minimum", schema.get("minLength", schema.get("minItems")))
    if "exclusiveMinimum" in schema:
        low = f">{schema['exclusiveMinimum']:g}"
    high = schema.get("maximum", schema.get("maxLength", schema.get("maxItems", schema.get("exclusiveMaximum"))))
    if low is None and high is None:
        return ""
    return f", {'' if low is None else low}…{'' if high is None else high}"


if __name__ == "__main__":
    (Path(sys.argv[1]) if len(sys.argv) > 1 else DOCUMENT).write_text(api_document())
