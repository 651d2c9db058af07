"""The digest of what a name stands for: changes with whoever may answer, and with nothing else."""

import pytest

from gateway.routing.catalog import Catalog
from gateway.routing.meaning import meaning_of
from gateway.routing.resolve import resolve
from tests.support.catalogs import catalog, combo, connection

LOCAL, OTHER = connection("local", models=["m1", "m2"]), connection("other", models=["m1", "x"])


def meaning(name: str, tables: Catalog) -> str:
    return meaning_of(resolve(name, tables), tables).digest


BEFORE = catalog(
    LOCAL, OTHER, combos=[combo("both", "local/m1", "other/x")], aliases={"nick": "local/m1"}, chains={"local/m1": ["other/x"]}
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("both", catalog(LOCAL, OTHER, combos=[combo("both", "local/m2", "other/x")])),
        ("both", catalog(LOCAL, OTHER, combos=[combo("both", "other/x", "local/m1")])),
        ("both", catalog(LOCAL, OTHER, combos=[combo("both", "local/m1", "other/x", strategy="random")])),
        ("both", catalog(LOCAL, OTHER, combos=[combo("both", ("local/m1", 10), ("other/x", 90))])),
        ("both", catalog(LOCAL, OTHER, combos=[combo("both", "local/m1")])),
        ("nick", catalog(LOCAL, OTHER, aliases={"nick": "other/x"})),
        ("local/m1", catalog(LOCAL, OTHER, chains={"local/m1": ["other/m1"]})),
        ("local/m1", catalog(LOCAL, OTHER)),
        ("local/m2", catalog(connection("local", url="http://127.0.0.1:10/v1/chat/completions"), OTHER)),
        ("local/m2", catalog(connection("local", dialect="anthropic_messages"), OTHER)),
    ],
    ids=["model", "order", "strategy", "weights", "fewer", "alias", "chain", "no-chain", "url", "dialect"],
)
def test_another_model_order_or_place_is_another_meaning(name: str, after: Catalog) -> None:
    assert meaning(name, BEFORE) != meaning(name, after)


def test_accounts_and_what_others_stand_for_make_no_difference() -> None:
    after = catalog(
        connection("local", "b", models=["m1", "m2"]), LOCAL, OTHER, connection("third"),
        combos=[combo("both", "local/m1", "other/x"), combo("new", "local/m1")],
        aliases={"nick": "local/m1", "nock": "other/x"}, chains={"local/m1": ["other/x"]},
    )  # fmt: skip
    for name in ("both", "nick", "local/m1", "local/m2"):
        assert meaning(name, BEFORE) == meaning(name, after)
