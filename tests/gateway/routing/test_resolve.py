"""A name stands for one thing, found in a fixed order; what stands for nothing is refused by name."""

import time

import pytest

from gateway.domain.errors import BadRequest, Forbidden, GatewayError, NotFound
from gateway.routing.catalog import Catalog
from gateway.routing.resolve import MAX_DEPTH, MAX_MODELS, resolve, resolve_at
from tests.support.catalogs import catalog, combo, connection


def found(name: str, tables: Catalog) -> list[str]:
    return [f"{one.provider}/{one.model}" for one in resolve(name, tables).models]


def tables() -> Catalog:
    return catalog(
        connection("local", models=["m1", "m2", "shadowed", "only-here", "vendor/model", "same"]),
        connection("other", models=["m1", "x", "same"]),
        connection("open"),
        nodes=["unconnected"],
        combos=[combo("local/shadowed", "other/x"), combo("both", "local/m1", "other/m1"), combo("same", "other/x")],
        aliases={
            "fast": "local/m1",
            "gpt-4o": "local/m2",
            "gpt-*": "other/x",
            "gpt-4*": "other/m1",
            "claude-*": "local/m1",
            "claude-sonnet-*": "local/m2",
            "claude-sonnet-4-*": "other/x",
            "x": "local/m1",
            "two-steps": "fast",
        },
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("both", ["local/m1", "other/m1"]),
        ("local/shadowed", ["other/x"]),  # a combo's name comes first, even one that looks like a model's
        ("same", ["other/x"]),
        ("local/m1", ["local/m1"]),
        ("local/vendor/model", ["local/vendor/model"]),
        ("open/any/thing:free", ["open/any/thing:free"]),
        ("fast", ["local/m1"]),
        ("two-steps", ["local/m1"]),
        ("x", ["local/m1"]),  # an exact alias beats the bare name
        ("gpt-4o", ["local/m2"]),  # an exact alias beats wildcards
        ("gpt-4.1", ["other/m1"]),
        ("gpt-3.5", ["other/x"]),
        ("GPT-3.5", ["other/x"]),
        ("claude-haiku-4", ["local/m1"]),
        ("claude-sonnet-3-7", ["local/m2"]),
        ("claude-sonnet-4-20250514", ["other/x"]),
        ("only-here", ["local/only-here"]),
        ("vendor/model", ["local/vendor/model"]),
    ],
)
def test_names_resolve_in_order(name: str, expected: list[str]) -> None:
    assert found(name, tables()) == expected


@pytest.mark.parametrize(
    ("name", "error", "code"),
    [
        ("nothing", NotFound, "model_not_found"),
        ("nobody/m1", NotFound, "model_not_found"),
        ("local/", NotFound, "model_not_found"),
        ("/m1", NotFound, "model_not_found"),
        ("local/nothing", NotFound, "model_not_found"),
        ("unconnected/m1", NotFound, "no_connection"),
        ("m1", BadRequest, "ambiguous_model"),
        ("", NotFound, "model_not_found"),
    ],
)
def test_what_cannot_be_resolved_is_refused_by_code(name: str, error: type[GatewayError], code: str) -> None:
    with pytest.raises(error) as caught:
        resolve(name, tables())
    assert caught.value.code == code
    assert name in caught.value.message or code == "no_connection"


def test_an_ambiguous_name_lists_the_choices() -> None:
    with pytest.raises(BadRequest, match="local/m1, other/m1"):
        resolve("m1", tables())


@pytest.mark.parametrize(
    ("typo", "near"),
    [("local/only-heer", "local/only-here"), ("other/only-here", "local/only-here"), ("fas", "fast"), ("bot", "both")],
)
def test_an_unknown_name_is_answered_with_near_ones(typo: str, near: str) -> None:
    with pytest.raises(NotFound, match=f"did you mean .*{near}"):
        resolve(typo, tables())


def test_near_names_are_looked_for_within_bounds() -> None:
    wide = catalog(connection(models=[f"model-number-{i}-of-many" for i in range(20_000)]))
    started = time.process_time()
    with pytest.raises(NotFound):
        resolve("local/" + "model-number" * 40, wide)
    assert time.process_time() - started < 10


def test_nested_combos_are_laid_out_in_place() -> None:
    nested = catalog(
        connection(models=["a", "b", "c", "d"]),
        combos=[combo("outer", "local/a", "inner", "local/d"), combo("inner", "local/b", "local/c")],
    )
    assert found("outer", nested) == ["local/a", "local/b", "local/c", "local/d"]
    assert resolve("outer", nested).combo is nested.combos["outer"]


def test_an_alias_may_lead_to_a_combo() -> None:
    led = catalog(
        connection(models=["a", "b"]),
        combos=[combo("both", "local/a", "local/b"), combo("outer", "via-alias")],
        aliases={"gpt-*": "both", "via-alias": "both"},
    )
    assert found("gpt-4o", led) == ["local/a", "local/b"]
    assert resolve("gpt-4o", led).combo is led.combos["both"]
    assert found("outer", led) == ["local/a", "local/b"]


