"""What every transport promises, against a real server: reuse, cancel, back-pressure, faults by name, and no leak."""

import asyncio
import gzip
import json
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable

import pytest

from gateway.upstream.addresses import Resolver
from gateway.upstream.curl import CurlTransport
from gateway.upstream.direct import DirectTransport
from gateway.upstream.seam import HIGH_WATER_BYTES, Cancelled, Transport, UpstreamFault, UpstreamRequest
from tests.support.catalogs import connection
from tests.support.fake_provider import FakeProvider
from tests.support.fault_proxy import FaultProxy
from tests.support.upstream_calls import answering, at, body_of, fault_of, open_sockets, request, serving

Make = Callable[..., Transport]
ONE_READ_BYTES = 256 * 1024


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


@pytest.fixture(params=[CurlTransport, DirectTransport], ids=["curl", "direct"])
def construct(request: pytest.FixtureRequest) -> Make:
    made: Make = request.param
    return made


@pytest.fixture
async def make(construct: Make) -> AsyncIterator[Make]:
    """Makes transports of one kind; each is closed at the end."""
    made: list[Transport] = []

    def make(resolver: Resolver | None = None, **more: int) -> Transport:
        made.append(construct(resolver or Resolver(), **more))
        return made[-1]

    yield make
    for transport in made:
        await transport.close()


@pytest.fixture
async def transport(make: Make) -> Transport:
    return make()


async def test_an_answer_comes_with_status_headers_and_body(fake: FakeProvider, transport: Transport) -> None:
    asked = request(at(fake), headers=(b"X-Mine: 1",))
    call = await transport.start(asked)
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
    assert transport.open_calls == 0


async def test_connections_are_kept_and_used_again(fake: FakeProvider, transport: Transport) -> None:
    for stream in (False, True, False):
        assert await body_of(await transport.start(request(at(fake), stream=stream)))
    assert fake.connections_total == 1
    assert transport.open_calls == 0
    await asyncio.gather(*[body_of(await transport.start(request(at(fake), stream=True))) for _ in range(5)])
    assert fake.connections_total <= 6


async def test_a_kept_connection_sends_the_new_headers_and_body_only(fake: FakeProvider, transport: Transport) -> None:
    one = at(fake)
    for index, header in enumerate((b"X-First: 1", b"X-Second: 2", b"X-Second: 2")):
        await body_of(await transport.start(request(one, headers=(header,), seed=index)))
    assert [(seen.header("x-first"), seen.header("x-second")) for seen in fake.requests] == [
        ("1", None), (None, "2"), (None, "2"),
    ]  # fmt: skip
    assert [seen.json()["seed"] for seen in fake.requests] == [0, 1, 2]
    assert all(seen.header("authorization") == "Bearer sk-upstream" for seen in fake.requests)


async def test_another_accounts_secret_never_rides_along(fake: FakeProvider, transport: Transport) -> None:
    for name in ("a", "b", "a"):
        await body_of(
            await transport.start(request(at(fake, name=name, headers=(b"Authorization: Bearer " + name.encode(),))))
        )
    assert [seen.header("authorization") for seen in fake.requests] == ["Bearer a", "Bearer b", "Bearer a"]


@pytest.mark.parametrize("model", ["slow-headers:30", "slow-first:30", "stall-after:2"])
async def test_cancel_closes_the_connection_at_once(fake: FakeProvider, transport: Transport, model: str) -> None:
    call = await transport.start(request(at(fake), model, stream=True))
    await fake.until(lambda: bool(fake.requests))
    if model.startswith("stall"):
        await call.head()
        await call.read()
    else:
        await asyncio.sleep(0.03)
    call.cancel()
    assert transport.open_calls == 0
    await fake.until(lambda: fake.requests[0].closed_at is not None)
    assert fake.requests[0].closed_at is not None
    assert fake.requests[0].closed_mid_answer
    with pytest.raises(Cancelled):
        await call.read()


