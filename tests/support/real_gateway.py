"""The real product in front of the fake provider, for journeys: one start for all tests of a module.

`with running_gateway(folder) as gateway` writes the config file, starts the fake provider (in a thread with a loop of
its own) and the product with two workers, and gives a `RealGateway` with clients, the provider's records and the rows
of the ledger. It decides nothing about what a test expects, and imports nothing of the product but how it is started.
"""

import asyncio
import itertools
import json
import os
import signal
import socket
import sqlite3
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

import httpx

from tests.support.fake_http import RequestRecord
from tests.support.fake_provider import FakeProvider
from tests.support.fault_proxy import FaultProxy
from tests.support.product import REAL, Product, free_port, products, wait_for

KEY = "sk-or-journey-key-0001"
NARROW_KEY = "sk-or-journey-key-0002"
EXPIRED_KEY = "sk-or-journey-key-0003"
ADMIN_TOKEN = "admin-token-of-the-journeys"
NODE_KEY, FIRST_KEY, SECOND_KEY = "sk-node-local", "sk-node-first", "sk-node-second"
MESSAGES = [{"role": "user", "content": "Hello"}]

QUICK = {"connect_s": 0.5, "headers_s": 0.4, "first_event_s": 0.4, "first_event_reasoning_s": 0.8, "gap_s": 0.5}
"""Limits of upstream calls, short enough to wait for."""


