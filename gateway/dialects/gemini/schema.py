"""JSON Schema → the OpenAPI subset of `parameters` and `responseSchema`, for providers that know nothing else.

That subset has upper-case types, `nullable` in place of a null type, enums of strings, and no references. What it cannot
say is dropped, and said with its place. The way back is `openapi.py`.
"""

from math import isfinite
from typing import Any

MAX_NODES = 3000
"""Inlining references can grow a schema without end; beyond this a place is `OBJECT` and nothing more."""

_MAX_DEPTH = 60

_TYPES = {
    "string": "STRING", "number": "NUMBER", "integer": "INTEGER", "boolean": "BOOLEAN", "array": "ARRAY", "object": "OBJECT",
}  # fmt: skip
_FORMATS = {
    "STRING": ("date-time", "enum"), "NUMBER": ("float", "double"), "INTEGER": ("int32", "int64"),
}  # fmt: skip
_COUNTS = {
    "minItems": "ARRAY", "maxItems": "ARRAY", "minLength": "STRING", "maxLength": "STRING", "minProperties": "OBJECT",
    "maxProperties": "OBJECT",
}  # fmt: skip
_BOUNDS = ("minimum", "maximum")
_TEXTS = ("title", "description")
_KNOWN = frozenset({
    "type", "nullable", "enum", "const", "format", "properties", "required", "items", "prefixItems", "anyOf", "oneOf", "allOf",
    "pattern", "propertyOrdering", *_COUNTS, *_BOUNDS, *_TEXTS,
})  # fmt: skip
_SILENT = frozenset({"$schema", "$id", "$defs", "definitions", "$comment", "$ref", "$anchor", "examples", "example"})
"""What goes without loss of meaning."""

_MOST_NOTES = 20


