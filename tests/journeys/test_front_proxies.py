"""Gateways behind a real nginx and a real HAProxy that run the files of `deploy/proxies`: streams come unbuffered, the caller's
address and the gateway's own words arrive, and gateways are replaced one by one under load without a caller noticing.
"""

import asyncio
import json
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from curl_cffi import CurlHttpVersion
from curl_cffi.requests import Session

from tests.support.fake_behaviours import PROMPT_TOKENS
from tests.support.fake_provider import FakeProvider
from tests.support.front_proxies import MISSING, FrontProxy, HAProxy, Nginx, kept_ports
from tests.support.product import REAL, Product, products, wait_for
from tests.support.real_gateway import ADMIN_TOKEN, KEY, MESSAGES, config_text, running_fake
from tests.support.real_postgres import RealPostgres
from tests.support.real_valkey import RealValkey

pytestmark = [
    pytest.mark.process,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed here: {MISSING}"),
]

BOUND_KEY, CALLER_ADDRESS = "sk-or-journey-key-of-one-address", "127.0.0.9"
DELAY_S = 4
"""A chart's 10 s, scaled down: HAProxy's checks take 1.3 s."""
LONG = {"chunks": 30, "gap": 0.2}
"""Longer than the delay: it goes on when its gateway has stopped listening."""


@dataclass
class Fleet:
    """Gateways by port, on one Valkey, with one admin, behind both proxies."""

    fake: FakeProvider
    database_url: str
    nginx: Nginx
    haproxy: HAProxy
    start: Callable[[int], Product]
    gateways: dict[int, Product] = field(default_factory=dict)


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with (
        tempfile.TemporaryDirectory(prefix="or-", dir="/tmp") as name,  # paths of sockets are limited
        RealPostgres() as postgres,
        RealValkey(password="of-the-fleet") as valkey,
        running_fake() as fake,
        products() as make,
    ):
        folder, ports = Path(name), kept_ports(3)
        config = json.loads(config_text(fake.port, fake.port, {}, 5.0))
        config["keys"].append({"name": "bound", "secret": BOUND_KEY, "allowed_ips": [CALLER_ADDRESS]})
        (folder / "omniroute.yaml").write_text(json.dumps(config))
        shared = {"REDIS_URL": valkey.url, "API_KEY_SECRET": "pepper", "STORAGE_ENCRYPTION_KEY": "5a" * 32,
                  "OMNIROUTE_TRUSTED_PROXIES": "127.0.0.1/32", "OMNIROUTE_WORKERS": "1", "OMNIROUTE_REDIS_BUDGET_MS": "2000",
                  "SHUTDOWN_DELAY_S": str(DELAY_S), "SHUTDOWN_TIMEOUT_S": "60"}  # fmt: skip
        database_url = postgres.make_database()
        of_admin = {"OMNIROUTE_ADMIN_TOKEN": ADMIN_TOKEN, "INITIAL_PASSWORD": "correct horse battery",
                    "DATABASE_URL": database_url, "OMNIROUTE_CONFIG": str(folder / "omniroute.yaml")}  # fmt: skip
        admin = make(folder / "admin", REAL, role="admin", **shared, **of_admin)

        def start(port: int) -> Product:
            return make(folder / str(port), REAL, role="gateway", **shared, PORT=str(port))

        with Nginx(folder / "nginx", ports) as nginx, HAProxy(folder / "haproxy", ports) as haproxy:
            found = Fleet(fake, database_url, nginx, haproxy, start)
            found.gateways = {port: start(port) for port in ports[:2]}
            for product in (admin, *found.gateways.values()):
                product.wait_ready()
            nginx.use(found.gateways)
            wait_for(lambda: haproxy.up() == set(found.gateways), 20)
            for product in found.gateways.values():
                wait_for(lambda product=product: serves(product), 20, lambda product=product: product.errors[-2000:])
            yield found


def serves(product: Product) -> bool:
    with suppress(httpx.HTTPError):
        headers = {"authorization": f"Bearer {KEY}"}
        body = {"model": "local/ok", "messages": MESSAGES}
        return httpx.post(f"{product.url}/v1/chat/completions", json=body, headers=headers, timeout=60).is_success
    return False


@pytest.fixture(params=["nginx", "haproxy"])
def proxy(request: pytest.FixtureRequest, fleet: Fleet) -> FrontProxy:
    found: FrontProxy = getattr(fleet, request.param)
    return found


def client(proxy: FrontProxy, *, key: str = KEY, **options: Any) -> httpx.Client:
    headers = {"authorization": f"Bearer {key}"}
    return httpx.Client(base_url=proxy.url, verify=proxy.trust, headers=headers, timeout=120, **options)