def chain(length: int) -> Catalog:
    combos = [combo(f"c{i}", f"c{i + 1}") for i in range(1, length)]
    return catalog(connection(models=["m"]), combos=[*combos, combo(f"c{length}", "local/m")])


def test_combos_nest_as_deep_as_the_bound_and_no_deeper() -> None:
    assert found("c1", chain(MAX_DEPTH)) == ["local/m"]
    with pytest.raises(NotFound, match="nested deeper"):
        resolve("c1", chain(MAX_DEPTH + 1))


@pytest.mark.parametrize("width", [1, 30])
def test_combos_in_a_circle_are_refused_quickly(width: int) -> None:
    around = catalog(connection(models=["m"]), combos=[combo("a", *["b"] * width), combo("b", *["a"] * width)])
    started = time.process_time()
    with pytest.raises(NotFound):
        resolve("a", around)
    assert time.process_time() - started < 5


@pytest.mark.parametrize("leaf", ["local/m", "nothing"])
def test_wide_and_deep_combos_cost_little(leaf: str) -> None:
    wide = [combo(f"c{i}", *[f"c{i + 1}"] * 30) for i in range(1, MAX_DEPTH)]
    tables = catalog(
        connection(models=["m", *(f"model-{i}" for i in range(5_000))]), combos=[*wide, combo("c5", *[leaf] * 30)]
    )
    started = time.process_time()
    if leaf == "nothing":
        with pytest.raises(NotFound):
            resolve("c1", tables)
    else:
        assert len(resolve("c1", tables).models) == MAX_MODELS
    assert time.process_time() - started < 5


def test_a_combo_with_an_unknown_model_does_not_search_for_near_names() -> None:
    tables = catalog(
        connection(models=["m", *(f"model-number-{i}-of-many" for i in range(5_000))]),
        combos=[combo("c", "local/model-number-x-of-many", "local/m")],
    )
    started = time.process_time()
    for _ in range(20):
        assert found("c", tables) == ["local/m"]
    assert time.process_time() - started < 1


def test_a_nested_combo_has_the_share_of_its_entry() -> None:
    nested = catalog(
        connection(models=["a", "b", "c"]),
        combos=[combo("outer", ("inner", 2), ("local/c", 2)), combo("inner", "local/a", "local/b")],
    )
    assert [one.weight for one in resolve("outer", nested).models] == [1, 1, 2]


def test_a_circle_with_a_way_out_still_serves() -> None:
    around = catalog(connection(models=["m"]), combos=[combo("a", "b", "local/m"), combo("b", "a")])
    assert set(found("a", around)) == {"local/m"}


def test_aliases_in_a_circle_are_refused() -> None:
    with pytest.raises(NotFound, match="circle"):
        resolve("a", catalog(connection(), aliases={"a": "b", "b": "a"}))
    with pytest.raises(NotFound, match="circle"):
        resolve("self-x", catalog(connection(), aliases={"self-*": "self-y"}))


def test_a_combo_passes_over_what_cannot_be_resolved_now() -> None:
    partly = catalog(
        connection(models=["m"]),
        nodes=["gone"],
        combos=[combo("c", "gone/x", "nothing", "off", "local/m"), combo("off", "local/m", is_active=False)],
    )
    assert found("c", partly) == ["local/m"]


def test_a_combo_of_which_nothing_is_left_tells_the_first_cause() -> None:
    empty = catalog(connection(models=["m"]), nodes=["gone"], combos=[combo("c", "gone/x", "nothing"), combo("none")])
    with pytest.raises(NotFound, match="gone") as error:
        resolve("c", empty)
    assert error.value.code == "no_connection"
    with pytest.raises(NotFound, match="no models"):
        resolve("none", empty)


def test_a_combo_that_is_switched_off_is_refused_by_name() -> None:
    with pytest.raises(Forbidden, match="'off'") as error:
        resolve("off", catalog(connection(), combos=[combo("off", "local/m", is_active=False)]))
    assert error.value.code == "combo_disabled"


@pytest.mark.parametrize(
    ("provider", "name", "expected"),
    [
        ("local", "m1", "local/m1"),
        ("local", "local/m1", "local/m1"),
        ("open", "anything", "open/anything"),
        ("local", "vendor/model", "local/vendor/model"),
        ("open", "vendor/model", "open/vendor/model"),
    ],
)
def test_a_pinned_provider_needs_no_prefix(provider: str, name: str, expected: str) -> None:
    (model,) = resolve_at(provider, name, tables()).models
    assert f"{model.provider}/{model.model}" == expected


def test_a_reseller_may_list_a_foreign_prefix() -> None:
    reseller = catalog(connection("seller", models=["other/m1"]), connection("other", models=["m1"]))
    (model,) = resolve_at("seller", "other/m1", reseller).models
    assert (model.provider, model.model) == ("seller", "other/m1")


@pytest.mark.parametrize(
    ("provider", "name", "error", "code"),
    [
        ("nobody", "m1", BadRequest, "unknown_provider"),
        ("local", "other/m1", BadRequest, "provider_mismatch"),
        ("local", "nothing", NotFound, "model_not_found"),
        ("unconnected", "m1", NotFound, "no_connection"),
    ],
)
def test_a_pin_is_kept(provider: str, name: str, error: type[GatewayError], code: str) -> None:
    with pytest.raises(error) as caught:
        resolve_at(provider, name, tables())
    assert caught.value.code == code


