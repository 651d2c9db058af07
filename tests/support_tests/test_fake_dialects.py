"""The fake dialects are what they say: each official SDK is served by the fake of its own dialect, case by case."""

from collections.abc import Iterator

import pytest

from tests.journeys.matrix.ask import Caller
from tests.journeys.matrix.callers.all import callers
from tests.journeys.matrix.cases import At, play
from tests.journeys.matrix.cells import Cell, cells
from tests.support.fake_provider import FakeProvider
from tests.support.real_gateway import running_fake

SILENT = {"cut", "switch", "switch-stream", "switch-tools", "switch-tools-stream"}
"""These are about what the gateway does, not a provider: most SDKs do not notice a stream that ends too early."""
DIRECT = [cell for cell in cells() if cell.caller == cell.provider and not cell.reason and cell.case.name not in SILENT]


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeProvider]:
    with running_fake() as running:
        yield running


@pytest.fixture(scope="module")
def sdks(fake: FakeProvider) -> Iterator[dict[str, Caller]]:
    with callers(fake.origin, "sk-direct") as made:
        yield made


@pytest.mark.parametrize("cell", DIRECT, ids=lambda cell: cell.id)
def test_an_sdk_is_served_by_its_own_dialect(cell: Cell, fake: FakeProvider, sdks: dict[str, Caller]) -> None:
    play(At(cell, sdks[cell.caller], lambda: list(fake.requests), model_of=lambda scenario, _: scenario))
