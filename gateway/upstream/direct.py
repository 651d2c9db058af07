"""The direct transport: HTTP/1.1 on a uvloop protocol and httptools, keep-alive pools, TLS. No proxy, no fingerprint.

The parser is strict (llhttp without leniencies): both `content-length` and `transfer-encoding`, two lengths, a bad
chunk size or a bare LF are the provider's fault, never guessed at. Nobody here repeats a request: an answer that does
not come is a fault, also on a kept connection, and the attempt loop decides.
"""

import asyncio
import contextlib
import ssl
import time
from collections import deque
from typing import Any, cast
from urllib.parse import urlsplit

import httptools

from gateway.upstream.addresses import Resolver
from gateway.upstream.seam import HIGH_WATER_BYTES, FaultKind, Transport, UpstreamCall, UpstreamFault, UpstreamRequest

MAX_OPEN_CALLS = 10_000
MAX_IDLE_WIRES = 1_024
MAX_ORIGINS = 2_000
IDLE_S = 25.0
"""Shorter than the 60 s and more after which servers close idle connections: losing that race costs a request."""
MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 200
MAX_SESSIONS = 1_000
MAX_NAMES = 1_000
EXPIRY_EVERY_S = 5.0

_PoolKey = tuple[str, str, tuple[str, ...]]
"""connection id, scheme and authority, pinned addresses"""


class _Context(ssl.SSLContext):
    """A client context that resumes TLS sessions; asyncio has no way to hand one over, so it is put in here."""

    sessions: dict[str, ssl.SSLSession]

    def keep(self, host: str, session: ssl.SSLSession) -> None:
        """The newest session of a host is offered to it next time."""
        self.sessions.pop(host, None)
        if len(self.sessions) >= MAX_SESSIONS:
            del self.sessions[next(iter(self.sessions))]
        self.sessions[host] = session

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        options["session"] = self.sessions.get(options.get("server_hostname") or "")
        return super().wrap_bio(*arguments, **options)


class _Origin:
    """What is fixed about one URL: where to connect, and the head's first lines."""

    __slots__ = ("authority", "host", "is_tls", "port", "start")

    def __init__(self, method: str, url: str) -> None:
        parts = urlsplit(url)
        self.is_tls = parts.scheme == "https"
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if self.is_tls else 80)
        place = parts.netloc.rpartition("@")[2]
        self.authority = f"{parts.scheme}://{place}"
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self.start = f"{method} {target} HTTP/1.1\r\nHost: {place}\r\nAccept-Encoding: identity\r\n".encode()


