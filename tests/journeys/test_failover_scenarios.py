"""Sixteen ways in which providers fail, for callers of four dialects, through the started product.

Each cell of `failover/cells.py` has a combo, a first target and a connection of its own, so that what rests in one is not felt
in another and all are played side by side. What a caller sees, what the providers were asked, what rests and what the ledger
holds are a test each.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.journeys.failover.cells import SCENARIOS, Cell, cells
from tests.journeys.failover.hear import FILTERED, FINISHED, Heard, ask
from tests.support.fake_dialects.scenarios import TEXT
from tests.support.fake_http import RequestRecord
from tests.support.many import check_each
from tests.support.product import wait_for
from tests.support.real_gateway import KEY, RealGateway, running_gateway

pytestmark = pytest.mark.process

CELLS = list(cells())
NUMBERS = {cell.id: number for number, cell in enumerate(CELLS)}
DIALECTS = ("openai_chat", "openai_responses", "anthropic_messages", "gemini")
LIMITS = {"connect_s": 2, "headers_s": 1, "first_event_s": 1, "first_event_reasoning_s": 4, "gap_s": 1}
"""Long enough for a busy machine, short enough to wait for."""
AT_ONCE = 6
BEGINNING = "".join(TEXT[:2])
CODES = {
    "400 context": {
        "openai_chat": "context_length_exceeded",
        "openai_responses": "context_length_exceeded",
        "anthropic_messages": "invalid_request_error",
        "gemini": "INVALID_ARGUMENT",
    },
    "400 filter": {
        "openai_chat": "content_filter",
        "openai_responses": "invalid_prompt",
        "anthropic_messages": "invalid_request_error",
        "gemini": "INVALID_ARGUMENT",
    },
}
"""What a provider of each dialect calls it: callers of that dialect read it in the provider's own bytes."""
OURS = {"400 context": "context_length_exceeded", "400 filter": "content_policy_violation"}


def node_of(then: str, dialect: str) -> str:
    return f"{then.replace(':', '-')}-{dialect.replace('_', '-')}"


@dataclass(slots=True)
class Played:
    """What one cell left behind. `resting` what `/api/resilience` said right after."""

    heard: list[Heard] = field(default_factory=list)
    request_ids: list[str] = field(default_factory=list)
    resting: dict[str, Any] = field(default_factory=dict)
    looked_at: float = 0.0


class Stage:
    """The started product with a combo for each cell; all cells that are to be run are played side by side, once."""

    def __init__(self, gateway: RealGateway, wanted: list[Cell]) -> None:
        self.gateway = gateway
        listed = gateway.admin.get("/api/providers").json()["connections"]
        self.connections = {one["name"]: one["id"] for one in listed}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            self.played = dict(zip((cell.id for cell in wanted), pool.map(self._play, wanted), strict=True))
        self._calls = Counter(model_in(record) for record in gateway.seen())
        self._rows: dict[str, list[dict[str, Any]]] = {}

    def _play(self, cell: Cell) -> Played:
        number, played = NUMBERS[cell.id], Played()
        with httpx.Client(base_url=self.gateway.url, headers={"authorization": f"Bearer {KEY}"}, timeout=30) as client:
            for turn, _ in enumerate(cell.expected.saw):
                request_id = f"cell-{number}-{turn}"
                played.request_ids.append(request_id)
                prefilled = cell.scenario.is_prefilled
                played.heard.append(
                    ask(client, cell.caller, f"cell-{number}", request_id, streams=cell.streams, is_prefilled=prefilled)
                )
        played.resting = self.gateway.admin.get("/api/resilience").json()
        played.looked_at = time.time()
        return played

    def calls_of(self, model: str) -> int:
        return self._calls[model]

    def rows(self, request_id: str) -> list[dict[str, Any]]:
        """The ledger's rows of a request, by the admin's API; all pages are read at once."""
        if request_id not in self._rows:
            wait_for(lambda: self._read_rows() or request_id in self._rows, 10, lambda: f"no row of {request_id}")
        return self._rows[request_id]

    def _read_rows(self) -> None:
        found: dict[str, list[dict[str, Any]]] = {}
        cursor: str | None = ""
        while cursor is not None:
            page = self.gateway.admin.get("/api/usage/logs", params={"limit": 200, "cursor": cursor}).json()
            for row in page["logs"]:
                found.setdefault(row["requestId"], []).append(row)
            cursor = page["nextCursor"]
        self._rows = found


