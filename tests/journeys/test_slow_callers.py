"""Hundreds of callers who send their heads and bodies byte by byte or hardly read (slowhttptest), and others meanwhile."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.product import wait_for
from tests.support.real_gateway import KEY, RealGateway, running_gateway

SLOWHTTPTEST = shutil.which("slowhttptest")
pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(
        SLOWHTTPTEST is None, reason="slowhttptest is not installed (Debian: apt-get install slowhttptest)"
    ),
]

AT_ONCE, LASTS_S = 200, 120
WAYS = {
    "head": ("-H", "-t", "GET"),
    "body": ("-B", "-t", "POST", "-s", "100000"),
    "read": ("-X", "-t", "GET", "-k", "5", "-n", "1", "-w", "10", "-y", "20", "-z", "5"),
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with running_gateway(tmp_path_factory.mktemp("slow")) as running:
        yield running


def slow(gateway: RealGateway, way: str, folder: str) -> subprocess.Popen[bytes]:
    said = ("-c", str(AT_ONCE), "-r", str(AT_ONCE), "-i", "1", "-l", str(LASTS_S), "-v", "0", "-f", "application/json")
    url = ("-u", f"{gateway.url}/v1/chat/completions" if way == "body" else f"{gateway.url}/v1/models")
    assert SLOWHTTPTEST is not None
    return subprocess.Popen([SLOWHTTPTEST, *WAYS[way], *said, *url], stdout=subprocess.DEVNULL, cwd=folder)


def descriptors(gateway: RealGateway) -> int:
    return sum(sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()) for pid in gateway.product.workers())


def test_slow_callers_of_every_kind_keep_nobody_else_from_an_answer_and_leave_nothing(gateway: RealGateway) -> None:
    before = descriptors(gateway)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        attacks = [slow(gateway, way, folder) for way in WAYS]
        for attack in attacks:
            stack.callback(attack.wait, 60)
            stack.callback(attack.kill)
        wait_for(lambda: descriptors(gateway) > before + AT_ONCE, 20, lambda: str(descriptors(gateway)))
        statuses = [gateway.chat(stream=number % 2 == 0).status_code for number in range(20)]
        assert statuses == [200] * 20
        assert gateway.product.answers("/readyz")
    wait_for(lambda: descriptors(gateway) < before + 20, 30, lambda: f"{before} before, {descriptors(gateway)} now")
    assert gateway.chat(key=KEY).status_code == 200
