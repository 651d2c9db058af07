"""Schemas that are none, under any keyword: every provider's request is written all the same, or refused; nothing breaks."""

import itertools
from typing import Any

import pytest

from gateway.dialects.codec import Destination, Unsupported
from gateway.domain.chat import ChatRequest, OutputFormat, Text, Tool, Turn
from tests.support.traffic import PROVIDERS

KEYWORDS = (
    "type", "properties", "required", "items", "prefixItems", "anyOf", "oneOf", "allOf", "enum", "const", "$ref", "$defs",
    "format", "minItems", "minLength", "maximum", "additionalProperties", "nullable", "description", "propertyOrdering",
)  # fmt: skip
ODD: tuple[Any, ...] = (
    5, None, True, "x", "#", [], [5], [None], [[]], {}, {"a": 5}, {"a": None}, ["object", "null"], [{"properties": 5}],
    [{"properties": {"a": {}}, "required": ["a"]}],
)  # fmt: skip


def odd_schemas() -> list[dict[str, Any]]:
    """Each keyword with each odd value: alone, within a property, and beside odd properties and requirements."""
    spoilt: list[dict[str, Any]] = [{name: value} for name, value in itertools.product(KEYWORDS, ODD)]
    beside = {"properties": "x", "required": 5}
    return [
        *spoilt,
        *({"type": "object", "properties": {"a": one}} for one in spoilt),
        *({**beside, **one} for one in spoilt),
    ]


@pytest.mark.parametrize("dialect", PROVIDERS)
@pytest.mark.parametrize("quirks", [frozenset(), frozenset({"openapi_schemas"})], ids=["plain", "openapi"])
@pytest.mark.parametrize("is_strict", [True, False], ids=["strict", "loose"])
def test_a_schema_that_is_none_breaks_nothing(dialect: str, quirks: frozenset[str], is_strict: bool) -> None:
    destination = Destination(model="m", provider="acme", quirks=quirks)
    codec = PROVIDERS[dialect]  # type: ignore[index]
    for schema in odd_schemas():
        request = ChatRequest(
            model="m",
            turns=(Turn("user", (Text("hi"),)),),
            tools=(Tool("f", schema=schema, strict=is_strict),),
            output_format=OutputFormat(schema, name="shape", strict=is_strict),
        )
        try:
            assert codec.encode_request(request, destination).body
        except Unsupported as error:
            assert error.message  # noqa: PT017