class RealGateway:
    """The started product, the fake provider behind it, and what a test asks of both."""

    def __init__(
        self, product: Product, fake: FakeProvider, blackhole: FaultProxy, config: Path, loop: "_Loop"
    ) -> None:
        self._loop = loop
        self.product = product
        self.fake = fake
        self.blackhole = blackhole
        self.config = config
        self.url = product.url
        self.client = httpx.Client(base_url=product.url, headers={"authorization": f"Bearer {KEY}"}, timeout=60)
        self.admin = httpx.Client(base_url=product.url, headers={"authorization": f"Bearer {ADMIN_TOKEN}"}, timeout=60)
        self._numbers = itertools.count(1)

    def in_loop(self, act: Callable[[], None]) -> None:
        """Do something to the fakes that touches their connections: in the thread where these live."""

        async def run() -> None:
            act()

        self._loop.run(run())

    def new_id(self) -> str:
        """An id for `X-Request-Id`, by which a test finds the row of its request."""
        return f"test-{next(self._numbers):05d}"

    def chat(
        self, model: str = "local/ok", *, key: str = KEY, headers: dict[str, str] | None = None, **fields: Any
    ) -> httpx.Response:
        """One chat call, read to its end."""
        body = {"model": model, "messages": MESSAGES, **fields}
        return self.client.post(
            "/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}", **(headers or {})}
        )

    def post(self, body: bytes, path: str = "/v1/chat/completions", **headers: str) -> httpx.Response:
        """Exact bytes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(path, content=body, headers={"content-type": "application/json", **named})

    def seen(self, since: int = 0) -> list[RequestRecord]:
        """What the provider was asked from request number `since` on."""
        return [record for record in self.fake.requests if record.number > since]

    @property
    def mark(self) -> int:
        """For `seen`: the number of the provider's latest request."""
        records = self.fake.requests
        return records[-1].number if records else 0

    def rows(self, *request_ids: str) -> list[dict[str, Any]]:
        """The rows of the ledger with these caller's request ids (all rows when none is given), oldest first."""
        with self._database() as db:
            db.row_factory = sqlite3.Row
            found = [dict(row) for row in db.execute("SELECT * FROM request_records ORDER BY id")]
        wanted = set(request_ids)
        return [
            row | {"attempts": json.loads(row["attempts"])}
            for row in found
            if not wanted or row["request_id"] in wanted
        ]

    def row(self, request_id: str, within_s: float = 4.0) -> dict[str, Any]:
        """The one row of a request, waited for."""
        wait_for(
            lambda: self.rows(request_id), within_s, lambda: f"no row of {request_id}: {self.product.errors[-2000:]}"
        )
        rows = self.rows(request_id)
        assert len(rows) == 1, rows
        return rows[0]

    def health(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.admin.get("/api/monitoring/health").json()
        return answer

    def _database(self) -> closing[sqlite3.Connection]:
        path = self.product.data_dir / "omniroute.db"
        return closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60))

    def reload(self, text: str) -> None:
        """Write the config file anew and send SIGHUP."""
        self.config.write_text(text)
        self.product.process.send_signal(signal.SIGHUP)

    def wait_taken_up(self, *others: Product) -> None:
        """Until every worker, of gateways beside it too, obeys the configuration as the database has it now."""
        with self._database() as db:
            ((wanted,),) = db.execute("SELECT value FROM revision").fetchall()
        for product in (self.product, *others):
            wait_for(lambda one=product: one.metrics().get("omniroute_snapshot_revision", 0) >= wanted, 10)

    def raw(self) -> socket.socket:
        """A plain connection to the gateway."""
        return socket.create_connection(("127.0.0.1", self.product.port), timeout=60)

    def raw_chat(self, model: str, request_id: str = "", **fields: Any) -> socket.socket:
        """A connection on which one chat request has been sent and nothing has been read."""
        body = json.dumps({"model": model, "messages": MESSAGES, **fields}).encode()
        head = [
            "POST /v1/chat/completions HTTP/1.1", "Host: localhost", f"Authorization: Bearer {KEY}",
            f"X-Request-Id: {request_id or self.new_id()}", "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        ]  # fmt: skip
        sock = self.raw()
        sock.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        return sock


@contextmanager
def running_fake() -> Iterator[FakeProvider]:
    """The fake provider alone, in a thread with a loop of its own, for clients that block."""
    with _Loop() as loop:
        fake = loop.run(FakeProvider().__aenter__())
        try:
            yield fake
        finally:
            loop.run(fake.stop())


@contextmanager
def running_proxy(host: str, port: int) -> Iterator[FaultProxy]:
    """A proxy in a thread with a loop of its own. Its switches may be set from anywhere."""
    with _Loop() as loop:
        proxy = loop.run(FaultProxy(host, port).__aenter__())
        try:
            yield proxy
        finally:
            loop.run(proxy.__aexit__())


@contextmanager
def running_gateway(
    folder: Path,
    *,
    timeouts: dict[str, float] | None = None,
    early_headers_s: float = 5.0,
    fingerprint: str = "",
    nodes: Mapping[str, str] | None = None,
    **variables: str,
) -> Iterator[RealGateway]:
    """Start everything; end everything. With a fingerprint all calls go through curl. `nodes`: further ones, name to dialect."""
    with _Loop() as loop, products() as make:
        fake = loop.run(FakeProvider().__aenter__())
        blackhole = loop.run(FaultProxy("127.0.0.1", fake.port).__aenter__())
        blackhole.is_blackhole = True
        config = folder / "omniroute.yaml"
        config.write_text(
            config_text(fake.port, blackhole.port, timeouts or {}, early_headers_s, fingerprint, nodes or {})
        )
        product = make(
            folder / "data", REAL, OMNIROUTE_CONFIG=str(config), OMNIROUTE_ADMIN_TOKEN=ADMIN_TOKEN,
            OMNIROUTE_INITIAL_KEY="sk-or-journey-key-0000", INITIAL_PASSWORD="correct horse battery", **variables,
        ).wait_ready()  # fmt: skip
        gateway = RealGateway(product, fake, blackhole, config, loop)
        wait_for(lambda: gateway.chat().status_code == 200, 10, lambda: product.errors)
        try:
            yield gateway
        finally:
            gateway.client.close()
            gateway.admin.close()
            product.end_all()
            loop.run(blackhole.__aexit__())
            loop.run(fake.stop())


_SPANS = (
    "cooldown", "cooldown_max", "retry_after_max", "unknown_model", "auth", "auth_max", "quota", "quota_max", "open", "open_max",
    "ramp", "window",
)  # fmt: skip
NOTHING_RESTS = {f"{name}_s": 0.001 for name in _SPANS} | {
    "failures": 100, "connect_failures": 100, "provider_connections": 100,
}  # fmt: skip
"""So that a failure that one test asks for is not felt by the next."""


def config_text(
    port: int,
    blackhole_port: int,
    timeouts: dict[str, float],
    early_headers_s: float,
    fingerprint: str = "",
    more_nodes: Mapping[str, str] | None = None,
) -> str:
    """The config file of the journeys. JSON is YAML."""
    base = f"http://127.0.0.1:{port}/v1"
    nodes = {
        "local": base,  # one connection, any model
        "pair": base,  # two connections, the first is asked first
        "one": base,  # these two offer `shared-model`
        "two": base,
        "refusing": f"http://127.0.0.1:{free_port()}/v1",
        "mute": f"http://127.0.0.1:{blackhole_port}/v1",
        "unconnected": base,
    }
    connections: list[dict[str, Any]] = [
        {"provider": "local", "name": "local", "api_key": NODE_KEY},
        {"provider": "pair", "name": "first", "api_key": FIRST_KEY, "priority": 1},
        {"provider": "pair", "name": "second", "api_key": SECOND_KEY, "priority": 2},
        {"provider": "one", "name": "one", "api_key": "sk-node-one", "models": ["shared-model", "vendor/deep/model"]},
        {"provider": "two", "name": "two", "api_key": "sk-node-two", "models": ["shared-model", "only-here"]},
        {"provider": "refusing", "name": "refusing", "api_key": "sk-node-refusing"},
        {"provider": "mute", "name": "mute", "api_key": "sk-node-mute"},
    ]
    dialects = {**dict.fromkeys(nodes, "openai_chat"), **(more_nodes or {})}
    for name, dialect in (more_nodes or {}).items():
        nodes[name] = base + "beta" if dialect == "gemini" else base
        connections.append({"provider": name, "name": name, "api_key": f"sk-node-{name}"})
    return json.dumps(
        {
            "version": 1,
            "nodes": [
                {"id": name, "prefix": name, "dialect": dialects[name], "base_url": url, "allow_private": True}
                for name, url in nodes.items()
            ],
            "connections": [one | {"fingerprint": fingerprint} for one in connections],
            "combos": [
                {"name": "always-on", "models": ["local/status:500", "local/m2"]},
                {"name": "refusing-first", "models": ["refusing/m1", "local/m2"]},
                {"name": "mute-first", "models": ["mute/m1", "local/m2"]},
                {"name": "switched-off", "models": ["local/m1"], "is_active": False},
            ],
            "aliases": [
                {"pattern": "exact-name", "target": "local/m1"},
                {"pattern": "wild-*", "target": "local/m1"},
                {"pattern": "wild-long-*", "target": "local/m2"},
                {"pattern": "mark-?", "target": "local/m2"},
            ],
            "keys": [
                {"name": "all", "secret": KEY},
                {"name": "narrow", "secret": NARROW_KEY, "allowed_models": ["local/m*"]},
                {"name": "expired", "secret": EXPIRED_KEY, "expires": "2020-01-01"},
            ],
            "settings": {"timeouts": timeouts, "early_headers_s": early_headers_s, "resilience": NOTHING_RESTS},
        },
        indent=1,
    )


def read_answer(sock: socket.socket, until: Callable[[bytearray], bool] | None = None, limit_s: float = 10.0) -> bytes:
    """What comes on a plain connection until it is enough (else until the peer closes it)."""
    sock.settimeout(limit_s)
    data = bytearray()
    while not (until and until(data)):
        part = sock.recv(65536)
        if not part:
            break
        data += part
    return bytes(data)


def events_of(body: bytes) -> list[bytes]:
    """The `data` of each event of a stream."""
    return [line.removeprefix(b"data:").strip() for line in body.splitlines() if line.startswith(b"data:")]


def content_of(body: bytes) -> str:
    """The text that a stream of chat chunks holds."""
    chunks = [json.loads(event) for event in events_of(body) if event != b"[DONE]"]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk.get("choices", ()))


def final_error(body: bytes) -> dict[str, Any]:
    """The error object in the last event of a stream that did not end well."""
    assert b"[DONE]" not in body, body[-500:]
    error: dict[str, Any] = json.loads(events_of(body)[-1])["error"]
    return error


def memory_kb(pids: Iterable[int]) -> int:
    """Resident memory of processes, without what they share."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/statm").read_text().split()
        total += (int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE") // 1024
    return total


class _Loop:
    """An event loop in a thread, for the fakes."""

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def run(self, wish: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(wish, self._loop).result(10)
