"""What only the direct transport does: its own pool, strict parsing, its own TLS, and calls that end at any moment."""

import asyncio
import json
import random
import socket
import ssl
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvloop

from gateway.domain.target import Connection
from gateway.upstream.addresses import Resolver
from gateway.upstream.direct import MAX_SESSIONS, DirectTransport
from gateway.upstream.seam import HIGH_WATER_BYTES, Cancelled, UpstreamFault, UpstreamRequest
from tests.support.catalogs import connection
from tests.support.certificates import Authority
from tests.support.fake_provider import FakeProvider
from tests.support.fault_proxy import FaultProxy
from tests.support.patience import PATIENCE
from tests.support.upstream_calls import (
    RawServer,
    answering,
    at,
    body_of,
    fault_of,
    open_sockets,
    read_request,
    request,
    serving,
)

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


@pytest.fixture
async def direct() -> AsyncIterator[DirectTransport]:
    assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
    transport = DirectTransport(Resolver())
    yield transport
    await transport.close()


async def ask(direct: DirectTransport, one: Connection) -> bytes:
    return await body_of(await direct.start(request(one)))


async def until(wish: Any, within: float = 2.0) -> None:
    async with asyncio.timeout(within * PATIENCE):
        while not wish():
            await asyncio.sleep(0.002)


class TestThePool:
    async def test_the_connection_used_last_is_used_next_and_old_ones_expire(self, fake: FakeProvider) -> None:
        direct = DirectTransport(Resolver(), idle_s=0.2)
        one = at(fake)
        await asyncio.gather(*[ask(direct, one) for _ in range(5)])
        assert (fake.connections_total, direct.idle_wires) == (5, 5)
        fake.forget_requests()
        for _ in range(8):
            await ask(direct, one)
            await asyncio.sleep(0.05)
        assert len({seen.connection for seen in fake.requests}) == 1
        assert (fake.connections_total, direct.idle_wires) == (5, 1)
        await until(lambda: direct.idle_wires == 0)
        await fake.until(lambda: fake.connections_open == 0)
        assert await ask(direct, one)
        await direct.close()

    async def test_idle_connections_are_bounded(self, fake: FakeProvider) -> None:
        direct = DirectTransport(Resolver(), max_idle_wires=3)
        await asyncio.gather(*[ask(direct, at(fake, name=str(i % 2))) for i in range(10)])
        assert direct.idle_wires == 3
        await fake.until(lambda: fake.connections_open == 3)
        await direct.close()
        await fake.until(lambda: fake.connections_open == 0)
        assert (direct.idle_wires, direct.open_calls) == (0, 0)

    async def test_open_calls_are_bounded_also_while_names_are_resolved(self, fake: FakeProvider) -> None:
        resolver = Resolver()
        resolver.names["provider.test", fake.port] = (asyncio.get_running_loop().time() + 60, ("127.0.0.1",))
        direct = DirectTransport(resolver, max_open_calls=4)
        one = connection(url=f"http://provider.test:{fake.port}/v1/chat/completions")
        started = await asyncio.gather(
            *[direct.start(request(one, "stall-after:1", stream=True)) for _ in range(10)], return_exceptions=True
        )
        assert sum(isinstance(call, UpstreamFault) and call.kind == "no_capacity" for call in started) == 6
        await direct.close()

    async def test_connections_of_two_accounts_are_kept_apart(
        self, fake: FakeProvider, direct: DirectTransport
    ) -> None:
        for name in ("a", "b", "a", "b"):
            await ask(direct, at(fake, name=name))
        assert [seen.connection for seen in fake.requests] == [1, 2, 1, 2]

    @pytest.mark.parametrize("how", ["half-closed", "reset", "unasked bytes"])
    async def test_a_kept_connection_the_server_has_given_up_is_not_used(
        self, direct: DirectTransport, how: str
    ) -> None:
        async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(GOOD)
            await writer.drain()
            await asyncio.sleep(0.02)
            if how == "half-closed":
                writer.write_eof()
            elif how == "reset":
                reset(writer)
            else:
                writer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
            await asyncio.sleep(5)

        async with serving(once) as raw:
            assert await ask(direct, raw.to) == b"{}"
            assert direct.idle_wires == 1
            await until(lambda: direct.idle_wires == 0)
            assert await ask(direct, raw.to) == b"{}"
            assert raw.connections == 2

    async def test_a_kept_connection_that_is_reset_by_the_request_is_a_fault_and_no_second_try(
        self, direct: DirectTransport
    ) -> None:
        seen: list[bytes] = []

        async def second_is_cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(await read_request(reader))
            writer.write(GOOD)
            await writer.drain()
            seen.append(await read_request(reader))
            reset(writer)

        async with serving(second_is_cut) as raw:
            assert await ask(direct, raw.to) == b"{}"
            assert await fault_of(direct, request(raw.to)) == "reset"
            await asyncio.sleep(0.05)
            assert (raw.connections, len(seen)) == (1, 2)
        assert (direct.open_calls, direct.idle_wires) == (0, 0)

    async def test_connection_close_is_obeyed(self, direct: DirectTransport) -> None:
        good = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
        async with answering(good, keeps=True) as raw:
            for _ in range(2):
                assert await ask(direct, raw.to) == b"{}"
            assert (raw.connections, direct.idle_wires) == (2, 0)

    @pytest.mark.parametrize(
        "surplus", [b"!", b"garbage", b"HTTP/1.1", GOOD, GOOD * 3, b"HTTP/1.1 200 OK\r\nX: 1\r\n"], ids=repr
    )
    async def test_bytes_behind_an_answer_end_the_connection_and_not_the_answer(
        self, direct: DirectTransport, surplus: bytes
    ) -> None:
        async with answering(GOOD + surplus, GOOD, keeps=True) as raw:
            assert await ask(direct, raw.to) == b"{}"
            assert direct.idle_wires == 0
            assert await ask(direct, raw.to) == b"{}"
            assert raw.connections == 2

    async def test_an_answer_before_the_request_was_sent_ends_the_connection(self, direct: DirectTransport) -> None:
        """Else the rest of the old request would stand before the next one."""

        async def hasty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}")
            await asyncio.sleep(5)

        async with serving(hasty) as raw:
            call = await direct.start(UpstreamRequest(raw.to, raw.to.paths["chat"], (), b"x" * 30_000_000, 2.0))
            assert await body_of(call) == b"{}"
            assert call.status == 413
            assert direct.idle_wires == 0

    async def test_one_to_large_requests_arrive_whole(self, fake: FakeProvider, direct: DirectTransport) -> None:
        for size in (1, 60_000, 65_536, 3_000_000):
            assert await body_of(await direct.start(request(at(fake), text="x" * size)))
        assert [len(seen.json()["text"]) for seen in fake.requests] == [1, 60_000, 65_536, 3_000_000]
        assert fake.connections_total == 1