# -- any model at a provider, chains, tiers ----------------------------------------------------------------------------


def test_a_star_stands_for_the_model_that_was_asked_for() -> None:
    tables = catalog(
        connection("local"),
        connection("other"),
        combos=[combo("everywhere", "local/*", "other/*", "other/last")],
        aliases={"gpt-*": "everywhere", "claude-*": "other/*", "fast/*": "local/*", "exact": "other/*"},
    )
    assert found("gpt-4o", tables) == ["local/gpt-4o", "other/gpt-4o", "other/last"]
    assert found("claude-x", tables) == ["other/claude-x"]
    assert found("fast/vendor/m", tables) == ["local/vendor/m"]
    assert found("exact", tables) == ["other/exact"]
    assert found("everywhere/m1", tables) == ["local/m1", "other/m1", "other/last"]
    assert found("everywhere", tables) == ["other/last"], "by its own name the combo does not know which model"
    assert found("local/*", tables) == ["local/*"], "what a caller sends is no pattern"


def test_a_combo_of_stars_alone_needs_a_model() -> None:
    tables = catalog(connection("local"), combos=[combo("everywhere", "local/*")])
    with pytest.raises(NotFound) as caught:
        resolve("everywhere", tables)
    assert caught.value.code == "model_not_found"


def test_a_star_is_resolved_like_a_name_that_was_written() -> None:
    tables = catalog(
        connection("local", models=["m1"]),
        connection("other", models=["m2"]),
        combos=[combo("everywhere", "local/*", "other/*")],
    )
    assert found("everywhere/m1", tables) == ["local/m1"]
    with pytest.raises(NotFound):
        resolve("everywhere/m3", tables)


def chained(name: str, chains: dict[str, list[str]], **more: object) -> list[str]:
    tables = catalog(
        connection("local", models=["m1", "m2"]), connection("other"), connection("third", models=["m1"]),
        chains=chains, **more,  # type: ignore[arg-type]
    )  # fmt: skip
    return [f"{one.provider}/{one.model}" for one in resolve(name, tables).chain]


@pytest.mark.parametrize(
    ("name", "chains", "expected"),
    [
        ("local/m1", {"local/m1": ["other/x", "third/m1"]}, ["other/x", "third/m1"]),
        ("local/m2", {"local/m1": ["other/x"]}, []),
        ("local/m1", {"local/*": ["other/*"]}, ["other/m1"]),
        ("local/m1", {"m1": ["third/*"]}, ["third/m1"]),
        ("m2", {"m2": ["other/x"]}, ["other/x"]),
        ("m2", {"local/m2": ["other/x"]}, ["other/x"]),
        ("local/m1", {"*": ["other/z"], "local/*": ["other/y"], "local/m1": ["other/x"]}, ["other/x", "other/y", "other/z"]),
        ("local/m1", {"*": ["local/m1", "nobody/m", "third/m9", "other/x", "other/x"]}, ["other/x"]),
        ("c", {"local/m1": ["other/x"], "c": ["other/y"]}, ["other/x", "other/y"]),
        ("local/m1", {"local/m1": ["c"]}, ["third/m1"]),
    ],
)  # fmt: skip
def test_chains_add_what_is_tried_in_the_end(name: str, chains: dict[str, list[str]], expected: list[str]) -> None:
    added = chained(name, chains, combos=[combo("c", "local/m1", "third/m1")])
    assert sorted(added) == sorted(expected)
    if name != "c":
        assert added == expected


def test_a_path_that_pins_the_provider_has_no_chain() -> None:
    tables = catalog(connection("local"), connection("other"), chains={"*": ["other/x"]})
    assert resolve_at("local", "m", tables).chain == ()


def test_tiered_is_any_model_or_one_at_all_who_offer_it() -> None:
    tables = catalog(
        connection("local", models=["a", "shared"]),
        connection("other", models=["shared", "z"]),
        connection("demo", models=["echo"], transport="demo"),
    )
    assert found("auto/tiered", tables) == ["local/a", "other/shared"]
    assert found("auto/tiered/shared", tables) == ["local/shared", "other/shared"]
    assert resolve("auto/tiered", tables).is_tiered
    with pytest.raises(NotFound):
        resolve("auto/tiered/nothing", tables)
    with pytest.raises(NotFound):
        resolve("auto/tiered", catalog(connection("demo", models=["echo"], transport="demo")))


def test_a_combo_may_take_the_name_of_tiers() -> None:
    tables = catalog(connection("local"), combos=[combo("auto/tiered", "local/m1")])
    assert found("auto/tiered", tables) == ["local/m1"]
    assert not resolve("auto/tiered", tables).is_tiered


def test_a_negative_weight_weighs_nothing() -> None:
    tables = catalog(connection("local"), combos=[combo("c", ("local/a", -5), ("local/b", 1))])
    assert [one.weight for one in resolve("c", tables).models] == [0.0, 1.0]
