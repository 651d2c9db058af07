"""The look-up tables of a revision."""

import time

import pytest

from gateway.config.snapshot import SCHEMA, Connection, Node, Snapshot
from gateway.providers.spec import ModelSpec, ProviderSpec
from gateway.routing.catalog import compile_pattern
from gateway.routing.plan import make_plan
from gateway.routing.resolve import resolve
from gateway.runtime import compile_runtime
from tests.support.catalogs import catalog, combo, connection


@pytest.mark.parametrize(
    ("name", "pattern", "matches"),
    [
        ("claude-sonnet-4-20250514", "claude-*", True),
        ("gpt-4o", "claude-*", False),
        ("claude-sonnet-4-20250514", "claude-*-4*", True),
        ("claude-haiku-4-5", "claude-*-4*", True),
        ("gpt-4o", "gpt-?o", True),
        ("gpt-4o", "gpt-??", True),
        ("gpt-4o", "gpt-???", False),
        ("GPT-4O", "gpt-*", True),
        ("gpt-4o", "GPT-4?", True),
        ("gpt-4o", "*", True),
        ("", "*", True),
        ("", "?", False),
        ("a.b", "a?b", True),
        ("axb", "a.b", False),
        ("a+b[c]", "a+b[?]", True),
        ("vendor/model:free", "vendor/*", True),
        ("gpt-4o\n", "gpt-4o", False),
    ],
)
def test_wildcards_match_whole_names(name: str, pattern: str, matches: bool) -> None:
    assert (compile_pattern(pattern).fullmatch(name) is not None) is matches


def test_connections_are_ordered_by_priority_then_name() -> None:
    tables = catalog(
        connection(name="z", priority=1), connection(name="b", priority=2), connection(name="a", priority=2)
    )
    assert [one.name for one in tables.connections["local"]] == ["z", "a", "b"]


def test_a_blocked_provider_offers_nothing() -> None:
    tables = catalog(connection("local", models=["m1"]), connection("other", models=["m2"]), blocked=("local",))
    assert set(tables.connections) == {"other"}
    assert [name for name, _ in tables.listed] == ["other/m2"]


def test_the_list_holds_combos_models_and_exact_aliases_once() -> None:
    tables = catalog(
        connection("local", "a", models=["m2", "m1"]),
        connection("local", "b", models=["m1"]),
        combos=[combo("always-on", "local/m1"), combo("off", "local/m1", is_active=False)],
        aliases={"fast": "local/m1", "gpt-*": "local/m1"},
    )
    assert tables.listed == (
        ("always-on", "combo"), ("local/m1", "local"), ("local/m2", "local"), ("fast", "alias"),
    )  # fmt: skip


def test_what_the_data_files_know_of_a_model_is_kept_for_connected_providers() -> None:
    big = ModelSpec("big", context=200_000, max_output=32_000)
    specs = [ProviderSpec(id=name, name=name, base_url="https://x.test", models=(big,)) for name in ("acme", "other")]
    assert catalog(connection("acme"), connection("local"), specs=specs).facts == {("acme", "big"): big}


async def test_ten_thousand_connections_compile_and_resolve() -> None:
    count = 10_000
    snapshot = Snapshot(
        schema=SCHEMA,
        revision=7,
        nodes=tuple(Node(f"n{i}", f"n{i}", "openai_chat", "http://x.test/v1") for i in range(count // 10)),
        connections=tuple(
            Connection(id=f"c{i}", provider=f"n{i % (count // 10)}", name=f"c{i}", models=(f"m{i}", "shared"))
            for i in range(count)
        ),
    )
    started = time.process_time()
    runtime = await compile_runtime(snapshot, {}, bytes(32))
    assert time.process_time() - started < 50
    assert len(runtime.catalog.listed) == count + count // 10
    started = time.process_time()
    for i in range(0, count, 10):
        plan = make_plan(resolve(f"n{i % (count // 10)}/m{i}", runtime.catalog), runtime.catalog, 0.0)
        assert [one.connection.id for one in plan] == [f"c{i}"]
    assert time.process_time() - started < 10
    assert resolve("m9999", runtime.catalog).models[0].provider == "n999"