def model_in(record: RequestRecord) -> str:
    return record.path.partition("/models/")[2].partition(":")[0] or str(record.json()["model"])


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    nodes = {f"first-{number}": cell.first for number, cell in enumerate(CELLS)}
    nodes |= {
        node_of(then, dialect): dialect for then in {cell.scenario.then for cell in CELLS} for dialect in DIALECTS
    }
    with running_gateway(
        tmp_path_factory.mktemp("failover"), timeouts=LIMITS, early_headers_s=30.0, nodes=nodes
    ) as running:
        for number, cell in enumerate(CELLS):
            running.fake.plan(*cell.scenario.first, key=f"sk-node-first-{number}")
            running.fake.plan(cell.scenario.then, key=f"sk-node-{node_of(cell.scenario.then, cell.fallback)}")
        running.reload(_config(json.loads(running.config.read_text())))
        last = f"cell-{len(CELLS) - 1}"
        wait_for(
            lambda: last in {combo["name"] for combo in running.admin.get("/api/combos").json()["combos"]},
            20, lambda: running.product.errors,
        )  # fmt: skip
        running.wait_taken_up()
        yield running


def _config(config: dict[str, Any]) -> str:
    config["settings"]["resilience"] = {}
    config["settings"]["retry_budget"] = {"share": 100}  # every request here needs a second call
    for number, cell in enumerate(CELLS):
        fallback = node_of(cell.scenario.then, cell.fallback)
        models = [f"first-{number}/primary-{number}", f"{fallback}/secondary-{number}"]
        config["combos"].append({"name": f"cell-{number}", "models": models, "config": cell.scenario.config})
        if cell.scenario.name == "accounting":
            config.setdefault("prices", []).extend(
                [
                    {"model": models[0], "input": 500, "output": 500},
                    {"model": models[1], "input": 1, "output": 2, "cache_read": 0.1, "cache_write": 1},
                ]
            )
    return json.dumps(config)


@pytest.fixture(scope="module")
def stage(gateway: RealGateway, request: pytest.FixtureRequest) -> Stage:
    chosen = {
        item.callspec.params["scenario"]
        for item in request.session.items
        if item.path == request.path and isinstance(item, pytest.Function) and hasattr(item, "callspec")
    }
    return Stage(gateway, [cell for cell in CELLS if cell.scenario.name in chosen])


def of_each_cell(test: Callable[[Stage, Cell], None]) -> Callable[[Stage, str], None]:
    """A test for each scenario, of all its cells: a test for each cell would be two thousand."""

    @pytest.mark.parametrize("scenario", [scenario.name for scenario in SCENARIOS])
    def of_all(stage: Stage, scenario: str) -> None:
        mine = [cell for cell in CELLS if cell.scenario.name == scenario]
        check_each(mine, lambda cell: test(stage, cell), lambda cell: cell.id)

    of_all.__name__ = test.__name__
    return of_all


@of_each_cell
def test_what_the_caller_sees(stage: Stage, cell: Cell) -> None:
    number = NUMBERS[cell.id]
    for heard, saw in zip(stage.played[cell.id].heard, cell.expected.saw, strict=True):
        if saw in ("first", "fallback"):
            check_answer(heard, cell)
            node = f"first-{number}" if saw == "first" else node_of(cell.scenario.then, cell.fallback)
            model = f"{'primary' if saw == 'first' else 'secondary'}-{number}"
            assert (heard.headers["x-omniroute-provider"], heard.headers["x-omniroute-model"]) == (node, model)
        elif saw == "filtered":
            assert (heard.status, heard.text, heard.finish, heard.code) == (200, "", FILTERED[cell.caller], "")
            assert heard.is_terminated or not cell.streams
        elif saw.startswith("cut"):
            check_cut(heard, BEGINNING if saw == "cut" else "".join(TEXT))
        else:
            check_refusal(heard, saw, cell)
    first = stage.played[cell.id].heard[0]
    assert int(first.headers["x-omniroute-attempts"]) == len(cell.expected.outcomes)


def check_answer(heard: Heard, cell: Cell) -> None:
    """A whole answer: all of the text once, the reason to finish, the terminator, no error in any form."""
    assert (heard.status, heard.code) == (200, ""), heard.body[:500]
    assert heard.text == "".join(TEXT)
    assert heard.finish == FINISHED[cell.caller]
    assert heard.is_terminated or not cell.streams
    assert not heard.is_garbled