class _Wire(asyncio.Protocol):
    """One connection. It serves one call at a time and goes back to its pool when the answer is whole."""

    __slots__ = ("_bare_bytes", "_has_session", "_has_surplus", "_head_bytes", "_headers", "_is_paused", "_is_whole",
                 "_keeps", "_names", "_owner", "_parser", "_status", "_until_close", "call", "idle_since", "key",
                 "transport")  # fmt: skip

    def __init__(self, owner: "DirectTransport", key: _PoolKey) -> None:
        self._owner = owner
        self._names = owner.names
        self.key = key
        self.transport: asyncio.Transport | None = None
        self.call: UpstreamCall | None = None
        self.idle_since = 0.0
        self._is_paused = False
        self._has_session = False
        self._parser = httptools.HttpResponseParser(self)
        self._reset()

    def _reset(self) -> None:
        self._headers: dict[str, str] = {}
        self._head_bytes = 0
        self._bare_bytes = 0
        """Bytes since the last byte of a body: head, interim answers, chunk extensions, trailers."""
        self._status = 0
        self._keeps = False
        self._until_close = False
        self._is_whole = False
        self._has_surplus = False

    # -- asyncio -------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's does not inherit asyncio's

    def data_received(self, data: bytes) -> None:
        call = self.call
        if call is None:  # nobody asked: what comes cannot belong to the next answer
            self.close()
            return
        self._bare_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self._is_whole:
                self._end(UpstreamFault("protocol", "the provider's answer breaks the rules of HTTP"))
                return
            self._has_surplus = True
        if self._is_whole:
            self._finish()
        elif self._bare_bytes > MAX_HEAD_BYTES:
            self._end(UpstreamFault("protocol", "the provider's headers are too large"))
        elif call.held >= HIGH_WATER_BYTES and not self._is_paused:
            self._is_paused = True
            assert self.transport is not None
            self.transport.pause_reading()

    def eof_received(self) -> None:
        if self.call is not None and self._until_close:
            self._keeps = False
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self.call is not None:
            if self._until_close and exc is None:
                self._finish()
            else:
                self._end(UpstreamFault("reset", _TEXTS["reset"]))
        self._owner.forget(self)

    # -- httptools -----------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._is_whole:  # nobody asked for another answer
            self._has_surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MAX_HEAD_BYTES or len(self._headers) >= MAX_HEADERS:
            raise ValueError("too many headers")  # the parser makes an error of its own of it
        if not self._status:  # else it is a trailer
            self._headers[self._names.get(name) or self._owner.name_of(name)] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._is_whole:
            return
        status = self._parser.get_status_code()
        if status < 200:
            self._headers = {}
            return
        self._status = status
        self._keeps = self._parser.should_keep_alive()
        headers = self._headers
        self._until_close = "content-length" not in headers and "transfer-encoding" not in headers
        if self.call is not None:
            self.call.feed_head(status, headers)

    def on_body(self, data: bytes) -> None:
        self._bare_bytes = 0
        if self.call is not None and not self._is_whole:
            self.call.feed(data)

    def on_message_complete(self) -> None:
        if self._status:
            self._is_whole = True

    # -- calls ---------------------------------------------------------------------------------------------------

    @property
    def is_usable(self) -> bool:
        return self.transport is not None and not self.transport.is_closing()

    def begin(self, call: UpstreamCall, head: bytes, body: bytes) -> None:
        self.call = call
        call.on_cancel = self._cancel
        call.on_drained = self._resume
        assert self.transport is not None
        self.transport.write(head + body if len(body) < 65_536 else head)
        if len(body) >= 65_536:
            self.transport.write(body)

    def close(self) -> None:
        self._owner.forget(self)
        if self.transport is not None:
            self.transport.abort()

    def _finish(self) -> None:
        transport = self.transport
        if self._is_paused:
            self._resume()
        if transport is not None and not self._has_session:
            self._has_session = True
            self._owner.keep_session(transport)
        # An answer that came before all of the request was sent leaves the connection in between two requests.
        keeps = (
            self._keeps and not self._has_surplus and transport is not None and transport.get_write_buffer_size() == 0
        )
        self._let_go(None)
        if keeps:
            self._reset()
            self._owner.give_back(self)
        else:
            self.close()

    def _end(self, fault: UpstreamFault) -> None:
        self._let_go(fault)
        self.close()

    def _let_go(self, fault: UpstreamFault | None) -> None:
        """The call may be read on for a while; it has no say over this connection any more."""
        call, self.call = self.call, None
        if call is not None:
            call.on_cancel = call.on_drained = _nothing
            call.feed_end(fault)

    def _cancel(self) -> None:
        self.call = None
        self.close()

    def _resume(self) -> None:
        if self._is_paused and self.transport is not None:
            self._is_paused = False
            self.transport.resume_reading()


