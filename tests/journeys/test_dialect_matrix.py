"""Callers of five dialects, with the official SDKs, against providers of four, through the started product.

Every cell of `matrix/cells.py` is played once; what is heard and its rows in the ledger are looked at, case by case. The provider's side is
strict (`tests/support/fake_dialects`): what its real API would refuse is answered with a 400 that says why.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.journeys.matrix.ask import Ask, Caller, User, Wrong
from tests.journeys.matrix.callers.all import callers
from tests.journeys.matrix.cases import RAISED, TEXT, At, Row, play
from tests.journeys.matrix.cells import CALLERS, PROVIDERS, Cell, cells
from tests.support.many import check_each
from tests.support.real_gateway import KEY, RealGateway, running_gateway

pytestmark = pytest.mark.process

PREFIX = {"openai_chat": "chat", "openai_responses": "resp", "anthropic_messages": "anth", "gemini": "gem"}
CELLS = [cell for cell in cells() if not cell.reason]


class Stage:
    """The started product and its callers; each cell is played once, whoever asks for it first."""

    def __init__(self, gateway: RealGateway, sdks: dict[str, Caller]) -> None:
        self._gateway = gateway
        self._sdks = sdks
        self._rows: dict[str, list[Row]] = {}
        self._ledger: dict[str, dict[str, Any]] = {}

    def play(self, cell: Cell) -> None:
        # What a provider of the dialect answers badly must not be remembered against one that answers well.
        def model_of(scenario: str, provider: str) -> str:
            return f"{PREFIX[provider]}{'-bad' if cell.case.play.startswith('error') else ''}/{scenario}"

        mark = self._gateway.mark
        at = At(cell, self._sdks[cell.caller], lambda: self._gateway.seen(mark), model_of)
        play(at)
        self._rows[cell.id] = at.rows

    def rows(self, cell: Cell) -> list[Row]:
        if cell.id not in self._rows:
            self.play(cell)
        return self._rows[cell.id]

    def ledger(self, request_id: str) -> dict[str, Any]:
        """The row of a request; all that are there are read at once, since reading them is what takes time."""
        if request_id not in self._ledger:
            self._gateway.row(request_id)
            self._ledger = {str(row["request_id"]): row for row in self._gateway.rows()}
        return self._ledger[request_id]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    nodes = {PREFIX[dialect] + more: dialect for dialect in PROVIDERS for more in ("", "-bad")}
    with running_gateway(tmp_path_factory.mktemp("matrix"), nodes=nodes) as running:
        yield running


@pytest.fixture(scope="module")
def stage(gateway: RealGateway) -> Iterator[Stage]:
    with callers(gateway.url, KEY) as sdks:
        yield Stage(gateway, sdks)


def of_each_cell(test: Callable[[Stage, Cell], None]) -> Callable[[Stage, str], None]:
    """A test for each case, of all its cells: a test for each cell would be seventeen hundred."""

    @pytest.mark.parametrize("case", list(dict.fromkeys(cell.case.name for cell in CELLS)))
    def of_all(stage: Stage, case: str) -> None:
        mine = [cell for cell in CELLS if cell.case.name == case]
        check_each(mine, lambda cell: test(stage, cell), lambda cell: cell.id)

    of_all.__name__ = test.__name__
    return of_all


@of_each_cell
def test_the_caller_hears_what_the_provider_said(stage: Stage, cell: Cell) -> None:
    stage.play(cell)


@of_each_cell
def test_the_ledger_holds_what_was_used(stage: Stage, cell: Cell) -> None:
    for due in stage.rows(cell):
        row = stage.ledger(due.request_id)
        state = "estimated" if row["is_estimated"] else "final"
        assert (row["status"], row["error"], row["state"]) == (due.status, due.error or row["error"], state)
        assert row["dialect"] == cell.caller
        assert str(row["provider"]).partition("-")[0] == PREFIX.get(due.provider, "")
        wanted = {
            "input_tokens": due.input,
            "output_tokens": due.output,
            "cache_read_tokens": due.cached,
            "cache_write_tokens": due.written,
        }
        assert {name: row[name] for name, count in wanted.items() if count is not None} == {
            name: count for name, count in wanted.items() if count is not None
        }
        if due.dropped is not None:
            assert tuple(row["attempts"][-1]["dropped"]) == due.dropped
        assert row["is_estimated"] == 0 or due.input is None
        assert bool(row["is_stream"]) == cell.case.streams


@pytest.mark.parametrize("dialect", CALLERS)
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
class TestRefusalsOfTheGatewayItself:
    def test_a_wrong_key_is_raised_as_such(self, gateway: RealGateway, dialect: str, streams: bool) -> None:
        with callers(gateway.url, "sk-wrong") as sdks:
            wrong = refused(sdks[dialect], "chat/text", streams)
        assert (wrong.kind, wrong.status) == (RAISED[dialect][401], 401)

    def test_an_unknown_model_is_raised_as_such(self, gateway: RealGateway, dialect: str, streams: bool) -> None:
        with callers(gateway.url, KEY) as sdks:
            wrong = refused(sdks[dialect], "nobody-has-it", streams)
        assert (wrong.kind, wrong.status) == (RAISED[dialect][404], 404)
        assert "nobody-has-it" in wrong.message


def refused(caller: Caller, model: str, streams: bool) -> Wrong:
    with pytest.raises(Exception) as caught:  # of what kind is for the test to say
        caller.say(Ask(model, (User("Hello"),)), streams=streams)
    return caller.wrong(caught.value)


@pytest.mark.parametrize("provider", PROVIDERS)
class TestOtherWaysToAsk:
    def test_gemini_without_alt_sse_streams_one_array(self, gateway: RealGateway, provider: str) -> None:
        path = f"/v1beta/models/{PREFIX[provider]}/text:streamGenerateContent"
        body = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
        answer = gateway.client.post(path, json=body)
        assert answer.headers["content-type"].startswith("application/json")
        chunks = answer.json()
        parts = [part for chunk in chunks for part in chunk["candidates"][0]["content"]["parts"]]
        assert "".join(part.get("text", "") for part in parts) == TEXT
        assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"
        assert chunks[-1]["usageMetadata"]["promptTokenCount"] == 17

    def test_gemini_in_snake_case_with_the_key_in_the_query(self, gateway: RealGateway, provider: str) -> None:
        body = {
            "system_instruction": {"parts": [{"text": "Be brief."}]},
            "contents": [{"parts": [{"text": "Hello"}]}],
            "generation_config": {"max_output_tokens": 77},
        }
        path = f"/v1beta/{PREFIX[provider]}/text:generateContent?key={KEY}"
        answer = httpx.post(gateway.url + path, json=body, timeout=60)
        assert answer.json()["candidates"][0]["content"]["parts"][0]["text"] == TEXT
        asked = gateway.seen()[-1].asked
        assert asked is not None
        assert (asked["system"], asked["max_tokens"]) == (["Be brief."], 77)

    def test_ollama_under_v1_streams_unless_told_otherwise(self, gateway: RealGateway, provider: str) -> None:
        body = {"model": f"{PREFIX[provider]}/text", "messages": [{"role": "user", "content": "Hello"}]}
        answer = gateway.client.post("/v1/api/chat", json=body)
        lines = [json.loads(line) for line in answer.text.splitlines()]
        assert "".join(line["message"]["content"] for line in lines) == TEXT
        assert [line["done"] for line in lines][-2:] == [False, True]
