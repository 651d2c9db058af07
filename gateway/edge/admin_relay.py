"""Relay what is no caller path to the admin process, over its unix socket, streaming both ways.

Its own small pool: a busy dashboard takes nothing from callers. A request takes a place in it when its body is here, and a long
one in a pool of its own: whoever sends slowly, logged in or not, keeps nobody out. Forwarded and internal headers of the caller
are removed; the real peer goes in one internal header, which admin believes only on that socket.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any

import httpx

from gateway.domain.errors import BodyTooLarge, CallerGone, RequestTimeout, Unavailable
from gateway.domain.reply import Headers
from gateway.edge.body import Receive
from gateway.edge.reply import AsgiReply

MAX_BYTES = 100 * 1024 * 1024
SHORT_BYTES = 256 * 1024
"""A body up to here is waited for; of a longer one, a database that is imported say, this much, then it streams."""
BODY_LIMIT_S = 60.0
"""From the head to the end of a short body."""
STALL_LIMIT_S = 20.0
"""Between two parts of a long body."""
LONG_LIMIT_S = 1800.0
MAX_ORDINARY, MAX_LONG, MAX_LIVE = 16, 4, 64
LIVE_PATH = "/api/live"
PEER_HEADER = b"x-omniroute-peer"

_HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer",
     b"transfer-encoding", b"upgrade", b"expect"}
)  # fmt: skip
_FORWARDED = frozenset({b"forwarded", b"x-real-ip", b"via", b"true-client-ip", b"cf-connecting-ip"})


class AdminRelay:
    """One per worker."""

    def __init__(self, socket: Path, body_limit_s: float = BODY_LIMIT_S, stall_limit_s: float = STALL_LIMIT_S) -> None:
        self._body_limit_s, self._stall_limit_s = body_limit_s, stall_limit_s
        self._client = _client(socket, connections=MAX_ORDINARY, idle=4)
        self._long_client = _client(socket, connections=MAX_LONG, idle=0)
        # Streams last as long as somebody looks at the dashboard: they must not use up the places of other requests.
        self._live_client = _client(socket, connections=MAX_LIVE, idle=0)

    async def relay(self, scope: dict[str, Any], receive: Receive, reply: AsgiReply, peer: str) -> int:
        """Pass the request on and its answer back; returns the status.

        Raises Unavailable, BodyTooLarge, RequestTimeout, CallerGone.
        """
        target = scope.get("raw_path") or scope["path"].encode()
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        # The decoded path, as admin reads it: no other spelling takes the places of other requests.
        is_live = scope["path"].rstrip("/") == LIVE_PATH
        begun, is_whole = await self._begin(scope["headers"], receive)
        client = self._live_client if is_live else self._client if is_whole else self._long_client
        request = client.build_request(
            scope["method"],
            httpx.URL(scheme="http", host="admin", raw_path=target),
            headers=[*_inward(scope["headers"]), (PEER_HEADER, peer.encode("ascii", "ignore"))],
            content=(begun or None) if is_whole else self._rest(begun, receive),
        )
        try:
            response = await client.send(request, stream=True)
        except httpx.PoolTimeout as error:
            raise Unavailable("too much is asked of the admin process", code="admin_busy", retry_after_s=2) from error
        except httpx.HTTPError as error:
            raise Unavailable("the admin process is not there just now", code="admin_away", retry_after_s=2) from error
        try:
            await reply.start(response.status_code, _outward(response.headers.raw))
            try:
                await (_pass_while_heard(response, receive, reply) if is_live else _pass(response, reply))
            finally:
                await reply.finish()
        finally:
            await response.aclose()
        return response.status_code

    async def close(self) -> None:
        for client in (self._client, self._long_client, self._live_client):
            await client.aclose()

    async def _begin(self, headers: Headers, receive: Receive) -> tuple[bytes, bool]:
        """The body when it is short, else its first part; and whether that is all of it. No place is taken yet."""
        if not _has_body(headers):
            return b"", True
        begun = bytearray()
        try:
            async with asyncio.timeout(self._body_limit_s):
                while len(begun) <= SHORT_BYTES:
                    part, is_last = await _next_part(receive)
                    begun += part
                    if is_last:
                        return bytes(begun), True
        except TimeoutError as error:
            raise RequestTimeout(f"the request body did not arrive within {self._body_limit_s:g} s") from error
        return bytes(begun), False

    async def _rest(self, begun: bytes, receive: Receive) -> AsyncIterator[bytes]:
        """A long body, as it comes."""
        size, is_last, until = len(begun), False, time.monotonic() + LONG_LIMIT_S
        yield begun
        while not is_last:
            try:
                async with asyncio.timeout(min(self._stall_limit_s, max(0.0, until - time.monotonic()))):
                    part, is_last = await _next_part(receive)
            except TimeoutError as error:
                raise RequestTimeout("the request body stopped coming") from error
            size += len(part)
            if size > MAX_BYTES:
                raise BodyTooLarge(f"more than {MAX_BYTES // (1024 * 1024)} MiB")
            if part:
                yield part


def _client(socket: Path, connections: int, idle: int) -> httpx.AsyncClient:
    client = httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(
            uds=str(socket), limits=httpx.Limits(max_connections=connections, max_keepalive_connections=idle)
        ),
        timeout=httpx.Timeout(60.0, connect=2.0, pool=5.0),
        follow_redirects=False,
        trust_env=False,  # a proxy of the environment has no business between two processes of ours
        # Kept, a session's cookie would go along with the requests of everybody else.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
    )
    client.headers.clear()  # what the caller did not send, admin does not see
    return client


async def _pass(response: httpx.Response, reply: AsgiReply) -> None:
    async for part in response.aiter_raw():
        await reply.write(part)


async def _pass_while_heard(response: httpx.Response, receive: Receive, reply: AsgiReply) -> None:
    """Of a stream that says little, a write does not tell in time that its reader has left."""
    loop = asyncio.get_running_loop()
    tasks = {loop.create_task(_pass(response, reply)), loop.create_task(_until_gone(receive))}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _inward(headers: list[tuple[bytes, bytes]]) -> Headers:
    return [
        (name, value)
        for name, value in headers
        if name not in _HOP_BY_HOP
        and name not in _FORWARDED
        and not name.startswith((b"x-forwarded-", b"x-omniroute-"))
    ]


def _outward(headers: list[tuple[bytes, bytes]]) -> Headers:
    return [(name.lower(), value) for name, value in headers if name.lower() not in _HOP_BY_HOP]


def _has_body(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in headers)


async def _next_part(receive: Receive) -> tuple[bytes, bool]:
    """A part of a body, and whether it is the last. Raises CallerGone."""
    message = await receive()
    if message["type"] != "http.request":
        raise CallerGone
    return message.get("body", b""), not message.get("more_body", False)
