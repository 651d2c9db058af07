"""Relay what is no caller path to the admin process, over its unix socket, streaming both ways.

Its own small pool: a busy dashboard takes nothing from callers. Forwarded and internal headers of the caller are
removed; the real peer goes in one internal header, which admin believes only on that socket.
"""

import asyncio
from collections.abc import AsyncIterator
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any

import httpx

from gateway.domain.errors import BodyTooLarge, Unavailable
from gateway.domain.reply import Headers
from gateway.edge.body import Receive
from gateway.edge.reply import AsgiReply

MAX_BYTES = 100 * 1024 * 1024
MAX_LIVE = 64
LIVE_PATH = "/api/live"
PEER_HEADER = b"x-omniroute-peer"

_HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer",
     b"transfer-encoding", b"upgrade", b"expect"}
)  # fmt: skip
_FORWARDED = frozenset({b"forwarded", b"x-real-ip", b"via", b"true-client-ip", b"cf-connecting-ip"})


class AdminRelay:
    """One per worker."""

    def __init__(self, socket: Path) -> None:
        self._client = _client(socket, connections=16, idle=4)
        # Streams last as long as somebody looks at the dashboard: they must not use up the places of other requests.
        self._live_client = _client(socket, connections=MAX_LIVE, idle=0)

    async def relay(self, scope: dict[str, Any], receive: Receive, reply: AsgiReply, peer: str) -> int:
        """Pass the request on and its answer back; returns the status. Raises Unavailable, BodyTooLarge."""
        target = scope.get("raw_path") or scope["path"].encode()
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        # The decoded path, as admin reads it: no other spelling takes the places of other requests.
        is_live = scope["path"].rstrip("/") == LIVE_PATH
        client = self._live_client if is_live else self._client
        request = client.build_request(
            scope["method"],
            httpx.URL(scheme="http", host="admin", raw_path=target),
            headers=[*_inward(scope["headers"]), (PEER_HEADER, peer.encode("ascii", "ignore"))],
            content=_body(receive) if _has_body(scope["headers"]) else None,
        )
        try:
            response = await client.send(request, stream=True)
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
        await self._client.aclose()
        await self._live_client.aclose()


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


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise httpx.ReadError("the caller left")
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BYTES:
            raise BodyTooLarge(f"more than {MAX_BYTES // (1024 * 1024)} MiB")
        if part:
            yield part
        if not message.get("more_body", False):
            return
