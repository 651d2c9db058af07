"""JSON Schema levelled down to OpenAPI's subset, and OpenAPI's words turned into JSON Schema."""

import copy
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.gemini.openapi import to_json_schema
from gateway.dialects.gemini.schema import MAX_NODES, level_down

CALM = settings(deadline=None, database=None, max_examples=200)
STRING = {"type": "STRING"}
ALLOWED = frozenset(
    [
        "type",
        "format",
        "title",
        "description",
        "nullable",
        "enum",
        "maxItems",
        "minItems",
        "properties",
        "required",
        "minProperties",
        "maxProperties",
        "minLength",
        "maxLength",
        "pattern",
        "anyOf",
        "propertyOrdering",
        "items",
        "minimum",
        "maximum",
    ]
)


def of(inner: Any, **more: Any) -> Any:
    """What a property's schema becomes."""
    return level_down({"type": "object", "properties": {"a": inner}, **more})[0]["properties"]["a"]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "minLength": "1", "pattern": "x"}, {"type": "STRING", "minLength": 1, "pattern": "x"}),
        ({"type": ["string", "null"]}, {"type": "STRING", "nullable": True}),
        ({"type": ["string", "integer"]}, {"anyOf": [STRING, {"type": "INTEGER"}]}),
        ({"type": ["string", "integer", "null"], "title": "t"}, {"anyOf": [STRING, {"type": "INTEGER"}], "title": "t", "nullable": True}),
        ({"const": "ok"}, {"type": "STRING", "enum": ["ok"]}),
        ({"const": 3}, {"type": "STRING", "enum": ["3"]}),
        ({"type": "integer", "enum": [1, 2, 2]}, {"type": "STRING", "enum": ["1", "2"]}),
        ({"enum": ["a", None, ""]}, {"type": "STRING", "enum": ["a"], "nullable": True}),
        ({"oneOf": [{"type": "string"}, {"type": "number"}]}, {"anyOf": [STRING, {"type": "NUMBER"}]}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}], "description": "d"}, {"type": "STRING", "description": "d", "nullable": True}),
        ({"anyOf": [{"type": "null"}]}, {"type": "STRING", "nullable": True}),
        ({"allOf": [{"properties": {"x": {"type": "string"}}, "required": ["x"]}, {"properties": {"y": {"type": "string"}}, "required": ["y"]}]},
         {"type": "OBJECT", "properties": {"y": STRING, "x": STRING}, "required": ["x", "y"]}),
        ({"type": "object"}, {"type": "OBJECT"}),
        ({"type": "object", "properties": {}}, {"type": "OBJECT"}),
        ({"type": "object", "additionalProperties": {"type": "string"}}, {"type": "OBJECT"}),
        ({"type": "array"}, {"type": "ARRAY", "items": STRING}),
        ({"type": "array", "items": {}}, {"type": "ARRAY", "items": STRING}),
        ({"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}]}, {"type": "ARRAY", "items": {"anyOf": [STRING, {"type": "NUMBER"}]}}),
        ({"type": "array", "items": [{"type": "string"}]}, {"type": "ARRAY", "items": STRING}),
        ({"type": "string", "format": "date-time"}, {"type": "STRING", "format": "date-time"}),
        ({"type": "string", "format": "uuid"}, STRING),
        ({"type": "number", "format": "double", "minimum": "0.5", "maximum": "x"}, {"type": "NUMBER", "format": "double", "minimum": 0.5}),
        ({"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x", "gone", 5]}, {"type": "OBJECT", "properties": {"x": STRING}, "required": ["x"]}),
        ({"type": "object", "properties": {"x": {"type": "string"}}, "required": True}, {"type": "OBJECT", "properties": {"x": STRING}}),
        (True, STRING),
        ({"type": "STRING", "nullable": True}, {"type": "STRING", "nullable": True}),
        ({"type": "string", "description": 5}, STRING),
    ],
    ids=range(27),
)  # fmt: skip
def test_each_thing_that_the_subset_lacks_is_rewritten(schema: Any, expected: Any) -> None:
    assert of(schema) == expected


def test_properties_may_have_the_names_of_keywords() -> None:
    names = (
        "pattern",
        "format",
        "title",
        "type",
        "required",
        "properties",
        "enum",
        "$ref",
        "anyOf",
        "default",
        "items",
    )
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}, "required": list(names)}
    levelled, notes = level_down(schema)
    assert levelled == {"type": "OBJECT", "properties": dict.fromkeys(names, STRING), "required": list(names)}
    assert notes == ()


def test_references_are_inlined_and_stop_at_themselves() -> None:
    schema = {
        "$defs": {
            "Node": {"type": "object", "properties": {"label": {"type": "string"}, "child": {"$ref": "#/$defs/Node"}}}
        },
        "type": "object",
        "properties": {"tree": {"$ref": "#/$defs/Node", "description": "d"}, "odd/~": {"$ref": "#/$defs/Missing"}},
    }
    levelled, notes = level_down(schema)
    tree = levelled["properties"]["tree"]
    assert tree["description"] == "d"
    assert tree["properties"] == {"label": STRING, "child": {"type": "OBJECT"}}
    assert notes == (
        "properties.tree.properties.child: recursive $ref #/$defs/Node",
        "properties.odd/~: $ref #/$defs/Missing",
    )