class DirectTransport(Transport):
    """Calls over pooled connections of our own. Make it inside the running loop."""

    def __init__(
        self,
        resolver: Resolver,
        max_open_calls: int = MAX_OPEN_CALLS,
        max_idle_wires: int = MAX_IDLE_WIRES,
        idle_s: float = IDLE_S,
        ca_file: str | None = None,
    ) -> None:
        self._resolver = resolver
        self._loop = asyncio.get_running_loop()
        self._max_open_calls = max_open_calls
        self._max_idle_wires = max_idle_wires
        self._idle_s = idle_s
        self._context = _client_context(ca_file)
        self.names: dict[bytes, str] = {}
        """Names of headers, by how they came."""
        self._origins: dict[tuple[str, str], _Origin] = {}
        self._idle: dict[_PoolKey, deque[_Wire]] = {}
        self._wires: set[_Wire] = set()
        self._idle_count = 0
        self._opening: dict[asyncio.Task[None], UpstreamCall] = {}
        self._expiry = self._loop.call_later(min(EXPIRY_EVERY_S, self._idle_s), self._expire)

    @property
    def open_calls(self) -> int:
        return len(self._wires) - self._idle_count + len(self._opening)

    @property
    def known_origins(self) -> int:
        return len(self._origins)

    @property
    def idle_wires(self) -> int:
        return self._idle_count

    async def start(self, request: UpstreamRequest) -> UpstreamCall:
        connection = request.connection
        addresses = self._resolver.known(request.url, allow_private=connection.allow_private)
        if addresses is None:
            addresses = await self._resolver.addresses(request.url, allow_private=connection.allow_private)
        if self.open_calls >= self._max_open_calls:
            raise UpstreamFault("no_capacity", "this worker has as many upstream calls open as it may")
        origin = self._origin(request.method, request.url)
        key = (connection.id, origin.authority, addresses)
        own = (*request.headers, b"Content-Length: %d\r\n\r\n" % len(request.body))
        head = origin.start + connection.header_block + b"\r\n".join(own)
        wire = self._take(key)
        if wire is not None:
            call = UpstreamCall(_nothing, _nothing, self._loop)
            wire.begin(call, head, request.body)
            return call
        return self._open(key, origin, head, request)

    def name_of(self, header: bytes) -> str:
        """A header's name as it is looked up. Providers send twenty and more with every answer, always the same."""
        name = header.decode("latin-1").lower()
        if len(self.names) < MAX_NAMES:
            self.names[header] = name
        return name

    def give_back(self, wire: _Wire) -> None:
        """A connection whose answer was whole waits for the next request."""
        if self._idle_count >= self._max_idle_wires:
            wire.close()
            return
        wire.idle_since = time.monotonic()
        self._idle.setdefault(wire.key, deque()).append(wire)
        self._idle_count += 1

    def keep_session(self, transport: asyncio.Transport) -> None:
        """The tickets of TLS 1.3 come after the handshake, so this is asked for when the first answer is whole."""
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.session is not None and tls.server_hostname:
            self._context.keep(tls.server_hostname, tls.session)

    def forget(self, wire: _Wire) -> None:
        """A connection is closed, or about to be."""
        self._wires.discard(wire)
        waiting = self._idle.get(wire.key)
        if waiting and wire in waiting:
            waiting.remove(wire)
            self._idle_count -= 1
            if not waiting:
                del self._idle[wire.key]

    async def close(self) -> None:
        self._expiry.cancel()
        opening = tuple(self._opening.items())
        for _, call in opening:
            call.cancel()
        for wire in tuple(self._wires):
            if wire.call is not None:
                wire.call.cancel()
            wire.close()
        await asyncio.gather(*(task for task, _ in opening), return_exceptions=True)
        await asyncio.sleep(0)  # connections that were aborted are closed in the next turn of the loop

    def _take(self, key: _PoolKey) -> _Wire | None:
        """The connection used last: the others get old and expire, so the pool shrinks when load falls."""
        waiting = self._idle.get(key)
        while waiting:
            wire = waiting.pop()
            self._idle_count -= 1
            if not waiting:
                del self._idle[key]
            if wire.is_usable:
                return wire
            wire.close()
        return None

    def _origin(self, method: str, url: str) -> _Origin:
        origin = self._origins.get((method, url))
        if origin is None:
            if len(self._origins) >= MAX_ORIGINS:
                del self._origins[next(iter(self._origins))]
            origin = self._origins[method, url] = _Origin(method, url)
        return origin

    def _open(self, key: _PoolKey, origin: _Origin, head: bytes, request: UpstreamRequest) -> UpstreamCall:
        """Connect in a task of its own, so that a caller who leaves meanwhile ends the try at once."""
        call = UpstreamCall(_nothing, _nothing, self._loop)
        task = self._loop.create_task(self._connect(call, key, origin, head, request))
        self._opening[task] = call

        def leave() -> None:
            self._opening.pop(task, None)
            task.cancel()

        call.on_cancel = leave
        task.add_done_callback(lambda done: self._opening.pop(done, None))
        return call

    async def _connect(
        self, call: UpstreamCall, key: _PoolKey, origin: _Origin, head: bytes, request: UpstreamRequest
    ) -> None:
        wire: _Wire | None = None
        fault: UpstreamFault | None = None
        try:
            wire = await self._dial(key, origin, request.connect_s)
        except (OSError, ValueError) as error:  # a timeout is an OSError; ValueError: a host that cannot be a TLS name
            fault = _connect_fault(error, is_tls=origin.is_tls)
        self._opening.pop(cast("asyncio.Task[None]", asyncio.current_task()), None)
        if wire is not None and wire.is_usable:
            self._wires.add(wire)
            wire.begin(call, head, request.body)
            return
        if wire is not None:  # closed meanwhile, or it spoke before it was asked
            wire.close()
        call.on_cancel = _nothing
        call.feed_end(fault or UpstreamFault("reset", _TEXTS["reset"]))

    async def _dial(self, key: _PoolKey, origin: _Origin, within_s: float) -> _Wire:
        """Try the checked addresses in order; a silent one has its share of the time. Raises the last one's error."""
        ends_at = time.monotonic() + within_s
        *others, last = key[2] or (origin.host,)
        for index, address in enumerate(others):
            share_s = (ends_at - time.monotonic()) / (len(others) + 1 - index)
            with contextlib.suppress(OSError):
                return await self._dial_one(key, origin, address, share_s)
        return await self._dial_one(key, origin, last, ends_at - time.monotonic())

    async def _dial_one(self, key: _PoolKey, origin: _Origin, address: str, within_s: float) -> _Wire:
        wire = _Wire(self, key)
        try:
            async with asyncio.timeout(within_s):
                await asyncio.get_running_loop().create_connection(
                    lambda: wire,
                    address,
                    origin.port,
                    ssl=self._context if origin.is_tls else None,
                    server_hostname=origin.host if origin.is_tls else None,
                )
        except BaseException:  # a cancel too: it may have been connected in the same moment
            wire.close()
            raise
        return wire

    def _expire(self) -> None:
        oldest = time.monotonic() - self._idle_s
        for waiting in tuple(self._idle.values()):
            for wire in tuple(waiting):
                if wire.idle_since < oldest:
                    wire.close()
        self._expiry = asyncio.get_running_loop().call_later(min(EXPIRY_EVERY_S, self._idle_s), self._expire)


def _nothing() -> None:
    """What a call does before it has a connection."""


def _connect_fault(error: Exception, *, is_tls: bool) -> UpstreamFault:
    kind: FaultKind = "refused"
    if isinstance(error, TimeoutError):
        kind = "connect_timeout"
    elif isinstance(error, ssl.SSLError | ValueError) or (is_tls and isinstance(error, _CUT)):
        kind = "tls"
    return UpstreamFault(kind, _TEXTS[kind])


def _client_context(ca_file: str | None) -> _Context:
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    context.sessions = {}
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_default_certs()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


_CUT = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)
"""A peer that leaves in the middle of a TLS handshake; a port that is closed refuses instead."""

_TEXTS: dict[FaultKind, str] = {
    "refused": "the provider refuses connections",
    "tls": "no secure connection to the provider could be made",
    "connect_timeout": "the provider could not be reached in time",
    "reset": "the provider cut the connection",
}
