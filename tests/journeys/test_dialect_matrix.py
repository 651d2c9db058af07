"""Callers of five dialects, with the official SDKs, against providers of four, through the started product.

Every cell of `matrix/cells.py` is one test of what is heard and one of its rows in the ledger. The provider's side is
strict (`tests/support/fake_dialects`): what its real API would refuse is answered with a 400 that says why.
"""

from collections.abc import Iterator

import pytest

from tests.journeys.matrix.ask import Caller
from tests.journeys.matrix.callers.all import callers
from tests.journeys.matrix.cases import At, Row, play
from tests.journeys.matrix.cells import PROVIDERS, Cell, cells
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
        self._ledger: dict[str, dict[str, object]] = {}

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

    def ledger(self, request_id: str) -> dict[str, object]:
        """The row of a request; all that are there are read at once, since reading them is what takes time."""
        if request_id not in self._ledger:
            self._gateway.row(request_id)
            self._ledger = {str(row["request_id"]): row for row in self._gateway.rows()}
        return self._ledger[request_id]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    nodes = {PREFIX[dialect] + more: dialect for dialect in PROVIDERS for more in ("", "-bad")}
    folder = tmp_path_factory.mktemp("matrix")
    with running_gateway(folder, nodes=nodes) as gateway, callers(gateway.url, KEY) as sdks:
        yield Stage(gateway, sdks)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.id)
def test_the_caller_hears_what_the_provider_said(stage: Stage, cell: Cell) -> None:
    stage.play(cell)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.id)
def test_the_ledger_holds_what_was_used(stage: Stage, cell: Cell) -> None:
    for due in stage.rows(cell):
        row = stage.ledger(due.request_id)
        assert (row["status"], row["error"], row["state"]) == (due.status, due.error or row["error"], "final")
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
        assert row["is_estimated"] == 0 or due.input is None
        assert bool(row["is_stream"]) == cell.case.streams