def test_what_is_dropped_is_said_with_its_place() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"type": "string", "format": "uri", "not": {}}}},
        "patternProperties": {"^x": {}},
        "additionalProperties": False,
        "$schema": "x",
    }
    assert level_down(schema)[1] == (
        "patternProperties", "properties.a.items: not", "properties.a.items: format uri",
    )  # fmt: skip


@pytest.mark.parametrize("root", [{"type": None}, {"type": "null"}, {}, {"description": "d"}])
def test_a_root_without_a_type_is_an_object(root: Any) -> None:
    assert level_down(root)[0]["type"] == "OBJECT"


def test_references_that_double_at_each_step_stay_bounded() -> None:
    names = [f"n{number}" for number in range(40)]
    defs: dict[str, Any] = {
        name: {
            "type": "object",
            "properties": {"l": {"$ref": f"#/$defs/{following}"}, "r": {"$ref": f"#/$defs/{following}"}},
        }
        for name, following in zip(names, [*names[1:], "end"], strict=True)
    }
    defs["end"] = {"type": "string"}
    for schema in (
        {"$defs": defs, "$ref": "#/$defs/n0"},
        {"$defs": {**defs, "n0": {"allOf": [{"$ref": "#/$defs/n1"}, {"$ref": "#/$defs/n1"}]}}, "$ref": "#/$defs/n0"},
    ):
        begun = time.process_time()
        levelled, notes = level_down(schema)
        assert time.process_time() - begun < 20
        assert len(json.dumps(levelled)) < MAX_NODES * 120
        assert any("too large" in note for note in notes)


def doubled_all_of(depth: int) -> dict[str, Any]:
    defs: dict[str, Any] = {
        f"n{number}": {"allOf": [{"$ref": f"#/$defs/n{number + 1}"}, {"$ref": f"#/$defs/n{number + 1}"}]}
        for number in range(depth)
    }
    return {"$defs": {**defs, f"n{depth}": {"type": "string"}}, "$ref": "#/$defs/n0"}


def test_all_of_that_doubles_at_each_step_stays_bounded() -> None:
    begun = time.process_time()
    level_down(doubled_all_of(60))
    assert time.process_time() - begun < 20


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["string", "object", "array", "null", "", "#/$defs/a", "uuid"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["type", "properties", "items", "anyOf", "oneOf", "allOf", "enum", "const", "$ref", "$defs", "required", "format",
             "a", "minimum", "maxItems", "prefixItems", "additionalProperties", "nullable", "description", "not"]
        ),
        inner, max_size=5,
    ),
    max_leaves=20,
)  # fmt: skip


def check(schema: Any) -> None:
    assert set(schema) <= ALLOWED
    assert isinstance(schema.get("type", ""), str)
    assert "type" in schema or "anyOf" in schema
    assert "items" in schema or schema.get("type") != "ARRAY"
    assert schema.get("properties") != {}
    assert set(schema.get("required", ())) <= set(schema.get("properties", ()))
    assert all(isinstance(value, str) and value for value in schema.get("enum", ()))
    for inner in (*schema.get("properties", {}).values(), *schema.get("anyOf", ())):
        check(inner)
    if "items" in schema:
        check(schema["items"])


@CALM
@given(
    st.dictionaries(
        st.sampled_from(["type", "properties", "items", "anyOf", "allOf", "$ref", "$defs", "enum"]), JSON, max_size=5
    )
)
def test_any_json_becomes_a_schema_of_the_subset(schema: Any) -> None:
    before = copy.deepcopy(schema)
    check(level_down(schema)[0])
    assert schema == before


@CALM
@given(
    st.dictionaries(
        st.sampled_from(["type", "properties", "items", "anyOf", "nullable", "propertyOrdering"]), JSON, max_size=5
    )
)
def test_any_json_can_be_read_as_openapi(schema: Any) -> None:
    before = copy.deepcopy(schema)
    to_json_schema(schema)
    assert schema == before


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "OBJECT", "properties": {"nullable": {"type": "BOOLEAN"}}}, {"type": "object", "properties": {"nullable": {"type": "boolean"}}}),
        ({"type": "STRING", "nullable": True, "enum": ["a"], "format": "enum"}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"type": "ARRAY", "items": {"type": "INTEGER", "format": "int32"}, "min_items": "2"}, {"type": "array", "items": {"type": "integer", "format": "int32"}, "minItems": 2}),
        ({"any_of": [{"type": "STRING"}], "nullable": True}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ({"type": "OBJECT", "properties": {"a": {}, "b": {}}, "propertyOrdering": ["b"]}, {"type": "object", "properties": {"b": {}, "a": {}}}),
        ({"type": "TYPE_UNSPECIFIED", "description": "d"}, {"description": "d"}),
        ({"ref": "#/defs/A", "defs": {"A": {"type": "STRING"}}}, {"$ref": "#/$defs/A", "$defs": {"A": {"type": "string"}}}),
        ({"type": ["STRING", "NULL"], "example": 1}, {"type": ["string", "null"], "examples": [1]}),
        ({"$ref": "#/$defs/a", "additionalProperties": False, "type": "object"}, {"$ref": "#/$defs/a", "additionalProperties": False, "type": "object"}),
    ],
    ids=range(9),
)  # fmt: skip
def test_openapi_becomes_json_schema(schema: Any, expected: Any) -> None:
    found = to_json_schema(schema)
    assert found == expected
    assert list(found.get("properties", ())) == list(expected.get("properties", ()))