def check_cut(heard: Heard, text: str) -> None:
    """An honest end: what had come, an error event as the last one, no terminator, nothing of another answer."""
    assert heard.status == 200
    assert heard.text == text
    assert heard.code in ("upstream_cut", "upstream_error"), heard.body[-500:]
    assert not heard.is_terminated
    assert (heard.finish, heard.after_error, heard.is_garbled) == ("", 0, False)


def check_refusal(heard: Heard, saw: str, cell: Cell) -> None:
    status, _, code = saw.partition(" ")
    is_own = cell.caller == cell.first
    wanted = (CODES[saw][cell.caller] if is_own else OURS[saw]) if saw in CODES else code
    assert (heard.status, heard.code) == (int(status), wanted), heard.body
    assert heard.message
    if heard.outcomes or not is_own:
        assert heard.outcomes == cell.expected.outcomes


@of_each_cell
def test_what_the_providers_are_asked(stage: Stage, cell: Cell) -> None:
    number, expected = NUMBERS[cell.id], cell.expected
    first, fallback = stage.calls_of(f"primary-{number}"), stage.calls_of(f"secondary-{number}")
    assert (first, fallback) == (expected.first_calls, expected.fallback_calls)


@of_each_cell
def test_what_rests(stage: Stage, cell: Cell) -> None:
    number, played = NUMBERS[cell.id], stage.played[cell.id]
    name, model = stage.connections[f"first-{number}"], f"primary-{number}"
    cooling = [one for one in played.resting["cooldowns"] if one["connectionId"] == name]
    broken = [one for one in played.resting["breakers"] if one["name"] in (name, f"{name}/{model}")]
    fallback = stage.connections[node_of(cell.scenario.then, cell.fallback)]
    others = [*played.resting["cooldowns"], *played.resting["breakers"]]
    assert not [one for one in others if fallback in (one.get("connectionId"), one.get("name", "").partition("/")[0])]
    expected = cell.expected.rests
    if expected is None:
        assert cooling + broken == []
        return
    found = cooling if expected.kind == "cooldown" else broken
    if expected.least_s == 0 and not found:
        return  # over before it was looked at
    [resting] = found
    left_s = resting["until"] / 1000 - played.looked_at
    assert expected.least_s <= left_s <= expected.most_s
    assert resting["reason"] == cell.expected.outcomes[0]
    if expected.kind == "breaker":
        assert (resting["state"], resting["scope"]) == ("OPEN", expected.scope)


@of_each_cell
def test_what_the_ledger_holds(stage: Stage, cell: Cell) -> None:
    number, expected = NUMBERS[cell.id], cell.expected
    played = stage.played[cell.id]
    for turn, (request_id, saw) in enumerate(zip(played.request_ids, expected.saw, strict=True)):
        rows = stage.rows(request_id)
        assert len(rows) == 1, "one request, one row"
        row = rows[0]
        state = "estimated" if row["tokens"]["estimated"] else "final"
        assert (row["status"], row["state"], row["dialect"]) == (played.heard[turn].status, state, cell.caller)
        assert (row["combo"], row["requestedModel"]) == (f"cell-{number}", f"cell-{number}")
        if not turn:
            assert tuple(attempt["outcome"] for attempt in row["attempts"]) == expected.outcomes
            assert row["error"] == (expected.error or ("" if "committed" in expected.outcomes else saw.split()[1]))
        is_first = saw.startswith(("first", "cut", "filtered"))
        if is_first or saw == "fallback":
            node = f"first-{number}" if is_first else node_of(cell.scenario.then, cell.fallback)
            assert row["provider"] == node
            assert row["model"] == f"{'primary' if is_first else 'secondary'}-{number}"
            assert row["connectionId"] == stage.connections[node]
        if saw == "fallback":
            check_tokens(row, cell)


def check_tokens(row: dict[str, Any], cell: Cell) -> None:
    tokens = row["tokens"]
    assert not tokens["estimated"]
    if cell.scenario.name != "accounting":
        assert (tokens["input"], tokens["output"]) == (17, 9)
        return
    written = 10 if cell.fallback == "anthropic_messages" else 0  # nobody else tells
    assert (tokens["input"], tokens["output"], tokens["cacheRead"], tokens["cacheWrite"]) == (120, 7, 64, written)
    assert row["costNanoUsd"] == (120 - 64) * 1000 + 64 * 100 + 7 * 2000
