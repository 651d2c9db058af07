"""JSON Schema as Anthropic takes it: any for a tool, a subset where the answer must fit (`strict`, structured output).

Names of properties are never looked at, only keywords: a property called `pattern` or `format` stays.
"""

from typing import Any

_REFUSED = frozenset(
    {
        "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "maxItems",
        "uniqueItems", "minProperties", "maxProperties", "patternProperties", "propertyNames", "contains", "minContains",
        "maxContains", "dependentRequired", "dependentSchemas", "unevaluatedProperties", "unevaluatedItems", "if", "then",
        "else", "not", "prefixItems",
    }
)  # fmt: skip
"""Keywords that the strict subset does not know."""

_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"},
)
_OF_SCHEMAS = ("anyOf", "allOf")
_OF_NAMES = ("properties", "$defs", "definitions")
_UNIONS = ("anyOf", "oneOf", "allOf")
_MAX_DEPTH = 64


def input_schema(schema: dict[str, Any] | None, *, is_strict: bool) -> tuple[dict[str, Any], bool]:
    """Of a tool, and whether it says all that the caller's says. Its root must be an object without a union."""
    if not schema:
        return {"type": "object"}, True
    root, is_exact = _object_root(schema)
    if not is_strict:
        return root, is_exact
    strict = strict_schema(root)
    return strict, is_exact and strict == root


def strict_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The strict subset: objects closed, unknown keywords left out. `oneOf` becomes `anyOf`."""
    written: dict[str, Any] = _strict(schema, 0)
    return written


def _object_root(schema: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    unions = [name for name in _UNIONS if name in schema]
    if not unions:
        return (schema, True) if schema.get("type") == "object" else ({**schema, "type": "object"}, True)
    lists = [schema[name] for name in unions if isinstance(schema[name], list)]
    properties = _properties(schema)
    for branch in (branch for branches in lists for branch in branches if isinstance(branch, dict)):
        properties = {**_properties(branch), **properties}
    rest = {name: value for name, value in schema.items() if name not in _UNIONS}
    return {**rest, "type": "object", "properties": properties}, False


def _properties(schema: dict[str, Any]) -> dict[str, Any]:
    found = schema.get("properties")
    return found if isinstance(found, dict) else {}


def _strict(schema: Any, depth: int) -> Any:
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return schema
    written: dict[str, Any] = {}
    for name, value in schema.items():
        if name in _REFUSED or name == "additionalProperties":
            continue
        if name == "minItems" and value not in (0, 1):
            continue
        if name == "format" and not (isinstance(value, str) and value in _FORMATS):
            continue
        if name in _OF_NAMES and isinstance(value, dict):
            written[name] = {key: _strict(inner, depth + 1) for key, inner in value.items()}
        elif (name in _OF_SCHEMAS or name == "oneOf") and isinstance(value, list):
            written["anyOf" if name == "oneOf" else name] = [_strict(inner, depth + 1) for inner in value]
        elif name == "items":
            written[name] = _strict(value, depth + 1)
        else:
            written[name] = value
    if _is_object(schema):
        written["additionalProperties"] = False
    return written


def _is_object(schema: dict[str, Any]) -> bool:
    kind = schema.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in schema
