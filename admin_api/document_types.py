"""Writes the admin API's paths and bodies as TypeScript for the dashboard: `python -m admin_api.document_types [FILE]`.

Same code, same bytes. Answers are not in it: the API's document says `object` of most of them.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from admin_api.app import build_routes

FILE = Path("dashboard/src/api/schema.ts")

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
_NAME = re.compile(r"[A-Za-z_$][\w$]*")


def types_document() -> str:
    """The whole module as text."""
    app = build_routes()
    schema = msgspec.json.decode(msgspec.json.encode(app.openapi_schema.to_schema()))
    return "\n".join((*_head(), *_bodies_of(schema), *_structs(schema["components"]["schemas"]))) + "\n"


def _head() -> Iterator[str]:
    yield "// Written by `make docs` from the admin API's document; do not edit."
    yield ""
    yield "export type Method = " + " | ".join(f"'{method}'" for method in _METHODS) + ";"
    yield ""
    yield "/** Paths that a method has, as the API's document writes them. */"
    yield "export type PathOf<M extends Method> = keyof Bodies[M] & string;"
    yield ""


def _bodies_of(schema: dict[str, Any]) -> Iterator[str]:
    yield "/** By method and path: the body that is sent, `undefined` where there is none. */"
    yield "export interface Bodies {"
    for method in _METHODS:
        yield f"  {method}: {{"
        for path, operations in sorted(schema["paths"].items()):
            if method.lower() in operations:
                yield f"    '{path}': {_body(operations[method.lower()])};"
        yield "  };"
    yield "}"


def _body(operation: dict[str, Any]) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    return _type(content["application/json"]["schema"]) if "application/json" in content else "undefined"


def _structs(schemas: dict[str, Any]) -> Iterator[str]:
    for name, struct in sorted(schemas.items()):
        if "properties" not in struct:
            yield f"\nexport type {name} = {_type(struct)};"
            continue
        yield f"\nexport interface {name} {{"
        required = set(struct.get("required", ()))
        for field, kind in struct["properties"].items():
            shown = field if _NAME.fullmatch(field) else json.dumps(field)
            yield f"  {shown}{'' if field in required else '?'}: {_type(kind)};"
        yield "}"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    for word in ("oneOf", "anyOf"):
        if word in schema:
            return " | ".join(dict.fromkeys(_type(one) for one in schema[word]))
    kind = schema.get("type", "unknown")
    if isinstance(kind, list):
        return " | ".join(_type({**schema, "type": one}) for one in kind)
    if kind == "array":
        return f"readonly ({_type(schema.get('items', {}))})[]"
    if kind == "object":
        more = schema.get("additionalProperties")
        return f"Record<string, {_type(more) if isinstance(more, dict) else 'unknown'}>"
    return _PLAIN.get(kind, "unknown")


if __name__ == "__main__":
    (Path(sys.argv[1]) if len(sys.argv) > 1 else FILE).write_text(types_document())