def level_down(schema: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The schema in the subset, and what was dropped (`properties.a: pattern`), at most 20 notes. Pure and bounded."""
    levelled = _Leveller(schema)
    root = levelled.node(schema, "", ())
    if root.get("type") != "OBJECT" and "anyOf" not in root and _is_typeless(schema):
        root = {"type": "OBJECT", **{key: value for key, value in root.items() if key in _TEXTS}}
    return root, tuple(levelled.notes)


def _is_typeless(schema: dict[str, Any]) -> bool:
    kind = schema.get("type")
    return kind in (None, "null", "NULL") and not any(key in schema for key in ("enum", "const", "$ref", "allOf"))


class _Leveller:
    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._nodes = 0
        self.notes: list[str] = []

    def node(self, schema: Any, place: str, refs: tuple[str, ...]) -> dict[str, Any]:
        self._nodes += 1
        if self._nodes > MAX_NODES or len(refs) + place.count(".") > _MAX_DEPTH:
            self._note(place, "schema too large")
            return {"type": "OBJECT"}
        if not isinstance(schema, dict):
            return {"type": "STRING"}
        schema, refs = self._resolved(schema, place, refs)
        schema = self._merged(schema, place, refs)
        for key in schema:
            is_plain = key == "additionalProperties" and isinstance(schema[key], bool)
            if key not in _KNOWN and key not in _SILENT and not is_plain:
                self._note(place, key)
        choices = self._choices(schema)
        if choices is not None:
            return self._any_of(schema, choices, place, refs)
        return self._simple(schema, place, refs)

    # -- references, allOf, alternatives -----------------------------------------------------------------------------

    def _resolved(
        self, schema: dict[str, Any], place: str, refs: tuple[str, ...]
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """A local reference is replaced by what it names; what stands beside it wins. A reference within itself ends."""
        while isinstance(ref := schema.get("$ref"), str):
            beside = {key: value for key, value in schema.items() if key != "$ref"}
            target = self._find(ref)
            if target is None or ref in refs:
                self._note(place, f"$ref {ref}" if target is None else f"recursive $ref {ref}")
                return {"type": "object", **beside}, refs
            refs = (*refs, ref)
            schema = {**target, **beside}
        return schema, refs

    def _find(self, ref: str) -> dict[str, Any] | None:
        if not ref.startswith("#"):
            return None
        found: Any = self._root
        for step in ref[1:].split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else None

    def _merged(self, schema: dict[str, Any], place: str, refs: tuple[str, ...]) -> dict[str, Any]:
        """`allOf` in one: properties and required are united, of all else the first counts."""
        parts = schema.get("allOf")
        if not isinstance(parts, list):
            return schema
        whole = {key: value for key, value in schema.items() if key != "allOf"}
        for part in parts:
            self._nodes += 1
            if not isinstance(part, dict) or self._nodes > MAX_NODES:
                continue
            inner, deeper = self._resolved(part, place, refs)
            inner = self._merged(inner, place, deeper) if len(deeper) < _MAX_DEPTH else inner
            for key, value in inner.items():
                before = whole.get(key)
                if key == "properties" and isinstance(value, dict):
                    whole[key] = {**value, **before} if isinstance(before, dict) else value
                elif key == "required" and isinstance(value, list):
                    whole[key] = [*before, *value] if isinstance(before, list) else value
                elif key not in whole:
                    whole[key] = value
                elif whole[key] != value and key not in _TEXTS:
                    self._note(place, f"allOf {key}")
        return whole

    def _choices(self, schema: dict[str, Any]) -> list[Any] | None:
        """The alternatives, if there are any: `anyOf`, `oneOf`, or several types."""
        for key in ("anyOf", "oneOf"):
            if isinstance(schema.get(key), list) and schema[key]:
                return list(schema[key])
        kinds = schema.get("type")
        if isinstance(kinds, list) and len([kind for kind in kinds if kind != "null"]) > 1:
            shared = {key: value for key, value in schema.items() if key not in ("type", *_TEXTS)}
            return [{"type": kind, **(shared if kind != "null" else {})} for kind in kinds]
        return None

    def _any_of(self, schema: dict[str, Any], choices: list[Any], place: str, refs: tuple[str, ...]) -> dict[str, Any]:
        """Null among the alternatives becomes `nullable`; a single one left stands for itself; all else is theirs alone."""
        beside = {
            key: value
            for key, value in schema.items()
            if key not in ("anyOf", "oneOf", "type", "nullable", *_TEXTS, *_SILENT)
        }
        real = [choice for choice in choices if not _is_null(choice)]
        is_nullable = len(real) < len(choices) or schema.get("nullable") is True
        told = {key: schema[key] for key in _TEXTS if isinstance(schema.get(key), str)}
        if isinstance(schema.get("type"), list) or not real:
            beside = {}
        if not real:
            return {"type": "STRING", "nullable": True, **told}
        written = []
        for number, choice in enumerate(real):
            inner = {**beside, **choice} if isinstance(choice, dict) else choice
            written.append(self.node(inner, _inside(place, f"anyOf[{number}]"), refs))
        written = [one for number, one in enumerate(written) if one not in written[:number]]
        whole = {**written[0], **told} if len(written) == 1 else {"anyOf": written, **told}
        return {**whole, "nullable": True} if is_nullable else whole

    # -- one type ----------------------------------------------------------------------------------------------------

    def _simple(self, schema: dict[str, Any], place: str, refs: tuple[str, ...]) -> dict[str, Any]:
        kind, is_nullable = _kind_of(schema)
        written: dict[str, Any] = {"type": kind}
        written |= {key: schema[key] for key in _TEXTS if isinstance(schema.get(key), str)}
        if "enum" in schema or "const" in schema:
            is_nullable = self._write_enum(schema, written, place) or is_nullable
        if is_nullable:
            written["nullable"] = True
        self._write_limits(schema, written, place)
        if written["type"] == "OBJECT":
            self._write_object(schema, written, place, refs)
        elif written["type"] == "ARRAY":
            self._write_array(schema, written, place, refs)
        return written

    def _write_enum(self, schema: dict[str, Any], written: dict[str, Any], place: str) -> bool:
        """Enums hold strings only: numbers are written as text, which changes the type. True when null was among them."""
        values = schema.get("enum") if isinstance(schema.get("enum"), list) else [schema.get("const")]
        texts = [_enum_text(value) for value in values or []]
        kept = list(dict.fromkeys(text for text in texts if text))
        if len(kept) < len([value for value in values or [] if value is not None]):
            self._note(place, "enum values that are no texts")
        if kept:
            if written["type"] != "STRING":
                self._note(place, f"enum of {written['type'].lower()} as text")
            written["type"], written["enum"] = "STRING", kept
        return None in (values or [])

    def _write_limits(self, schema: dict[str, Any], written: dict[str, Any], place: str) -> None:
        kind = written["type"]
        form = schema.get("format")
        if isinstance(form, str):
            if form in _FORMATS.get(kind, ()):
                written["format"] = form
            else:
                self._note(place, f"format {form}")
        if kind == "STRING" and isinstance(schema.get("pattern"), str):
            written["pattern"] = schema["pattern"]
        for key, of in _COUNTS.items():
            if key in schema and of == kind and (count := _number(schema[key])) is not None and count >= 0:
                written[key] = int(count)
        if kind in ("NUMBER", "INTEGER"):
            for key in _BOUNDS:
                if key in schema and (bound := _number(schema[key])) is not None:
                    written[key] = bound

    def _write_object(self, schema: dict[str, Any], written: dict[str, Any], place: str, refs: tuple[str, ...]) -> None:
        """An object without properties has none at all: an empty map of them is refused."""
        properties = schema.get("properties")
        if not isinstance(properties, dict) or not properties:
            return
        written["properties"] = {
            name: self.node(inner, _inside(place, f"properties.{name}"), refs) for name, inner in properties.items()
        }
        required = schema.get("required")
        if isinstance(required, list):
            kept = [
                name for name in dict.fromkeys(one for one in required if isinstance(one, str)) if name in properties
            ]
            if kept:
                written["required"] = kept
        order = schema.get("propertyOrdering")
        if isinstance(order, list) and set(map(str, order)) == set(properties):
            written["propertyOrdering"] = order

    def _write_array(self, schema: dict[str, Any], written: dict[str, Any], place: str, refs: tuple[str, ...]) -> None:
        """A tuple's places become one kind of item; an array of anything is one of texts."""
        items = schema.get("items")
        places = schema.get("prefixItems") if isinstance(schema.get("prefixItems"), list) else items
        if isinstance(places, list):
            self._note(place, "items by place")
            items = {"anyOf": places} if places else None
        if not isinstance(items, dict) or not items:
            self._note(place, "items of any type")
            items = {"type": "string"}
        written["items"] = self.node(items, _inside(place, "items"), refs)

    def _note(self, place: str, what: str) -> None:
        note = f"{place}: {what}" if place else what
        if note not in self.notes and len(self.notes) < _MOST_NOTES:
            self.notes.append(note)


def _kind_of(schema: dict[str, Any]) -> tuple[str, bool]:
    """(type, nullable). A missing type is guessed by what else is said."""
    kinds = schema.get("type")
    told = kinds if isinstance(kinds, list) else [kinds]
    is_nullable = schema.get("nullable") is True or ("null" in told and len(told) > 1) or told == ["null"]
    for kind in told:
        if isinstance(kind, str) and kind.lower() in _TYPES:
            return _TYPES[kind.lower()], is_nullable
    if "properties" in schema or "additionalProperties" in schema:
        return "OBJECT", is_nullable
    if "items" in schema or "prefixItems" in schema:
        return "ARRAY", is_nullable
    sample = schema.get("const", next(iter(schema["enum"]), "") if isinstance(schema.get("enum"), list) else "")
    if isinstance(sample, bool):
        return "BOOLEAN", is_nullable
    if isinstance(sample, int | float):
        return "INTEGER" if isinstance(sample, int) else "NUMBER", is_nullable
    return "STRING", is_nullable


def _is_null(choice: Any) -> bool:
    return isinstance(choice, dict) and (
        choice.get("type") in ("null", ["null"], "NULL") or choice.get("enum") == [None]
    )


def _enum_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else ""


def _number(value: Any) -> float | int | None:
    """Some generators write numbers as text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        return None
    try:
        number = float(value[:40])
    except ValueError:
        return None
    if not isfinite(number):
        return None
    return int(number) if number.is_integer() else number


def _inside(place: str, step: str) -> str:
    return f"{place}.{step}" if place else step