def test_the_proxy_finds_nothing_wrong_in_its_file(proxy: FrontProxy) -> None:
    done = proxy.check()
    assert done.returncode == 0, done.stderr
    assert "warn" not in (done.stdout + done.stderr).lower()


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
def test_what_a_provider_has_said_arrives_while_it_says_no_more(proxy: FrontProxy, http2: bool) -> None:
    body = {"model": "local/stall-after:3", "messages": MESSAGES, "stream": True}
    with (
        client(proxy, http2=http2, http1=not http2) as caller,
        caller.stream("POST", "/v1/chat/completions", json=body) as answer,
    ):
        assert answer.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
        heard = b""
        for piece in answer.iter_bytes():  # the provider holds back the rest until the caller has gone
            heard += piece
            if b"word2" in heard:
                break
        assert b"word2" in heard
        assert b"[DONE]" not in heard


async def heard_until(answer: httpx.Response, word: bytes) -> bytes:
    heard = b""
    async for piece in answer.aiter_bytes():
        heard += piece
        if word in heard:
            break
    return heard


def http2_client(proxy: FrontProxy) -> httpx.AsyncClient:
    """Over one connection, and no other way."""
    one = httpx.Limits(max_connections=1)
    headers = {"authorization": f"Bearer {KEY}"}
    return httpx.AsyncClient(
        base_url=proxy.url, verify=proxy.trust, headers=headers, timeout=120, http1=False, http2=True, limits=one
    )


async def test_streams_of_one_connection_come_side_by_side(proxy: FrontProxy) -> None:
    """None of them says more or ends before its caller has gone, so all that is heard is heard while all are open."""
    body = {"model": "local/stall-after:3", "messages": MESSAGES, "stream": True}
    async with http2_client(proxy) as caller, AsyncExitStack() as stack:
        answers = [
            await stack.enter_async_context(caller.stream("POST", "/v1/chat/completions", json=body)) for _ in range(20)
        ]
        heard = await asyncio.gather(*(heard_until(one, b"word2") for one in answers))
    assert all(b"word2" in one and b"[DONE]" not in one for one in heard)


def test_a_reload_of_nginx_ends_no_stream_of_http2_and_its_connection_takes_no_further_one(fleet: Fleet) -> None:
    """nginx says GOAWAY; curl, which obeys it, goes on over a new connection. (httpx gives its running streams up.)"""
    said = json.dumps({"chunks": 20, "gap": 0.1})
    body = {"model": "local/ok", "messages": MESSAGES, "stream": True, "user": said}
    ask = {"url": f"{fleet.nginx.url}/v1/chat/completions", "json": body, "headers": {"authorization": f"Bearer {KEY}"}}
    with Session(verify=str(fleet.nginx.folder / "authority.pem"), timeout=120) as caller:
        with caller.stream("POST", **ask) as answer:
            pieces = answer.iter_content()
            heard = next(pieces)
            assert answer.http_version == CurlHttpVersion.V2_0
            before = fleet.nginx.processes()
            fleet.nginx.use(fleet.gateways)
            heard += b"".join(pieces)
        assert heard.endswith(b"data: [DONE]\n\n")
        wait_for(lambda: not before & fleet.nginx.processes(), 20)  # it leaves when its connections are closed
        assert b"[DONE]" in caller.post(**ask).content


def test_a_body_of_32_mib_reaches_the_provider_and_a_longer_one_is_refused_by_the_gateway(
    proxy: FrontProxy, fleet: Fleet
) -> None:
    head, tail = b'{"model":"local/ok","messages":[{"role":"user","content":"', b'"}]}'
    longest = head + b"x" * ((32 << 20) - len(head) - len(tail)) + tail
    as_json = {"content-type": "application/json"}
    with client(proxy) as caller:
        caller.post(
            "/v1/chat/completions", content=longest, headers=as_json
        )  # the fake provider reads 4 MiB of it only
        assert fleet.fake.requests[-1].body_size > len(longest) - 100
        refused = caller.post("/v1/chat/completions", content=longest + b" ", headers=as_json)
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "request_too_large")


def test_the_gateway_knows_the_callers_address_and_believes_no_other(proxy: FrontProxy) -> None:
    """The key may be used from one address only."""
    body = {"model": "local/ok", "messages": MESSAGES}
    with client(
        proxy, key=BOUND_KEY, transport=httpx.HTTPTransport(verify=proxy.trust, local_address=CALLER_ADDRESS)
    ) as it:
        assert it.post("/v1/chat/completions", json=body).status_code == 200
    with client(proxy, key=BOUND_KEY) as it:
        refused = it.post("/v1/chat/completions", json=body, headers={"x-forwarded-for": CALLER_ADDRESS})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "address_not_allowed")