async def test_cancel_before_the_connection_is_made_is_safe(fake: FakeProvider, transport: Transport) -> None:
    call = await transport.start(request(at(fake)))
    call.cancel()
    assert json.loads(await body_of(await transport.start(request(at(fake)))))["choices"]


async def test_a_reader_that_stops_stops_the_provider(fake: FakeProvider, transport: Transport) -> None:
    call = await transport.start(request(at(fake), "big:60000000", stream=True))
    await call.head()
    await fake.until(lambda: fake.requests[0].bytes_accepted > HIGH_WATER_BYTES)
    await asyncio.sleep(0.2)
    accepted = fake.requests[0].bytes_accepted
    await asyncio.sleep(0.2)
    assert fake.requests[0].bytes_accepted == accepted
    assert accepted < 20_000_000
    assert call.held <= HIGH_WATER_BYTES + ONE_READ_BYTES
    call.cancel()


async def test_a_paused_answer_goes_on_where_it_stopped(fake: FakeProvider, transport: Transport) -> None:
    call = await transport.start(request(at(fake), "big:8000000"))
    await call.head()
    await asyncio.sleep(0.1)
    answer = json.loads(await body_of(call))
    assert answer["choices"][0]["message"]["content"] == "x" * 8_000_000


@pytest.mark.parametrize(
    ("model", "kind"), [("cut-after:2", "reset"), ("bad-chunk", "protocol"), ("clean-end-after:1", "")]
)
async def test_a_broken_answer_is_a_fault_by_name(
    fake: FakeProvider, transport: Transport, model: str, kind: str
) -> None:
    asked = request(at(fake), model, stream=True)
    if kind:
        assert await fault_of(transport, asked) in (kind, "reset")
    else:
        assert b"[DONE]" not in await body_of(await transport.start(asked))
    assert transport.open_calls == 0


async def test_a_half_body_is_a_cut(fake: FakeProvider, transport: Transport) -> None:
    assert await fault_of(transport, request(at(fake), "cut-after:0")) == "reset"


async def test_a_closed_port_is_refused(transport: Transport) -> None:
    async with FakeProvider() as gone:
        one = at(gone)
    assert await fault_of(transport, request(one)) == "refused"


async def test_a_connection_that_ends_unanswered_is_a_reset(fake: FakeProvider, transport: Transport) -> None:
    async with FaultProxy("127.0.0.1", fake.port) as proxy:
        one = connection(url=f"http://127.0.0.1:{proxy.port}/v1/chat/completions")
        proxy.is_refusing = True
        assert await fault_of(transport, request(one)) in ("reset", "refused")
        proxy.heal()
        proxy.cut_after_bytes = 20
        assert await fault_of(transport, request(one)) == "reset"
        proxy.heal()
        assert await body_of(await transport.start(request(one)))


async def test_a_kept_connection_that_died_meanwhile_is_replaced(fake: FakeProvider, transport: Transport) -> None:
    async with FaultProxy("127.0.0.1", fake.port) as proxy:
        one = connection(url=f"http://127.0.0.1:{proxy.port}/v1/chat/completions")
        assert await body_of(await transport.start(request(one)))
        proxy.reset_all()
        await asyncio.sleep(0.05)
        assert await body_of(await transport.start(request(one)))


async def test_an_unreachable_address_is_given_up_in_time(transport: Transport) -> None:
    """A listener with a full backlog drops the handshake, as a silent host does."""

    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for one in (first, second):
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        asked = request(connection(url=f"http://127.0.0.1:{full.getsockname()[1]}/v1"))
        started = time.monotonic()
        call = await transport.start(UpstreamRequest(asked.connection, asked.url, (), b"{}", 0.2))
        with pytest.raises(UpstreamFault) as fault:
            await call.head()
        assert fault.value.kind == "connect_timeout"
        assert time.monotonic() - started < 20, "the system itself tries for minutes"


