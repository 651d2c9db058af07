"""What is no caller path goes to the admin process as it is, with the true peer and without what a caller could forge."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from gateway.domain.errors import RequestTimeout, Unavailable
from gateway.edge.admin_relay import MAX_LONG, MAX_ORDINARY, SHORT_BYTES, AdminRelay
from gateway.edge.reply import AsgiReply


class Admin:
    """A raw server on a unix socket: keeps the last request, answers what it is told to."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="or-", dir="/tmp"))
        self.socket = self.folder / "admin.sock"
        self.request = b""
        self.answer = b"HTTP/1.1 201 Created\r\nX-Theirs: 1\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok"
        self.may_end = asyncio.Event()
        """The body's last byte waits for this."""
        self.may_end.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        body = await reader.readexactly(length)
        if b"transfer-encoding: chunked" in head.lower():
            body = await reader.readuntil(b"0\r\n\r\n")
        self.request = head + body
        writer.write(self.answer[:-1])
        await self.may_end.wait()
        writer.write(self.answer[-1:])
        writer.close()


@pytest.fixture
async def admin() -> AsyncIterator[Admin]:
    admin = Admin()
    server = await asyncio.start_unix_server(admin.serve, admin.socket)
    yield admin
    server.close()
    shutil.rmtree(admin.folder)


async def relay(
    socket: Path,
    path: bytes,
    headers: list[tuple[bytes, bytes]],
    *parts: bytes,
    query: bytes = b"",
    by: AdminRelay | None = None,
    sent: list[dict[str, Any]] | None = None,
    leaves: bool = False,
    stalls: bool = False,
) -> Any:
    """`by`: a relay that goes on living. `sent`: what the caller has got, as it comes.

    One who `leaves` says so after the body; one who `stalls` never sends its end.
    """
    sent = [] if sent is None else sent
    messages = iter([{"type": "http.request", "body": part, "more_body": True} for part in parts])

    async def receive() -> dict[str, Any]:
        if stalls and not (left := next(messages, None)):
            await asyncio.Event().wait()
        elif stalls:
            return left
        last = {"type": "http.disconnect"} if leaves else {"type": "http.request", "body": b"", "more_body": False}
        return next(messages, last)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "method": "POST",
        "path": unquote(path.decode()),
        "raw_path": path,
        "query_string": query,
        "headers": headers,
    }
    relay = by or AdminRelay(socket)
    try:
        status = await relay.relay(scope, receive, AsgiReply(send, []), "203.0.113.9")
    finally:
        if by is None:
            await relay.close()
    return status, sent


async def test_request_and_answer_pass_with_the_true_peer(admin: Admin) -> None:
    headers = [
        (b"host", b"localhost:20128"), (b"cookie", b"session=1"), (b"content-length", b"6"), (b"origin", b"http://localhost"),
        (b"x-omniroute-peer", b"127.0.0.1"), (b"x-forwarded-for", b"127.0.0.1"), (b"forwarded", b"for=127.0.0.1"),
        (b"x-real-ip", b"127.0.0.1"), (b"connection", b"keep-alive"), (b"expect", b"100-continue"),
    ]  # fmt: skip
    status, sent = await relay(admin.socket, b"/api/keys/a%2Fb", headers, b"abc", b"def", query=b"x=1&y=%20")
    lines = admin.request.lower().split(b"\r\n")
    assert lines[0] == b"post /api/keys/a%2fb?x=1&y=%20 http/1.1"
    assert [line for line in lines if line.startswith(b"x-omniroute-peer")] == [b"x-omniroute-peer: 203.0.113.9"]
    assert b"cookie: session=1" in lines
    assert b"origin: http://localhost" in lines
    assert not [line for line in lines if line.startswith((b"x-forwarded", b"forwarded", b"x-real-ip", b"expect"))]
    assert b"127.0.0.1" not in admin.request
    assert admin.request.endswith(b"abcdef")
    assert status == sent[0]["status"] == 201
    assert (b"x-theirs", b"1") in sent[0]["headers"]
    assert all(name != b"connection" for name, _ in sent[0]["headers"])
    assert b"".join(message["body"] for message in sent[1:]) == b"ok"
    assert sent[-1]["more_body"] is False


