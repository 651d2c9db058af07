"""A real Valkey shared by the tests of all rooms, and one of its own for a test that hurts it."""

from collections.abc import Iterator

import pytest

from tests.support.real_valkey import RealValkey


@pytest.fixture(scope="session")
def _server() -> Iterator[RealValkey]:
    with RealValkey() as server:
        yield server


@pytest.fixture
def valkey(_server: RealValkey) -> RealValkey:
    with _server.client() as client:
        client.flushall()
    return _server


@pytest.fixture
def own_valkey() -> Iterator[RealValkey]:
    with RealValkey() as server:
        yield server
