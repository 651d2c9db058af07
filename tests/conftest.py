"""The order of a run: what starts the product first, so that no long file is left for one process at the end."""

from collections.abc import Iterable

import pytest

FIRST = ("tests/journeys", "tests/admin_api", "tests/gateway/serve", "tests/gateway/state", "tests/gateway/upstream")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _place(item.nodeid, FIRST))


def _place(nodeid: str, first: Iterable[str]) -> int:
    return next((place for place, folder in enumerate(first) if nodeid.startswith(folder)), len(FIRST))
