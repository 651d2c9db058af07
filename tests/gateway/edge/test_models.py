"""The list of models is what a key may use."""

import json

import pytest

from gateway.domain.caller import ANONYMOUS, Caller
from gateway.domain.errors import NotFound
from gateway.edge.models import get_model, list_models
from tests.support.catalogs import catalog, combo, connection

TABLES = catalog(
    connection(models=["m1", "vendor/m2"]), combos=[combo("always-on", "local/m1")], aliases={"fast": "local/m1"}
)
LIMITED = Caller(key_id="k", key_name="k", digest="d", version=1, allowed_models=("local/*",))


def ids(caller: Caller) -> list[str]:
    answer = json.loads(list_models(TABLES, caller))
    assert answer["object"] == "list"
    return [entry["id"] for entry in answer["data"]]


def test_all_that_can_be_called_is_listed() -> None:
    assert ids(ANONYMOUS) == ["always-on", "local/m1", "local/vendor/m2", "fast"]
    assert json.loads(list_models(TABLES, ANONYMOUS))["data"][1] == {
        "id": "local/m1", "object": "model", "created": 0, "owned_by": "local",
    }  # fmt: skip


def test_a_limited_key_sees_its_own() -> None:
    assert ids(LIMITED) == ["local/m1", "local/vendor/m2"]


def test_one_model_is_given_by_its_name() -> None:
    assert json.loads(get_model(TABLES, ANONYMOUS, "local/vendor/m2"))["id"] == "local/vendor/m2"


@pytest.mark.parametrize(("caller", "name"), [(ANONYMOUS, "local/m3"), (LIMITED, "always-on"), (ANONYMOUS, "")])
def test_another_name_is_not_found(caller: Caller, name: str) -> None:
    with pytest.raises(NotFound) as error:
        get_model(TABLES, caller, name)
    assert error.value.code == "model_not_found"