async def test_a_redirect_is_an_answer_and_is_not_followed(fake: FakeProvider, transport: Transport) -> None:
    call = await transport.start(
        request(at(fake), f"status:302:location={fake.base_url.replace(':', '%3A')}/elsewhere")
    )
    await body_of(call)
    assert call.status == 302
    assert len(fake.requests) == 1


async def test_proxies_of_the_environment_are_not_used(
    fake: FakeProvider, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert os.environ["http_proxy"]
    assert await body_of(await transport.start(request(at(fake))))


async def test_a_name_is_connected_at_the_address_that_was_checked(fake: FakeProvider, make: Make) -> None:
    resolver = Resolver()
    resolver.names["provider.test", fake.port] = (asyncio.get_running_loop().time() + 60, ("127.0.0.1",))
    transport = make(resolver)
    url = f"http://provider.test:{fake.port}/v1/chat/completions"
    assert await body_of(await transport.start(request(connection(url=url))))
    assert fake.requests[0].header("host") == f"provider.test:{fake.port}"
    with pytest.raises(UpstreamFault):
        await transport.start(request(connection(url=url, allow_private=False)))


async def test_calls_beyond_the_bound_are_refused(fake: FakeProvider, make: Make) -> None:
    transport = make(max_open_calls=2)
    calls = [await transport.start(request(at(fake), "stall-after:1", stream=True)) for _ in range(2)]
    with pytest.raises(UpstreamFault) as fault:
        await transport.start(request(at(fake)))
    assert fault.value.kind == "no_capacity"
    calls[0].cancel()
    assert await body_of(await transport.start(request(at(fake))))


async def test_three_hundred_cancelled_streams_leave_nothing_open(fake: FakeProvider, transport: Transport) -> None:
    before = open_sockets()
    for _ in range(6):
        calls = [await transport.start(request(at(fake), "stall-after:1", stream=True)) for _ in range(50)]
        await asyncio.gather(*[call.head() for call in calls[::2]])
        for call in calls:
            call.cancel()
    assert transport.open_calls == 0
    await fake.until(lambda: fake.connections_open == 0)
    assert open_sockets() - before <= 2
    assert await body_of(await transport.start(request(at(fake))))


async def test_close_ends_what_still_runs(fake: FakeProvider, construct: Make) -> None:
    transport = construct(Resolver())
    call = await transport.start(request(at(fake), "stall-after:1", stream=True))
    await call.head()
    await transport.close()
    await fake.until(lambda: fake.connections_open == 0)
    with pytest.raises(Cancelled):
        await call.read()


# What a server may say


async def test_what_is_no_tls_is_a_tls_fault(transport: Transport) -> None:
    async def garbage(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n" * 20)
        await writer.drain()

    async with serving(garbage) as raw:
        one = connection(url=f"https://127.0.0.1:{raw.port}/v1/chat/completions")
        assert await fault_of(transport, request(one)) == "tls"
    assert transport.open_calls == 0


async def test_a_certificate_of_nobody_is_a_tls_fault(transport: Transport, stranger: ssl.SSLContext) -> None:
    async with FakeProvider(ssl_context=stranger) as secure:
        assert await fault_of(transport, request(at(secure))) == "tls"
        assert not secure.requests


async def test_a_name_that_nobody_has_is_a_dns_fault(transport: Transport) -> None:
    one = connection(url="http://no-such-name.invalid/v1/chat/completions")
    assert await fault_of(transport, request(one)) == "dns"
    assert transport.open_calls == 0


async def test_a_provider_on_ipv6_is_reached(transport: Transport) -> None:
    async with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", host="::1") as raw:
        assert await body_of(await transport.start(request(raw.to))) == b"{}"
        assert b"Host: [::1]:%d\r\n" % raw.port in raw.requests[0]
        with pytest.raises(UpstreamFault) as fault:
            await transport.start(request(connection(url=raw.to.paths["chat"], allow_private=False)))
        assert fault.value.kind == "blocked_address"


@pytest.mark.parametrize(
    "interim",
    [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3],
    ids=["100", "103"],
)
async def test_interim_answers_are_skipped(transport: Transport, interim: bytes) -> None:
    async with answering(interim + b"HTTP/1.1 200 OK\r\nX-Last: 1\r\nContent-Length: 2\r\n\r\n{}") as raw:
        call = await transport.start(request(raw.to))
        assert await body_of(call) == b"{}"
        assert call.status == 200
        assert call.headers["x-last"] == "1"
        assert "link" not in call.headers


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_an_answer_that_has_no_body_ends_with_its_head(transport: Transport, status: bytes) -> None:
    """Whatever follows it is no part of it, nor of the next answer."""
    bad = b"HTTP/1.1 " + status + b"\r\nContent-Length: 5\r\n\r\nhello"
    good = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    async with answering(bad, good, keeps=True) as raw:
        call = await transport.start(request(raw.to))
        assert await body_of(call) == b""
        assert call.status == int(status[:3])
        assert await body_of(await transport.start(request(raw.to))) == b"{}"


async def test_a_compressed_answer_nobody_asked_for_comes_as_it_is(transport: Transport) -> None:
    packed = gzip.compress(b'{"a":1}')
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    async with answering(head + packed) as raw:
        call = await transport.start(request(raw.to))
        assert await body_of(call) == packed
        assert call.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize(
    "head",
    [b"X-Big: " + b"x" * 1_000_000, b"".join(b"X-%d: 1\r\n" % i for i in range(300))],
    ids=["one of 1 MB", "too many"],
)
async def test_headers_that_are_too_large_are_a_fault(transport: Transport, head: bytes) -> None:
    async with answering(b"HTTP/1.1 200 OK\r\n" + head + b"\r\nContent-Length: 2\r\n\r\n{}") as raw:
        assert await fault_of(transport, request(raw.to)) == "protocol"
    assert transport.open_calls == 0


@pytest.mark.parametrize("line", [b"X-More: 1\r\n", b"x" * 1_000], ids=["lines", "one line"])
async def test_endless_headers_are_given_up(transport: Transport, line: bytes) -> None:
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nX-First: ")
        while True:
            writer.write(line * 100)
            sent += len(line) * 100
            await writer.drain()
            await asyncio.sleep(0)

    async with serving(endless) as raw:
        assert await fault_of(transport, request(raw.to)) == "protocol"
        await asyncio.sleep(0.05)
    assert sent < 20_000_000
    assert transport.open_calls == 0


async def test_a_body_that_ends_with_the_connection_is_whole(transport: Transport) -> None:
    async with answering(b"HTTP/1.1 200 OK\r\n\r\nall of it") as raw:
        assert await body_of(await transport.start(request(raw.to))) == b"all of it"
    assert transport.open_calls == 0


async def test_a_reset_before_the_answer_is_not_repeated(transport: Transport) -> None:
    async def cut(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with serving(cut) as raw:
        assert await fault_of(transport, request(raw.to)) == "reset"
        assert raw.connections == 1


async def test_an_answer_that_drips_can_be_left_at_any_moment(transport: Transport) -> None:
    left = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 50_000:
            writer.write(bytes((byte,)))
            await asyncio.sleep(0.005)
            if reader.at_eof() or writer.transport.is_closing():
                break
        left.set()

    async with serving(drip) as raw:
        call = await transport.start(request(raw.to))
        await asyncio.sleep(0.1)
        assert not call.has_head
        call.cancel()
        assert transport.open_calls == 0
        await asyncio.wait_for(left.wait(), 60)


async def test_what_the_transport_holds_of_a_finished_answer_is_read_to_its_end(
    fake: FakeProvider, transport: Transport
) -> None:
    """The end may come long before the reader does; the connection serves somebody else meanwhile."""
    slow = await transport.start(request(at(fake), "big:200000"))
    await fake.until(lambda: bool(fake.requests) and fake.requests[0].finished_at is not None)
    await asyncio.sleep(0.05)
    assert await body_of(await transport.start(request(at(fake))))
    assert len(json.loads(await body_of(slow))["choices"][0]["message"]["content"]) == 200_000