@dataclass(slots=True)
class Callers:
    """Callers of both proxies, one request after another, until they are stopped. Those of HAProxy keep their connections; those of
    nginx bring a new one each time, as a reload of nginx closes kept ones."""

    fleet: Fleet
    finished: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    must_stop: bool = False
    sent: int = 0

    async def ask_again_and_again(self, proxy: FrontProxy, number: int, *, stream: bool) -> None:
        async with self.client(proxy) as client:
            while not self.must_stop:
                await self.ask(client, chunks=number % 5 + 1, gap=0.05, stream=stream)
                await asyncio.sleep(0.2)

    async def ask_for_long(self, proxy: FrontProxy) -> None:
        async with self.client(proxy) as client:
            await self.ask(client, **LONG)

    def client(self, proxy: FrontProxy) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {KEY}"} | ({"connection": "close"} if proxy is self.fleet.nginx else {})
        return httpx.AsyncClient(base_url=proxy.url, verify=proxy.trust, headers=headers, timeout=120)

    async def ask(self, client: httpx.AsyncClient, chunks: int, gap: float, *, stream: bool = True) -> None:
        self.sent += 1
        name = f"roll-{self.sent:05d}"
        said = {"id": name, "chunks": chunks, "gap": gap if stream else 0}
        body = {"model": "local/ok", "messages": MESSAGES, "stream": stream, "user": json.dumps(said)}
        try:
            answer = await client.post("/v1/chat/completions", json=body, headers={"x-request-id": name})
            answer.raise_for_status()
        except httpx.HTTPError as error:
            self.failed.append(f"{client.base_url} {name}: {error!r}")
            return
        if stream and "[DONE]" not in answer.text:
            self.failed.append(f"{client.base_url} {name}: cut: {answer.text[-300:]}")
        else:
            self.finished[name] = chunks


@asynccontextmanager
async def calling(fleet: Fleet) -> AsyncIterator[Callers]:
    callers = Callers(fleet)
    asking = [
        asyncio.create_task(callers.ask_again_and_again(proxy, number, stream=number != 0))
        for proxy in (fleet.nginx, fleet.haproxy)
        for number in range(4)
    ]
    try:
        yield callers
    finally:
        callers.must_stop = True
        await asyncio.gather(*asking)


async def until(wish: Callable[[], object], limit_s: float, explain: Callable[[], str] = lambda: "") -> None:
    await asyncio.to_thread(wait_for, wish, limit_s, explain)


async def test_gateways_are_replaced_one_by_one_under_load_and_no_request_fails_and_no_stream_is_cut(
    fleet: Fleet,
) -> None:
    """The order of a Kubernetes rollout: a new one is ready first, then the old one is not, then it does not listen, then it ends."""
    old = list(fleet.gateways)
    (spare,) = set(fleet.nginx.gateways) - set(old)
    async with calling(fleet) as callers:
        for leaving, coming in ((old[0], spare), (old[1], old[0])):
            fleet.gateways[coming] = await asyncio.to_thread(fleet.start, coming)
            await asyncio.to_thread(fleet.gateways[coming].wait_ready)
            await until(lambda coming=coming: serves(fleet.gateways[coming]), 20)
            await until(lambda coming=coming: coming in fleet.haproxy.up(), 20)
            long = [
                asyncio.create_task(callers.ask_for_long(one)) for one in (fleet.nginx, fleet.haproxy) for _ in range(3)
            ]
            product = fleet.gateways[leaving]
            await until(lambda product=product: product.metrics()["omniroute_open_streams"] > 1, 10)
            await asyncio.to_thread(fleet.nginx.use, set(fleet.gateways) - {leaving})
            product.process.send_signal(signal.SIGTERM)
            await until(lambda leaving=leaving: leaving not in fleet.haproxy.up(), 10)
            assert await asyncio.to_thread(product.wait, 60) == 0
            del fleet.gateways[leaving]
            await asyncio.gather(*long)
    print(f"{len(callers.finished)} finished, {len(callers.failed)} failed, asked {fleet.haproxy.asked()}")
    assert callers.failed == []
    assert len(callers.finished) > 100
    assert all(fleet.haproxy.asked().values())
    await each_has_one_exact_row(fleet, callers.finished)


async def each_has_one_exact_row(fleet: Fleet, finished: dict[str, int]) -> None:
    connection = await asyncpg.connect(fleet.database_url)
    try:
        rows: list[tuple[Any, ...]] = []
        for _ in range(600):
            rows = await connection.fetch(
                "SELECT request_id, input_tokens, output_tokens, state FROM request_records WHERE request_id LIKE 'roll-%'"
            )
            if len(rows) >= len(finished):
                break
            await asyncio.sleep(0.2)
    finally:
        await connection.close()
    assert sorted(tuple(row) for row in rows) == sorted(
        (name, PROMPT_TOKENS, chunks, "final") for name, chunks in finished.items()
    )
