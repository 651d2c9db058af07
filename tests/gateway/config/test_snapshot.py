"""The contract between the planes."""

import msgspec
import pytest

from gateway.config.snapshot import (
    SCHEMA,
    Alias,
    Combo,
    ComboModel,
    Connection,
    FallbackChain,
    KeyEntry,
    Node,
    Price,
    RoutingSettings,
    Snapshot,
    Timeouts,
    UnreadableSnapshot,
    decode_key_entry,
    decode_snapshot,
    encode_key_entry,
    encode_snapshot,
)

WHOLE = Snapshot(
    schema=SCHEMA,
    revision=7,
    published_at=1.5,
    nodes=(Node("n", "p", "openai_chat", "http://127.0.0.1/v1", allow_private=True),),
    connections=(Connection("c", "n", "a", api_key="v1:x", models=("m",)),),
    combos=(Combo("k", "combo", (ComboModel("p/m", 2.5),), config={"a": 1, "b": True, "c": "x", "d": 0.5}),),
    aliases=(Alias("gpt-*", "p/m"),),
    fallback_chains=(FallbackChain("f", ("p/m",)),),
    prices=(Price("p/m", input=1.0),),
    settings=RoutingSettings(sticky_limit=5, timeouts=Timeouts(gap_s=1.0)),
)


def test_a_snapshot_survives_the_wire():
    assert decode_snapshot(encode_snapshot(WHOLE)) == WHOLE


def test_an_unknown_price_is_not_zero_on_the_wire():
    price = decode_snapshot(encode_snapshot(WHOLE)).prices[0]
    assert (price.input, price.output) == (1.0, None)


def test_this_schema_and_the_one_before_are_read():
    for schema in (SCHEMA, SCHEMA - 1):
        assert decode_snapshot(encode_snapshot(Snapshot(schema=schema, revision=1))).schema == schema


@pytest.mark.parametrize("schema", [SCHEMA + 1, SCHEMA - 2])
def test_other_schemas_are_refused_by_number(schema):
    with pytest.raises(UnreadableSnapshot, match=f"snapshot schema {schema}"):
        decode_snapshot(encode_snapshot(Snapshot(schema=schema, revision=1)))


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"null", b'{"schema": 1}', b'{"schema": 1, "revision": "x"}', b"\xff"]
)
def test_what_is_no_snapshot_is_refused(data):
    with pytest.raises(UnreadableSnapshot, match="not a snapshot"):
        decode_snapshot(data)


def test_fields_of_a_newer_minor_version_are_passed_over():
    data = msgspec.json.decode(encode_snapshot(WHOLE))
    data["nodes"][0]["colour"] = "red"
    data["later"] = {}
    assert decode_snapshot(msgspec.json.encode(data)) == WHOLE


def test_settings_that_nobody_has_changed_are_not_written_so_that_older_workers_can_read_the_rest():
    settings = RoutingSettings(account_strategy="p2c")
    written = msgspec.json.decode(encode_snapshot(Snapshot(schema=SCHEMA, revision=1, settings=settings)))
    assert written["settings"]["account_strategy"] == "p2c"
    assert "provider_strategies" not in written["settings"]


def test_a_key_entry_survives_the_wire():
    entry = KeyEntry("i", "n", 3, allowed_models=("a/*",), rpm=1, budget_nano_usd=10**15, budget_period="total")
    assert decode_key_entry(encode_key_entry(entry)) == entry
