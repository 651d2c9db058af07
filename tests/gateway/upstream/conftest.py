"""Transports run on uvloop in the product, so they do here; certificates made for one test run."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from tests.support.certificates import Authority


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    is_transport = item.path.name in ("test_transports.py", "test_direct.py", "test_curl.py", "test_fetch.py")
    return {"uvloop": uvloop.new_event_loop} if is_transport else {"asyncio": asyncio.new_event_loop}


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def stranger(tmp_path: Path) -> ssl.SSLContext:
    """The server context of an authority that nobody knows."""
    return Authority(tmp_path).server()
