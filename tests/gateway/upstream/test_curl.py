"""The curl transport against a real server: reuse, cancel, back-pressure, faults by name, and no leak."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.domain.target import Connection
from gateway.upstream.addresses import Resolver
from gateway.upstream.curl import CurlTransport
from gateway.upstream.seam import HIGH_WATER_BYTES, Cancelled, UpstreamCall, UpstreamFault, UpstreamRequest
from tests.support.catalogs import connection
from tests.support.fake_provider import FakeProvider
from tests.support.fault_proxy import FaultProxy


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


@pytest.fixture
async def curl() -> AsyncIterator[CurlTransport]:
    transport = CurlTransport(Resolver())
    yield transport
    await transport.close()


def at(fake: FakeProvider, **more: object) -> Connection:
    return connection(url=f"{fake.base_url}/chat/completions", **more)  # type: ignore[arg-type]


def request(
    one: Connection,
    model: str = "ok",
    *,
    stream: bool = False,
    headers: tuple[bytes, ...] = (),
    url: str = "",
    **more: object,
) -> UpstreamRequest:
    body = json.dumps({"model": model, "stream": stream, "messages": [], **more}).encode()
    return UpstreamRequest(one, url or one.paths["chat"], (b"Content-Type: application/json", *headers), body, 2.0)


async def body_of(call: UpstreamCall) -> bytes:
    async with asyncio.timeout(5):
        await call.head()
        parts = []
        while part := await call.read():
            parts.append(part)
    return b"".join(parts)


async def fault_of(curl: CurlTransport, asked: UpstreamRequest) -> str:
    with pytest.raises(UpstreamFault) as fault:
        await body_of(await curl.start(asked))
    assert "127.0.0.1" not in str(fault.value)
    return fault.value.kind


def open_sockets() -> int:
    return sum(
        path.readlink().name.startswith("socket:") for path in Path("/proc/self/fd").iterdir() if path.is_symlink()
    )


async def test_an_answer_comes_with_status_headers_and_body(fake: FakeProvider, curl: CurlTransport) -> None:
    asked = request(at(fake), headers=(b"X-Mine: 1",))
    call = await curl.start(asked)
    body = await body_of(call)
    assert (call.status, call.headers["content-type"]) == (200, "application/json")
    assert json.loads(body)["choices"]
    assert call.bytes_in == len(body)
    seen = fake.requests[0]
    assert seen.body == asked.body
    assert seen.header("authorization") == "Bearer sk-upstream"
    assert seen.header("x-mine") == "1"
    assert seen.header("accept-encoding") == "identity"
    assert seen.header("content-length") == str(len(asked.body))
    assert {name.lower() for name, _ in seen.headers} == {
        "host", "authorization", "content-type", "x-mine", "accept-encoding", "content-length",
    }  # fmt: skip
    assert curl.open_calls == 0


async def test_connections_are_kept_and_used_again(fake: FakeProvider, curl: CurlTransport) -> None:
    for stream in (False, True, False):
        assert await body_of(await curl.start(request(at(fake), stream=stream)))
    assert fake.connections_total == 1
    assert (curl.open_calls, curl.idle_handles) == (0, 3 - 2)
    await asyncio.gather(*[body_of(await curl.start(request(at(fake), stream=True))) for _ in range(5)])
    assert fake.connections_total <= 6


async def test_a_reused_handle_sends_the_new_headers_and_body_only(fake: FakeProvider, curl: CurlTransport) -> None:
    one = at(fake)
    for index, header in enumerate((b"X-First: 1", b"X-Second: 2", b"X-Second: 2")):
        await body_of(await curl.start(request(one, headers=(header,), seed=index)))
    assert curl.idle_handles == 1
    assert [(seen.header("x-first"), seen.header("x-second")) for seen in fake.requests] == [
        ("1", None), (None, "2"), (None, "2"),
    ]  # fmt: skip
    assert [seen.json()["seed"] for seen in fake.requests] == [0, 1, 2]
    assert all(seen.header("authorization") == "Bearer sk-upstream" for seen in fake.requests)


async def test_another_accounts_secret_never_rides_along(fake: FakeProvider, curl: CurlTransport) -> None:
    for name in ("a", "b", "a"):
        await body_of(
            await curl.start(request(at(fake, name=name, headers=(b"Authorization: Bearer " + name.encode(),))))
        )
    assert [seen.header("authorization") for seen in fake.requests] == ["Bearer a", "Bearer b", "Bearer a"]


@pytest.mark.parametrize("model", ["slow-headers:30", "slow-first:30", "stall-after:2"])
async def test_cancel_closes_the_connection_within_100_ms(fake: FakeProvider, curl: CurlTransport, model: str) -> None:
    call = await curl.start(request(at(fake), model, stream=True))
    await fake.until(lambda: bool(fake.requests))
    if model.startswith("stall"):
        await call.head()
        await call.read()
    else:
        await asyncio.sleep(0.03)
    cancelled_at = time.monotonic()
    call.cancel()
    assert curl.open_calls == 0
    await fake.until(lambda: fake.requests[0].closed_at is not None)
    assert fake.requests[0].closed_at is not None
    assert fake.requests[0].closed_at - cancelled_at < 0.1
    assert fake.requests[0].closed_mid_answer
    with pytest.raises(Cancelled):
        await call.read()


async def test_cancel_before_the_connection_is_made_is_safe(fake: FakeProvider, curl: CurlTransport) -> None:
    call = await curl.start(request(at(fake)))
    call.cancel()
    assert json.loads(await body_of(await curl.start(request(at(fake)))))["choices"]


async def test_a_reader_that_stops_stops_the_provider(fake: FakeProvider, curl: CurlTransport) -> None:
    call = await curl.start(request(at(fake), "big:60000000", stream=True))
    await call.head()
    await fake.until(lambda: fake.requests[0].bytes_accepted > HIGH_WATER_BYTES)
    await asyncio.sleep(0.2)
    accepted = fake.requests[0].bytes_accepted
    await asyncio.sleep(0.2)
    assert fake.requests[0].bytes_accepted == accepted
    assert accepted < 20_000_000
    assert call.held <= HIGH_WATER_BYTES + 64 * 1024
    call.cancel()


async def test_a_paused_answer_goes_on_where_it_stopped(fake: FakeProvider, curl: CurlTransport) -> None:
    call = await curl.start(request(at(fake), "big:8000000"))
    await call.head()
    await asyncio.sleep(0.1)
    answer = json.loads(await body_of(call))
    assert answer["choices"][0]["message"]["content"] == "x" * 8_000_000


@pytest.mark.parametrize(
    ("model", "kind"), [("cut-after:2", "reset"), ("bad-chunk", "protocol"), ("clean-end-after:1", "")]
)
async def test_a_broken_answer_is_a_fault_by_name(
    fake: FakeProvider, curl: CurlTransport, model: str, kind: str
) -> None:
    asked = request(at(fake), model, stream=True)
    if kind:
        assert await fault_of(curl, asked) in (kind, "reset")
    else:
        assert b"[DONE]" not in await body_of(await curl.start(asked))
    assert curl.open_calls == 0


async def test_a_half_body_is_a_cut(fake: FakeProvider, curl: CurlTransport) -> None:
    assert await fault_of(curl, request(at(fake), "cut-after:0")) == "reset"


async def test_a_closed_port_is_refused(curl: CurlTransport) -> None:
    async with FakeProvider() as gone:
        one = at(gone)
    assert await fault_of(curl, request(one)) == "refused"


async def test_a_connection_that_ends_unanswered_is_a_reset(fake: FakeProvider, curl: CurlTransport) -> None:
    async with FaultProxy("127.0.0.1", fake.port) as proxy:
        one = connection(url=f"http://127.0.0.1:{proxy.port}/v1/chat/completions")
        proxy.is_refusing = True
        assert await fault_of(curl, request(one)) in ("reset", "refused")
        proxy.heal()
        proxy.cut_after_bytes = 20
        assert await fault_of(curl, request(one)) == "reset"
        proxy.heal()
        assert await body_of(await curl.start(request(one)))


async def test_a_kept_connection_that_died_meanwhile_is_replaced(fake: FakeProvider, curl: CurlTransport) -> None:
    async with FaultProxy("127.0.0.1", fake.port) as proxy:
        one = connection(url=f"http://127.0.0.1:{proxy.port}/v1/chat/completions")
        assert await body_of(await curl.start(request(one)))
        proxy.reset_all()
        await asyncio.sleep(0.05)
        assert await body_of(await curl.start(request(one)))


async def test_what_is_no_tls_is_a_tls_fault(curl: CurlTransport) -> None:
    async def garbage(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n" * 20)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(garbage, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert await fault_of(curl, request(connection(url=f"https://127.0.0.1:{port}/v1/chat/completions"))) == "tls"
    server.close()
    await server.wait_closed()


async def test_a_certificate_of_nobody_is_a_tls_fault(curl: CurlTransport, tmp_path: Path) -> None:
    async with FakeProvider(ssl_context=self_signed(tmp_path)) as secure:
        assert await fault_of(curl, request(at(secure))) == "tls"
        assert not secure.requests


def self_signed(folder: Path):
    import datetime as dt
    import ssl

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = folder / "self.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


async def test_an_unreachable_address_is_given_up_in_time(curl: CurlTransport) -> None:
    """A listener with a full backlog drops the handshake, as a silent host does."""
    import socket

    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for one in (first, second):
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        asked = request(connection(url=f"http://127.0.0.1:{full.getsockname()[1]}/v1"))
        started = time.monotonic()
        call = await curl.start(UpstreamRequest(asked.connection, asked.url, (), b"{}", 0.2))
        with pytest.raises(UpstreamFault) as fault:
            await call.head()
        assert fault.value.kind == "connect_timeout"
        assert time.monotonic() - started < 1.0


async def test_a_redirect_is_an_answer_and_is_not_followed(fake: FakeProvider, curl: CurlTransport) -> None:
    call = await curl.start(request(at(fake), f"status:302:location={fake.base_url.replace(':', '%3A')}/elsewhere"))
    await body_of(call)
    assert call.status == 302
    assert len(fake.requests) == 1


async def test_proxies_of_the_environment_are_not_used(
    fake: FakeProvider, curl: CurlTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert os.environ["http_proxy"]
    assert await body_of(await curl.start(request(at(fake))))


async def test_a_proxy_of_the_connection_is_used_and_its_password_not_told(
    fake: FakeProvider, curl: CurlTransport
) -> None:
    async with FakeProvider() as gone:
        port = gone.port
    call = await curl.start(request(at(fake, proxy=f"http://user:hunter2@127.0.0.1:{port}")))
    with pytest.raises(UpstreamFault) as fault:
        await call.head()
    assert "hunter2" not in str(fault.value)
    assert not fake.requests


async def test_a_name_is_connected_at_the_address_that_was_checked(fake: FakeProvider) -> None:
    resolver = Resolver()
    resolver.names["provider.test", fake.port] = (asyncio.get_running_loop().time() + 60, ("127.0.0.1",))
    curl = CurlTransport(resolver)
    url = f"http://provider.test:{fake.port}/v1/chat/completions"
    assert await body_of(await curl.start(request(connection(url=url))))
    assert fake.requests[0].header("host") == f"provider.test:{fake.port}"
    with pytest.raises(UpstreamFault):
        await curl.start(request(connection(url=url, allow_private=False)))
    await curl.close()


async def test_calls_beyond_the_bound_are_refused(fake: FakeProvider) -> None:
    curl = CurlTransport(Resolver(), max_open_calls=2)
    calls = [await curl.start(request(at(fake), "stall-after:1", stream=True)) for _ in range(2)]
    with pytest.raises(UpstreamFault) as fault:
        await curl.start(request(at(fake)))
    assert fault.value.kind == "no_capacity"
    calls[0].cancel()
    assert await body_of(await curl.start(request(at(fake))))
    await curl.close()


async def test_three_hundred_cancelled_streams_leave_nothing_open(fake: FakeProvider, curl: CurlTransport) -> None:
    before = open_sockets()
    for _ in range(6):
        calls = [await curl.start(request(at(fake), "stall-after:1", stream=True)) for _ in range(50)]
        await asyncio.gather(*[call.head() for call in calls[::2]])
        for call in calls:
            call.cancel()
    assert curl.open_calls == 0
    await fake.until(lambda: fake.connections_open == 0)
    assert open_sockets() - before <= 2
    assert curl.idle_handles <= 256
    assert await body_of(await curl.start(request(at(fake))))


async def test_close_ends_what_still_runs(fake: FakeProvider) -> None:
    curl = CurlTransport(Resolver())
    call = await curl.start(request(at(fake), "stall-after:1", stream=True))
    await call.head()
    await curl.close()
    await fake.until(lambda: fake.connections_open == 0)
    with pytest.raises(Cancelled):
        await call.read()
