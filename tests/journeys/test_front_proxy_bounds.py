"""The lines of docs/proxies.md with which a proxy bounds how many requests are open: what is too much it refuses itself, and tells when to come again."""

import re
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.support.chart import REPOSITORY
from tests.support.front_proxies import MISSING, FrontProxy, HAProxy, Nginx
from tests.support.product import wait_for

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed here: {MISSING}"),
]

GUIDE = (REPOSITORY / "docs" / "proxies.md").read_text()
PLACES, REFUSED = 2, 24


class Gateway(ThreadingHTTPServer):
    """Ready at once; holds every other request until it may end."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Held)
        self.held: list[str] = []
        self.may_end = threading.Event()


class _Held(BaseHTTPRequestHandler):
    server: Gateway
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(b"ok")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.held.append(self.path)
        assert self.server.may_end.wait(120)
        self._answer(b"answered")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def lines(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


def bounded(text: str) -> str:
    """With places for so few that a test can take them all."""
    changed, number = re.subn(r"(maxconn|limit_conn open) \d+", rf"\1 {PLACES}", text)
    assert number == 1
    return changed


def haproxy(folder: Path, port: int) -> FrontProxy:
    (told,) = lines("haproxy")
    others = {f"    server gateway{number} 10.0.0.1{number}:20128\n": "" for number in (2, 3)}
    return HAProxy(folder, [port], {"\nbackend gateways\n": f"\nbackend gateways\n{bounded(told)}", **others})


def nginx(folder: Path, port: int) -> FrontProxy:
    zone, limit = lines("nginx")
    places = {
        "upstream omniroute {": f"{zone}upstream omniroute {{",
        "    location / {": f"{bounded(limit)}    location / {{",
    }
    return Nginx(folder, [port], places)


@pytest.fixture(params=[nginx, haproxy], ids=["nginx", "haproxy"])
def proxied(request: pytest.FixtureRequest) -> Iterator[tuple[FrontProxy, Gateway]]:
    with (
        tempfile.TemporaryDirectory(prefix="or-", dir="/tmp") as name,
        Gateway() as gateway,
    ):  # paths of sockets are limited
        threading.Thread(target=gateway.serve_forever, daemon=True).start()
        with request.param(Path(name) / "proxy", gateway.server_port) as proxy:
            yield proxy, gateway
        gateway.may_end.set()
        gateway.shutdown()


def test_what_is_too_much_is_refused_by_the_proxy_and_told_when_to_come_again(
    proxied: tuple[FrontProxy, Gateway],
) -> None:
    proxy, gateway = proxied
    assert "warn" not in (proxy.check().stdout + proxy.check().stderr).lower()
    with (
        httpx.Client(base_url=proxy.url, verify=proxy.trust, timeout=120) as caller,
        ThreadPoolExecutor(PLACES) as pool,
    ):

        def ask() -> httpx.Response:
            return caller.post("/v1/chat/completions", json={})

        taken: list[Future[httpx.Response]] = [pool.submit(ask) for _ in range(PLACES)]
        wait_for(lambda: len(gateway.held) == PLACES, 20)
        with ThreadPoolExecutor(REFUSED) as others:
            refused = [one.result(120) for one in [others.submit(ask) for _ in range(REFUSED)]]
        assert {one.status_code for one in refused} == {503}
        assert {one.json()["error"]["code"] for one in refused} == {"overloaded"}
        told = {int(one.headers["retry-after"]) for one in refused}
        assert len(told) > 1, "all would come again at once"
        assert told <= {1, 2, 3, 4}
        assert len(gateway.held) == PLACES, "the gateway was asked"
        gateway.may_end.set()
        assert [one.result(120).status_code for one in taken] == [200] * PLACES
        wait_for(lambda: ask().status_code == 200, 20)
