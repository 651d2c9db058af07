"""The floor: the least a Python gateway on granian can do, so that the product's cost is a ratio and not a bare number.

It reads {model, stream}, looks the model up, sends the body on unchanged and passes the answer through as it comes.
No keys, limits, failover, usage, records or logs: what is above this line is what the product's promises cost.
`FLOOR_TRANSPORT` is `curl` (prepared easy handles on one AsyncCurl), `raw` (httptools on a keep-alive pool) or `tls`
(raw over the loop's TLS, the authority from SSL_CERT_FILE);
`FLOOR_UPSTREAM` is host:port. Never serve this to anybody: it has no limit of any kind.
"""

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import httptools
import msgspec
from curl_cffi import AsyncCurl, Curl, CurlHttpVersion, CurlInfo, CurlMOpt, CurlOpt
from curl_cffi._wrapper import ffi, lib

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
PAUSE = 0x10000001
PAUSE_AT_BYTES = 256 * 1024
TARGET_PATH = "/v1/chat/completions"
HEADERS = ("Content-Type: application/json", "Authorization: Bearer upstream", "Accept-Encoding: identity", "Expect:")


class Asked(msgspec.Struct):
    model: str
    stream: bool = False


class Answer:
    """What both transports share: bytes handed from a callback to the one coroutine that reads them."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.held = 0
        self.ended = False
        self.failed: BaseException | None = None
        self.waiter: asyncio.Future[None] | None = None

    def restart(self) -> None:
        self.parts.clear()
        self.held = 0
        self.ended = False
        self.failed = None

    def push(self, data: bytes) -> None:
        self.parts.append(data)
        self.held += len(data)
        self.wake()

    def end(self, error: BaseException | None = None) -> None:
        self.ended = True
        self.failed = error
        self.wake()

    def wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    async def more(self) -> bytes:
        """All that has come since the last call; empty at the end."""
        while not self.parts and not self.ended:
            self.waiter = asyncio.get_running_loop().create_future()
            await self.waiter
        if self.failed is not None:
            raise self.failed
        data = self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)
        self.parts.clear()
        self.held = 0
        self.resume()
        return data

    def resume(self) -> None:
        raise NotImplementedError

    def head(self) -> tuple[int, bytes]:
        raise NotImplementedError


class Transport(Protocol):
    async def start(self, body: bytes) -> Any: ...
    def give_back(self, answer: Any) -> None: ...
    def abort(self, answer: Any) -> None: ...


class CurlAnswer(Answer):
    """A prepared easy handle: per request only the body is set."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.is_paused = False
        self.curl = Curl()
        self.curl.setopt(CurlOpt.URL, url.encode())
        self.curl.setopt(CurlOpt.POST, 1)
        self.curl.setopt(CurlOpt.HTTP_VERSION, CurlHttpVersion.V1_1)
        self.curl.setopt(CurlOpt.TCP_NODELAY, 1)
        self.curl.setopt(CurlOpt.HTTPHEADER, [line.encode() for line in HEADERS])
        self.curl.setopt(CurlOpt.WRITEFUNCTION, self.on_bytes)

    def on_bytes(self, data: bytes) -> int:
        if self.held > PAUSE_AT_BYTES:
            self.is_paused = True
            return PAUSE
        self.push(data)
        return len(data)

    def resume(self) -> None:
        if self.is_paused:
            self.is_paused = False
            self.curl.pause(0)

    def head(self) -> tuple[int, bytes]:
        kind = self.curl.getinfo(CurlInfo.CONTENT_TYPE)
        code = self.curl.getinfo(CurlInfo.RESPONSE_CODE)
        # A transfer that failed has no code, and granian ends the whole worker over a status that is none.
        return (code if isinstance(code, int) and code >= 100 else 502), (
            kind if isinstance(kind, bytes) else b"application/json"
        )

    def on_done(self, future: asyncio.Future[None]) -> None:
        if not future.cancelled():
            self.end(future.exception())


class CurlTransport:
    def __init__(self, upstream: str) -> None:
        self.url = f"http://{upstream}{TARGET_PATH}"
        self.multi = AsyncCurl()
        # libcurl keeps four idle connections per handle in flight and closes a quarter of them under load in waves.
        # AsyncCurl.setopt hands a pointer where libcurl reads a number, and has no effect: hence the cast.
        lib.curl_multi_setopt(self.multi._curlm, CurlMOpt.MAXCONNECTS, ffi.cast("void *", 1024))
        self.free: list[CurlAnswer] = []

    async def start(self, body: bytes) -> CurlAnswer:
        answer = self.free.pop() if self.free else CurlAnswer(self.url)
        answer.restart()
        answer.curl.setopt(CurlOpt.POSTFIELDSIZE, len(body))
        answer.curl.setopt(CurlOpt.POSTFIELDS, body)
        self.multi.add_handle(answer.curl).add_done_callback(answer.on_done)
        return answer

    def give_back(self, answer: CurlAnswer) -> None:
        self.free.append(answer)

    def abort(self, answer: CurlAnswer) -> None:
        if not answer.ended:
            self.multi.remove_handle(answer.curl)
        self.free.append(answer)


