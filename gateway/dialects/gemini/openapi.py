"""Schemas as Gemini callers write them → JSON Schema: upper-case types, `nullable`, numbers as text.

What is JSON Schema already stays as it is. The way back is `schema.py`.
"""

from typing import Any

from gateway.dialects.gemini.fields import camel

_TYPES = {
    "STRING": "string", "NUMBER": "number", "INTEGER": "integer", "BOOLEAN": "boolean", "ARRAY": "array",
    "OBJECT": "object", "NULL": "null",
}  # fmt: skip
_NUMBERS = frozenset({
    "minItems", "maxItems", "minProperties", "maxProperties", "minLength", "maxLength", "minimum", "maximum",
})  # fmt: skip
_RENAMED = {"defs": "$defs", "ref": "$ref"}
_MAPS = frozenset({"properties", "$defs", "definitions", "patternProperties"})
_LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_SINGLE = frozenset({"items", "additionalProperties", "not", "contains", "propertyNames"})
_MAX_DEPTH = 200


def to_json_schema(schema: dict[str, Any], depth: int = 0) -> dict[str, Any]:
    """The same schema in JSON Schema's words. Properties may have any name, `type` and `nullable` too."""
    if depth > _MAX_DEPTH:
        return {}
    written: dict[str, Any] = {}
    for key, value in schema.items():
        name = _RENAMED.get(key) or (key if key[:1] == "$" else camel(key))
        if name in _MAPS and isinstance(value, dict):
            written[name] = {
                member: to_json_schema(inner, depth + 1) if isinstance(inner, dict) else inner
                for member, inner in value.items()
            }
        elif name in _LISTS and isinstance(value, list):
            written[name] = [to_json_schema(inner, depth + 1) if isinstance(inner, dict) else inner for inner in value]
        elif name in _SINGLE and isinstance(value, dict):
            written[name] = to_json_schema(value, depth + 1)
        elif name == "type":
            _write_type(value, written)
        elif name == "propertyOrdering" or (name == "format" and value == "enum") or name == "nullable":
            continue
        elif name == "$ref" and isinstance(value, str):
            written[name] = value.replace("#/defs/", "#/$defs/", 1)
        elif name == "example":
            written["examples"] = [value]
        else:
            written[name] = _number(value) if name in _NUMBERS and isinstance(value, str) else value
    _order(schema, written)
    if schema.get("nullable") is True:
        _make_nullable(written)
    return written


def _write_type(value: Any, written: dict[str, Any]) -> None:
    if isinstance(value, list):
        written["type"] = [_TYPES.get(one, one) if isinstance(one, str) else one for one in value]
    elif value != "TYPE_UNSPECIFIED":
        written["type"] = _TYPES.get(value, value) if isinstance(value, str) else value


def _order(schema: dict[str, Any], written: dict[str, Any]) -> None:
    """`propertyOrdering` becomes the order of the properties themselves."""
    order = schema.get("propertyOrdering", schema.get("property_ordering"))
    properties = written.get("properties")
    if isinstance(order, list) and isinstance(properties, dict):
        first = {name: properties[name] for name in order if isinstance(name, str) and name in properties}
        written["properties"] = {**first, **properties}


def _make_nullable(written: dict[str, Any]) -> None:
    kind = written.get("type")
    if isinstance(kind, str) and kind != "null":
        written["type"] = [kind, "null"]
        if isinstance(written.get("enum"), list) and None not in written["enum"]:
            written["enum"] = [*written["enum"], None]
    elif isinstance(written.get("anyOf"), list):
        written["anyOf"] = [*written["anyOf"], {"type": "null"}]


def _number(text: str) -> Any:
    try:
        return int(text[:40]) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        return text