async def test_an_admin_process_that_is_not_there_is_a_503(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as error:
        await relay(tmp_path / "none.sock", b"/api/x", [])
    assert (error.value.status, error.value.code) == (503, "admin_away")


async def test_a_redirect_is_passed_on(admin: Admin) -> None:
    admin.answer = b"HTTP/1.1 302 Found\r\nLocation: /dashboard/\r\nContent-Length: 0\r\n\r\n"
    status, sent = await relay(admin.socket, b"/", [])
    assert status == 302
    assert (b"location", b"/dashboard/") in sent[0]["headers"]


async def test_a_cookie_that_admin_sets_stays_with_whom_it_was_set_for(admin: Admin) -> None:
    admin.answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: auth_token=owner; Path=/\r\nContent-Length: 0\r\n\r\n"
    one = AdminRelay(admin.socket)
    try:
        _, sent = await relay(admin.socket, b"/api/auth/login", [(b"host", b"localhost")], by=one)
        assert (b"set-cookie", b"auth_token=owner; Path=/") in sent[0]["headers"]
        await relay(admin.socket, b"/api/auth/status", [(b"host", b"localhost")], by=one)
    finally:
        await one.close()
    assert b"cookie" not in admin.request.lower()


@pytest.mark.parametrize("path", [b"/api/live", b"/api/%6Cive", b"/api/live/"])
async def test_a_live_stream_ends_when_its_reader_has_left(admin: Admin, path: bytes) -> None:
    admin.may_end.clear()
    async with asyncio.timeout(30):
        _, sent = await relay(admin.socket, path, [], leaves=True)
    assert b"".join(message["body"] for message in sent[1:]) != b"ok"


@pytest.mark.parametrize("path", [b"/api/livestock", b"/api/live/stock"])
async def test_a_path_that_only_begins_as_the_live_one_is_an_ordinary_request(admin: Admin, path: bytes) -> None:
    admin.may_end.clear()
    sent: list[dict[str, Any]] = []
    async with asyncio.timeout(30):
        relayed = asyncio.create_task(relay(admin.socket, path, [], sent=sent, leaves=True))
        while not sent:
            await asyncio.sleep(0.01)
        admin.may_end.set()
        await relayed
    assert b"".join(message["body"] for message in sent[1:]) == b"ok"


SIZED = [(b"content-length", b"1000000")]


async def test_who_sends_slowly_keeps_nobody_out_and_is_told_in_time(admin: Admin) -> None:
    one = AdminRelay(admin.socket, body_limit_s=1.0)
    slow = [
        asyncio.create_task(relay(admin.socket, b"/api/auth/login", SIZED, b"{", by=one, stalls=True))
        for _ in range(2 * MAX_ORDINARY)
    ]
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        status, _ = await relay(admin.socket, b"/api/auth/status", [], by=one)
        ends = await asyncio.gather(*slow, return_exceptions=True)
    await one.close()
    assert status == 201
    assert all(isinstance(end, RequestTimeout) for end in ends)
    assert b"login" not in admin.request


async def test_a_long_body_streams_and_one_that_stops_coming_is_cut(admin: Admin) -> None:
    part = b"x" * 250_000
    headers = [(b"content-length", b"1000000")]
    await relay(admin.socket, b"/api/db-backups/import", headers, *[part] * 4)
    assert admin.request.endswith(part * 4)
    assert len(part) < SHORT_BYTES < 2 * len(part)
    one = AdminRelay(admin.socket, stall_limit_s=0.1)
    slow = [
        asyncio.create_task(relay(admin.socket, b"/api/db-backups/import", headers, part, part, by=one, stalls=True))
        for _ in range(MAX_LONG)
    ]
    async with asyncio.timeout(60):
        status, _ = await relay(admin.socket, b"/api/auth/status", [], by=one)
        ends = await asyncio.gather(*slow, return_exceptions=True)
    await one.close()
    assert status == 201
    assert all(isinstance(end, RequestTimeout) for end in ends), ends