class RawAnswer(Answer, asyncio.Protocol):
    """A keep-alive connection; httptools calls the on_* methods."""

    def __init__(self) -> None:
        super().__init__()
        self.transport: Any = None
        self.parser: Any = None
        self.kind = b"application/json"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended:
            self.end(exc or ConnectionError("upstream closed"))

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-type":
            self.kind = value

    def on_body(self, data: bytes) -> None:
        self.push(data)
        if self.held > PAUSE_AT_BYTES:
            self.transport.pause_reading()

    def on_message_complete(self) -> None:
        self.end()

    def resume(self) -> None:
        self.transport.resume_reading()

    def head(self) -> tuple[int, bytes]:
        return self.parser.get_status_code(), self.kind


class RawTransport:
    def __init__(self, upstream: str, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.host, _, port = upstream.partition(":")
        self.port = int(port)
        self.free: list[RawAnswer] = []
        lines = [f"POST {TARGET_PATH} HTTP/1.1", f"Host: {upstream}", *HEADERS[:3], "Content-Length: "]
        self.front = "\r\n".join(lines).encode()

    async def start(self, body: bytes) -> RawAnswer:
        while self.free:
            answer = self.free.pop()
            if not answer.transport.is_closing():
                break
        else:
            loop = asyncio.get_running_loop()
            _, answer = await loop.create_connection(RawAnswer, self.host, self.port, ssl=self.tls)
        answer.restart()
        answer.parser = httptools.HttpResponseParser(answer)
        answer.transport.write(b"%b%d\r\n\r\n%b" % (self.front, len(body), body))
        return answer

    def give_back(self, answer: RawAnswer) -> None:
        self.free.append(answer)

    def abort(self, answer: RawAnswer) -> None:
        answer.transport.abort()


def make_transport(kind: str, upstream: str) -> Transport:
    if kind == "curl":
        return CurlTransport(upstream)
    return RawTransport(upstream, ssl.create_default_context() if kind == "tls" else None)


class Floor:
    """The ASGI application: one per worker, its transport made when the loop runs."""

    def __init__(self) -> None:
        self.routes: dict[str, Transport] = {}
        self.decode = msgspec.json.Decoder(Asked).decode

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self.pass_on(scope, receive, send)
        elif scope["type"] == "lifespan":
            await receive()
            self.routes["gpt-mock"] = make_transport(os.environ["FLOOR_TRANSPORT"], os.environ["FLOOR_UPSTREAM"])
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})

    async def pass_on(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["method"] == "GET":
            await _reply(send, 200, b"text/plain", b"ready")
            return
        body = await _read(receive)
        asked = self.decode(body)
        transport = self.routes[asked.model]
        answer = await transport.start(body)
        if asked.stream:
            await _stream(transport, answer, receive, send)
            return
        whole = await answer.more()
        while not answer.ended:
            whole += await answer.more()
        status, kind = answer.head()
        transport.give_back(answer)
        await _reply(send, status, kind, whole)


async def _read(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message["body"]
    while message.get("more_body"):
        message = await receive()
        body += message["body"]
    return body


async def _reply(send: Send, status: int, kind: bytes, body: bytes) -> None:
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _stream(transport: Transport, answer: Answer, receive: Receive, send: Send) -> None:
    pump = asyncio.ensure_future(_pump(answer, send))
    # granian tells of a caller that left only to somebody who asks, so the request's own task asks.
    gone = asyncio.ensure_future(receive())
    await asyncio.wait((pump, gone), return_when=asyncio.FIRST_COMPLETED)
    gone.cancel()
    if pump.done() and not pump.exception():
        transport.give_back(answer)
    else:
        pump.cancel()
        transport.abort(answer)


async def _pump(answer: Answer, send: Send) -> None:
    data = await answer.more()
    status, kind = answer.head()
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
    while data:
        await send({"type": "http.response.body", "body": data, "more_body": True})
        data = await answer.more()
    await send({"type": "http.response.body", "body": b"", "more_body": False})


app = Floor()