BROKEN = {
    "two kinds of length": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "the same the other way": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "twice one length": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a list of lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n{}",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
    "length with a sign": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}",
    "huge length": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n{}",
    "chunk size of no number": CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n",
    "negative chunk size": CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
    "chunk size with a prefix": CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n",
    "huge chunk size": CHUNKED + b"ffffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "chunk longer than its size": CHUNKED + b"1\r\n{}\r\n0\r\n\r\n",
    "bare LF after a chunk size": CHUNKED + b"2\n{}\r\n0\r\n\r\n",
    "bare LF after a chunk": CHUNKED + b"2\r\n{}\n0\r\n\r\n",
    "bare LF in the head": b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
    "bare LF after a header": b"HTTP/1.1 200 OK\r\nX: 1\nContent-Length: 2\r\n\r\n{}",
    "bare CR in a header": b"HTTP/1.1 200 OK\r\nX: 1\rY: 2\r\nContent-Length: 2\r\n\r\n{}",
    "space before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\n{}",
    "folded header": b"HTTP/1.1 200 OK\r\nX: 1\r\n Content-Length: 2\r\n\r\n{}\x00",
    "NUL in a header": b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\n{}",
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nabc",
}


class TestStrictParsing:
    @pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN.keys())
    async def test_what_breaks_the_rules_is_a_fault_and_never_guessed_at(
        self, direct: DirectTransport, answer: bytes
    ) -> None:
        async with answering(answer, keeps=True) as raw:
            assert await fault_of(direct, request(raw.to)) == "protocol"
            assert (direct.open_calls, direct.idle_wires) == (0, 0)

    async def test_any_cut_of_the_bytes_gives_the_same(self, direct: DirectTransport) -> None:
        head = b"HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n"
        answer = b"HTTP/1.1 100 Continue\r\n\r\n" + head + b"3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n"
        chance = random.Random(3)

        async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await read_request(reader):
                place = 0
                while place < len(answer):
                    step = chance.randrange(1, 40)
                    writer.write(answer[place : place + step])
                    place += step
                    await asyncio.sleep(0)

        async with serving(cut) as raw:
            for _ in range(60):
                call = await direct.start(request(raw.to))
                assert await body_of(call) == b"abcde"
                assert call.headers == {"x-a": "b", "transfer-encoding": "chunked"}
            assert raw.connections == 1

    @pytest.mark.parametrize(
        "end", [b"0\r\nX-T: ", b"0\r\n" + b"X-T: 1\r\n" * 100, b"2;"], ids=["one", "many", "extension"]
    )
    async def test_endless_trailers_and_extensions_are_given_up(self, direct: DirectTransport, end: bytes) -> None:
        sent = 0

        async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            await read_request(reader)
            writer.write(CHUNKED + b"2\r\n{}\r\n" + end)
            while True:
                writer.write(b"X-T: 1\r\n" * 1_000 if end.endswith(b"\n") else b"x" * 8_000)
                sent += 8_000
                await writer.drain()

        async with serving(endless) as raw:
            assert await fault_of(direct, request(raw.to)) == "protocol"
            await asyncio.sleep(0.02)
        assert sent < 20_000_000

    async def test_endless_interim_answers_are_given_up(self, direct: DirectTransport) -> None:
        async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            while True:
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
                await writer.drain()

        async with serving(endless) as raw:
            assert await fault_of(direct, request(raw.to)) == "protocol"

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{",
            CHUNKED + b"20\r\n{",
            CHUNKED + b"1\r\n{\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Le",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"",
        ],
        ids=["length", "in a chunk", "between chunks", "in the head", "after 100", "at once"],
    )
    async def test_an_end_before_the_end_is_a_cut(self, direct: DirectTransport, answer: bytes) -> None:
        async with answering(answer) as raw:
            assert await fault_of(direct, request(raw.to)) == "reset"

    async def test_a_user_in_the_url_goes_into_no_header(self, direct: DirectTransport) -> None:
        async with answering(GOOD) as raw:
            one = connection(url=f"http://user:hunter2@127.0.0.1:{raw.port}/v1?a=b")
            assert await ask(direct, one) == b"{}"
            assert raw.requests[0].startswith(b"POST /v1?a=b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % raw.port)
            assert b"hunter2" not in raw.requests[0]


class TestTls:
    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    async def test_a_second_connection_resumes_the_first_ones_session(
        self, authority: Authority, version: ssl.TLSVersion
    ) -> None:
        reused: list[bool] = []

        async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tls = writer.get_extra_info("ssl_object")
            assert tls.version() == version.name.replace("_", ".")
            reused.append(tls.session_reused)
            await read_request(reader)
            writer.write(GOOD.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"))
            await writer.drain()
            await reader.read()

        direct = DirectTransport(Resolver(), ca_file=authority.ca_file)
        async with serving(note, tls=authority.server(only=version)) as raw:
            for _ in range(3):
                assert await ask(direct, raw.to) == b"{}"
        assert reused == [False, True, True]
        await direct.close()

    async def test_connections_are_kept_and_streams_come_whole(self, authority: Authority) -> None:
        direct = DirectTransport(Resolver(), ca_file=authority.ca_file)
        async with FakeProvider(ssl_context=authority.server()) as fake:
            for stream in (True, False, True):
                assert await body_of(await direct.start(request(at(fake), stream=stream)))
            answer = json.loads(await body_of(await direct.start(request(at(fake), "big:3000000"))))
            assert len(answer["choices"][0]["message"]["content"]) == 3_000_000
            assert fake.connections_total == 1
            await direct.close()

    @pytest.mark.parametrize("what", ["expired", "of another host", "of nobody", "of an old protocol"])
    async def test_a_bad_certificate_is_a_tls_fault_and_nothing_is_sent(
        self, authority: Authority, stranger: ssl.SSLContext, what: str
    ) -> None:
        old = authority.server()
        if what == "of an old protocol":
            with pytest.warns(DeprecationWarning, match="TLSv1_1"):
                old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        context = {
            "expired": authority.server(days=-1),
            "of another host": authority.server("127.0.0.2", "provider.test"),
            "of nobody": stranger,
            "of an old protocol": old,
        }[what]
        direct = DirectTransport(Resolver(), ca_file=authority.ca_file)
        async with FakeProvider(ssl_context=context) as secure:
            before = open_sockets()
            assert await fault_of(direct, request(at(secure))) == "tls"
            assert not secure.requests
            await until(lambda: open_sockets() <= before)
        assert (direct.open_calls, direct.idle_wires) == (0, 0)
        await direct.close()

    async def test_a_pinned_name_is_checked_against_the_certificate(self, authority: Authority) -> None:
        names: list[str | None] = []
        context = authority.server("provider.test")
        context.sni_callback = lambda _tls, name, _context: names.append(name)
        async with answering(GOOD, tls=context) as raw:
            for name, outcome in (("provider.test", b"{}"), ("other.test", "tls")):
                resolver = Resolver()
                resolver.names[name, raw.port] = (asyncio.get_running_loop().time() + 60, ("127.0.0.1",))
                direct = DirectTransport(resolver, ca_file=authority.ca_file)
                one = connection(url=f"https://{name}:{raw.port}/v1/chat/completions")
                got = await ask(direct, one) if outcome == b"{}" else await fault_of(direct, request(one))
                assert got == outcome
                await direct.close()
        assert names == ["provider.test", "other.test"]

    async def test_sessions_are_bounded(self, authority: Authority) -> None:
        direct = DirectTransport(Resolver(), ca_file=authority.ca_file)
        async with answering(GOOD, tls=authority.server()) as raw:
            await ask(direct, raw.to)
        context = direct._context
        session = context.sessions["127.0.0.1"]
        for number in range(MAX_SESSIONS + 50):
            context.keep(f"host-{number}", session)
        assert len(context.sessions) == MAX_SESSIONS
        assert "127.0.0.1" not in context.sessions
        await direct.close()

    async def test_a_handshake_that_stalls_is_given_up_in_time(self, direct: DirectTransport) -> None:
        async def mute(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            await reader.read()

        async with serving(mute) as raw:
            one = connection(url=f"https://127.0.0.1:{raw.port}/v1")
            before = open_sockets()
            started = time.monotonic()
            assert await fault_of(direct, request(one, url=one.paths["chat"], connect_s=0.2)) == "connect_timeout"
            assert time.monotonic() - started < 20
            await until(lambda: open_sockets() <= before)


class TestEnding:
    @pytest.mark.parametrize("scheme", ["http", "https"])
    async def test_a_call_left_at_any_moment_leaves_no_socket(
        self, direct: DirectTransport, authority: Authority, scheme: str
    ) -> None:
        """Cancelled after every possible number of loop turns: while connecting, shaking hands, sending, reading."""
        direct = DirectTransport(Resolver(), ca_file=authority.ca_file)
        context = authority.server() if scheme == "https" else None
        async with FakeProvider(ssl_context=context) as fake:
            await ask(direct, at(fake))
            before = open_sockets()
            for turns in range(40):
                call = await direct.start(request(at(fake, name=f"n{turns}"), "stall-after:1", stream=True))
                for _ in range(turns):
                    await asyncio.sleep(0 if turns % 2 else 0.0005)
                call.cancel()
                assert direct.open_calls == 0
                with pytest.raises(Cancelled):
                    await call.read()
            await fake.until(lambda: fake.connections_open <= 1)
            await until(lambda: open_sockets() <= before)
            await direct.close()

    async def test_cancel_while_connecting_ends_the_try_at_once(self, direct: DirectTransport) -> None:
        with socket.socket() as full, socket.socket() as first, socket.socket() as second:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            for one in (first, second):
                one.setblocking(False)
                one.connect_ex(full.getsockname())
            before = open_sockets()
            call = await direct.start(request(connection(url=f"http://127.0.0.1:{full.getsockname()[1]}/v1")))
            await asyncio.sleep(0.02)
            assert direct.open_calls == 1
            call.cancel()
            assert direct.open_calls == 0
            await until(lambda: open_sockets() <= before)

    async def test_a_server_that_closes_at_once_is_a_fault_and_leaks_nothing(self, direct: DirectTransport) -> None:
        async def shut(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            reset(writer)

        async with serving(shut) as raw:
            for _ in range(50):
                assert await fault_of(direct, request(raw.to)) in ("reset", "refused")
        assert (direct.open_calls, direct.idle_wires) == (0, 0)

    async def test_a_server_that_speaks_first_is_not_listened_to(self, direct: DirectTransport) -> None:
        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(GOOD.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"))
            await reader.read()

        async with serving(greet) as raw:
            kinds = {await self.outcome(direct, raw) for _ in range(20)}
        assert kinds <= {"reset", "answered"}
        assert direct.open_calls == 0

    @staticmethod
    async def outcome(direct: DirectTransport, raw: RawServer) -> str:
        try:
            await ask(direct, raw.to)
        except UpstreamFault as fault:
            return fault.kind
        return "answered"

    async def test_a_thousand_aborted_streams_three_times_leave_nothing(
        self, fake: FakeProvider, direct: DirectTransport
    ) -> None:
        before = open_sockets()
        for _ in range(3):
            calls = [await direct.start(request(at(fake), "stall-after:1", stream=True)) for _ in range(1_000)]
            await asyncio.gather(*[call.head() for call in calls[::2]])
            for call in calls:
                call.cancel()
            assert (direct.open_calls, direct.idle_wires) == (0, 0)
            await fake.until(lambda: fake.connections_open == 0, within=15)
            await until(lambda: open_sockets() <= before)
        assert not direct._wires
        assert not direct._opening

    async def test_a_late_reader_of_one_answer_does_not_touch_the_next(
        self, fake: FakeProvider, direct: DirectTransport
    ) -> None:
        first = await direct.start(request(at(fake), "big:200000"))
        await until(lambda: first.is_over)
        second = await direct.start(request(at(fake), "big:60000000", stream=True))
        await until(lambda: second.held >= HIGH_WATER_BYTES)
        assert fake.connections_total == 1
        await first.read()
        first.cancel()
        await asyncio.sleep(0.05)
        assert second.held <= HIGH_WATER_BYTES + 256 * 1024
        assert direct.open_calls == 1
        second.cancel()

    async def test_small_writes_are_not_held_back(self, fake: FakeProvider, direct: DirectTransport) -> None:
        await ask(direct, at(fake))
        (wire,) = direct._wires
        assert wire.transport is not None
        sock = wire.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1

    async def test_the_next_address_is_tried_when_one_refuses(self, fake: FakeProvider) -> None:
        resolver = Resolver()
        soon = asyncio.get_running_loop().time() + 60
        resolver.names["provider.test", fake.port] = (soon, ("127.0.0.9", "127.0.0.1"))
        direct = DirectTransport(resolver)
        assert await ask(direct, connection(url=f"http://provider.test:{fake.port}/v1/chat/completions"))
        await direct.close()

    async def test_a_silent_address_has_its_share_of_the_time_only(self, fake: FakeProvider) -> None:
        resolver = Resolver()
        soon = asyncio.get_running_loop().time() + 60
        resolver.names["provider.test", fake.port] = (soon, ("127.0.0.9", "127.0.0.1"))
        direct = DirectTransport(resolver)
        with socket.socket() as full, socket.socket() as first, socket.socket() as second:
            full.bind(("127.0.0.9", fake.port))
            full.listen(0)
            for one in (first, second):
                one.setblocking(False)
                one.connect_ex(full.getsockname())
            asked = connection(url=f"http://provider.test:{fake.port}/v1/chat/completions")
            started = time.monotonic()
            assert await body_of(await direct.start(request(asked, connect_s=2.0)))
            assert time.monotonic() - started > 0.9, "half of it"
        await direct.close()

    async def test_a_cut_in_the_middle_of_a_stream_gives_what_came_and_then_the_fault(
        self, fake: FakeProvider, direct: DirectTransport
    ) -> None:
        async with FaultProxy("127.0.0.1", fake.port) as proxy:
            one = connection(url=f"http://127.0.0.1:{proxy.port}/v1/chat/completions")
            call = await direct.start(request(one, "stall-after:2", stream=True))
            await call.head()
            assert b"data:" in await call.read()
            proxy.reset_all()
            with pytest.raises(UpstreamFault) as fault:
                await body_of(call)
            assert fault.value.kind == "reset"
        assert (direct.open_calls, direct.idle_wires) == (0, 0)


def reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()
