"""The list of models is what a key may use, in the shape of the dialect that asks."""

import json
from typing import Any

import pytest

from gateway.domain.caller import ANONYMOUS, Caller
from gateway.domain.dialect import CallerDialect
from gateway.domain.errors import BadRequest, NotFound
from gateway.edge.models import Limits, get_model, limits_of, list_models
from gateway.providers.spec import ModelSpec, ProviderSpec
from gateway.routing.catalog import Catalog
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


ACME = ProviderSpec(
    id="acme",
    name="Acme",
    base_url="https://acme.test/v1",
    models=(
        ModelSpec("big", context=200_000, max_output=32_000),
        ModelSpec("small", context=100_000),
        ModelSpec("odd"),
    ),
)
KNOWN = catalog(
    connection("acme"),
    combos=[combo("both", "acme/big", "acme/small"), combo("vague", "acme/big", "acme/odd"), combo("empty", "gone/m")],
    aliases={"fast": "acme/big"},
    specs=[ACME],
)
KNOWN_NAMES = ["both", "vague", "empty", "acme/big", "acme/small", "acme/odd", "fast"]


def listed(tables: Catalog, dialect: CallerDialect, query: str = "", caller: Caller = ANONYMOUS) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(list_models(tables, caller, dialect, query.encode()))
    return answer


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("acme/big", Limits(200_000, 32_000)),
        ("fast", Limits(200_000, 32_000)),
        ("big", Limits(200_000, 32_000)),
        ("acme/small", Limits(100_000, 0)),
        ("both", Limits(100_000, 0)),
        ("vague", Limits(0, 0)),
        ("empty", Limits(0, 0)),
        ("nobody/knows", Limits(0, 0)),
    ],
)
def test_the_limits_of_a_name_are_the_least_of_what_it_stands_for(name: str, limits: Limits) -> None:
    assert limits_of(name, KNOWN) == limits


def test_responses_has_the_list_of_openai() -> None:
    assert listed(TABLES, "openai_responses") == listed(TABLES, "openai_chat")


class TestAnthropic:
    def test_an_entry_has_what_the_sdk_reads(self) -> None:
        entry = json.loads(get_model(KNOWN, ANONYMOUS, "acme/big", "anthropic_messages"))
        assert entry == {
            "type": "model",
            "id": "acme/big",
            "display_name": "acme/big",
            "created_at": "1970-01-01T00:00:00Z",
            "lifecycle": "active",
            "max_input_tokens": 200_000,
            "max_tokens": 32_000,
        }
        assert listed(KNOWN, "anthropic_messages")["data"][3] == entry

    def test_limits_that_are_not_known_are_null(self) -> None:
        entry = json.loads(get_model(KNOWN, ANONYMOUS, "acme/odd", "anthropic_messages"))
        assert (entry["max_input_tokens"], entry["max_tokens"]) == (None, None)

    def test_without_a_limit_all_are_listed(self) -> None:
        answer = listed(KNOWN, "anthropic_messages")
        assert [entry["id"] for entry in answer["data"]] == KNOWN_NAMES
        assert (answer["has_more"], answer["first_id"], answer["last_id"]) == (False, "both", "fast")

    @pytest.mark.parametrize(
        ("query", "names", "has_more"),
        [
            ("limit=2", KNOWN_NAMES[:2], True),
            ("limit=2&after_id=vague", KNOWN_NAMES[2:4], True),
            ("limit=2&after_id=acme%2Fsmall", KNOWN_NAMES[5:], False),
            ("after_id=fast", [], False),
            ("limit=2&before_id=acme/big", KNOWN_NAMES[1:3], True),
            ("limit=3&before_id=acme/big", KNOWN_NAMES[:3], False),
            ("before_id=both", [], False),
            ("limit=100000", KNOWN_NAMES, False),
            ("limit=&beta=true", KNOWN_NAMES, False),
        ],
    )
    def test_pages_are_turned_by_ids(self, query: str, names: list[str], has_more: bool) -> None:
        answer = listed(KNOWN, "anthropic_messages", query)
        assert ([entry["id"] for entry in answer["data"]], answer["has_more"]) == (names, has_more)
        assert answer["first_id"] == (names[0] if names else None)
        assert answer["last_id"] == (names[-1] if names else None)


class TestGemini:
    def test_an_entry_has_what_the_sdk_reads(self) -> None:
        entry = json.loads(get_model(KNOWN, ANONYMOUS, "acme/big", "gemini"))
        assert entry == {
            "name": "models/acme/big",
            "version": "",
            "displayName": "acme/big",
            "inputTokenLimit": 200_000,
            "outputTokenLimit": 32_000,
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
        }
        assert listed(KNOWN, "gemini")["models"][3] == entry
        assert json.loads(get_model(KNOWN, ANONYMOUS, "models/acme/big", "gemini")) == entry

    def test_limits_that_are_not_known_are_left_out(self) -> None:
        entry = json.loads(get_model(KNOWN, ANONYMOUS, "acme/odd", "gemini"))
        assert not {"inputTokenLimit", "outputTokenLimit"} & entry.keys()

    @pytest.mark.parametrize("spelling", ["pageSize={}&pageToken={}", "page_size={}&page_token={}"])
    @pytest.mark.parametrize("size", [1, 2, 3, 7, 0, 5000])
    def test_pages_join_to_the_whole_list(self, spelling: str, size: int) -> None:
        names: list[str] = []
        token = ""
        for _ in range(8):
            answer = listed(KNOWN, "gemini", spelling.format(size, token))
            names += [entry["name"] for entry in answer["models"]]
            token = answer.get("nextPageToken", "")
            if not token:
                break
        assert names == [f"models/{name}" for name in KNOWN_NAMES]

    def test_the_last_page_has_no_token(self) -> None:
        assert "nextPageToken" not in listed(KNOWN, "gemini")


@pytest.mark.parametrize(
    ("dialect", "query"),
    [
        ("anthropic_messages", "limit=0"),
        ("anthropic_messages", "limit=-1"),
        ("anthropic_messages", "limit=x"),
        ("anthropic_messages", "limit=%C2%B2"),
        ("anthropic_messages", "after_id=gone"),
        ("anthropic_messages", "before_id="),
        ("gemini", "pageSize=-1"),
        ("gemini", "pageSize=many"),
        ("gemini", "pageToken=%FF"),
        ("gemini", "pageToken=abc"),
        ("gemini", "pageToken=Z29uZQ"),
    ],
)
def test_a_page_that_cannot_be_is_refused(dialect: CallerDialect, query: str) -> None:
    with pytest.raises(BadRequest) as error:
        listed(KNOWN, dialect, query)
    assert error.value.code == "invalid_page"
    assert error.value.param


def test_tags_are_the_names() -> None:
    assert [entry["model"] for entry in listed(KNOWN, "ollama")["models"]] == KNOWN_NAMES


@pytest.mark.parametrize("dialect", ["anthropic_messages", "gemini", "ollama"])
def test_a_limited_key_sees_its_own_in_every_dialect(dialect: CallerDialect) -> None:
    answer = listed(TABLES, dialect, caller=LIMITED)
    names = [entry.get("id") or entry["name"] for entry in answer.get("data") or answer["models"]]
    assert [name.removeprefix("models/") for name in names] == ["local/m1", "local/vendor/m2"]


@pytest.mark.parametrize("dialect", ["anthropic_messages", "gemini"])
def test_an_unknown_model_has_near_names_in_every_dialect(dialect: CallerDialect) -> None:
    with pytest.raises(NotFound, match="acme/big"):
        get_model(KNOWN, ANONYMOUS, "acme/bigg", dialect)
