"""The curl transport: TLS fingerprints, HTTP/2, HTTP and SOCKS5 proxies. curl_cffi at its low level.

One multi handle a worker; easy handles are prepared once per (connection, URL, addresses, headers) and kept in a
free list, so that a request sets its body and little else (143 against 260 µs with a session, docs/adr/0002).
`CURL_WRITEFUNC_PAUSE` gives back-pressure, `remove_handle` a cancel that closes the connection at once.
"""

from urllib.parse import urlsplit

from curl_cffi import AsyncCurl, Curl, CurlError, CurlHttpVersion, CurlMOpt, CurlOpt
from curl_cffi._wrapper import ffi, lib
from curl_cffi.const import CurlECode
from curl_cffi.curl import CURL_WRITEFUNC_ERROR, CURL_WRITEFUNC_PAUSE, CURLPAUSE_CONT

from gateway.upstream.addresses import Resolver
from gateway.upstream.seam import (
    HIGH_WATER_BYTES,
    FaultKind,
    Transport,
    UpstreamCall,
    UpstreamFault,
    UpstreamRequest,
)

MAX_OPEN_CALLS = 4_000
"""An open easy handle costs about 230 kB (measured): the bound is one gigabyte a worker."""
MAX_IDLE_HANDLES = 256
MAX_IDLE_CONNECTIONS = 2_048
MAX_HEAD_LINES = 200
IDLE_CONNECTION_S = 60
PROXY_PORT = 1080
"""libcurl's, for a proxy without TLS that names none."""

_FAULTS: dict[int, FaultKind] = {
    CurlECode.COULDNT_RESOLVE_HOST: "dns",
    CurlECode.COULDNT_RESOLVE_PROXY: "dns",
    CurlECode.COULDNT_CONNECT: "refused",
    CurlECode.OPERATION_TIMEDOUT: "connect_timeout",
    CurlECode.SSL_CONNECT_ERROR: "tls",
    CurlECode.PEER_FAILED_VERIFICATION: "tls",
    CurlECode.SSL_CERTPROBLEM: "tls",
    CurlECode.SSL_CACERT_BADFILE: "tls",
    CurlECode.WEIRD_SERVER_REPLY: "protocol",
    CurlECode.UNSUPPORTED_PROTOCOL: "protocol",
    CurlECode.URL_MALFORMAT: "protocol",
    CurlECode.BAD_CONTENT_ENCODING: "protocol",
    CurlECode.GOT_NOTHING: "reset",
    CurlECode.PARTIAL_FILE: "reset",
    CurlECode.RECV_ERROR: "reset",
    CurlECode.SEND_ERROR: "reset",
}
"""libcurl's error codes; one that is not listed is `protocol`."""


class _Multi(AsyncCurl):
    """Tells a handle at once how it ended: the library's futures would cost one wake-up more."""

    def __init__(self) -> None:
        super().__init__()
        self.handles: dict[Curl, _Handle] = {}

    def set_result(self, curl: Curl) -> None:
        self._pop_future(curl)
        self.handles[curl].finished(None)

    def set_exception(self, curl: Curl, exception: Exception) -> None:
        self._pop_future(curl)
        self.handles[curl].finished(exception)


_HandleKey = tuple[str, str, str, tuple[str, ...], tuple[bytes, ...], str, str, tuple[str, ...]]
"""connection id, method, URL, addresses, the connection's headers, fingerprint, proxy, the proxy's addresses"""


class _Handle:
    """One prepared easy handle, and the call it serves now."""

    __slots__ = ("_headers", "_is_paused", "_lines", "_transport", "call", "curl", "key")

    def __init__(self, transport: "CurlTransport", key: _HandleKey, request: UpstreamRequest) -> None:
        self._transport = transport
        self.key = key
        self.curl = Curl()
        self.curl._ws_recv_buffer = None  # 128 kB for WebSockets, which no handle of ours ever serves
        self._headers: tuple[bytes, ...] | None = None
        self.call: UpstreamCall | None = None
        self._lines: list[bytes] = []
        self._is_paused = False
        self._prepare(request, key[3], key[7])

    def _prepare(self, request: UpstreamRequest, addresses: tuple[str, ...], proxy_at: tuple[str, ...]) -> None:
        curl, connection = self.curl, request.connection
        if connection.fingerprint:
            curl.impersonate(connection.fingerprint, default_headers=False)
        else:
            curl.setopt(CurlOpt.HTTP_VERSION, CurlHttpVersion.V1_1)
        curl.setopt(CurlOpt.URL, request.url.encode())
        curl.setopt(CurlOpt.CUSTOMREQUEST, request.method.encode())
        curl.setopt(CurlOpt.PROTOCOLS_STR, b"http,https")
        curl.setopt(CurlOpt.FOLLOWLOCATION, 0)
        curl.setopt(CurlOpt.NOSIGNAL, 1)
        curl.setopt(CurlOpt.TCP_NODELAY, 1)
        curl.setopt(CurlOpt.MAXAGE_CONN, IDLE_CONNECTION_S)
        curl.setopt(CurlOpt.CONNECTTIMEOUT_MS, max(1, int(request.connect_s * 1000)))
        # An empty proxy switches off http_proxy and friends of the environment.
        curl.setopt(CurlOpt.PROXY, connection.proxy.encode())
        pins = [_pin(request.url, addresses, 80)] if addresses else []
        if proxy_at:
            pins.append(_pin(connection.proxy, proxy_at, PROXY_PORT))
        if pins:
            curl.setopt(CurlOpt.RESOLVE, pins)

    def start(self, request: UpstreamRequest) -> UpstreamCall:
        self._lines = []
        self._is_paused = False
        body = request.body
        if request.headers != self._headers:
            self._set_headers(request)
        self.curl.setopt(CurlOpt.POSTFIELDSIZE_LARGE, len(body))
        self.curl.setopt(CurlOpt.POSTFIELDS, body)
        self.call = call = UpstreamCall(self._cancel, self._resume)
        return call

    def _set_headers(self, request: UpstreamRequest) -> None:
        """Most callers send the same headers each time; only a change is paid for."""
        self._headers = request.headers
        curl = self.curl
        curl.clean_handles_and_buffers(clear_headers=True, clear_resolve=False)
        own = request.connection.headers
        curl.setopt(CurlOpt.HTTPHEADER, [*own, *request.headers, b"Accept-Encoding: identity", b"Expect:"])
        curl.setopt(CurlOpt.HEADERFUNCTION, self._on_header)
        curl.setopt(CurlOpt.WRITEFUNCTION, self._on_body)

    def finished(self, error: Exception | None) -> None:
        """The transfer is over, as libcurl says."""
        call, self.call = self.call, None
        if call is not None:
            if error is None and not call.has_head:
                error = UpstreamFault("reset", "the provider closed the connection without an answer")
            call.feed_end(_fault(error))
        self._transport.give_back(self)

    def _on_header(self, line: bytes) -> int:
        call = self.call
        if call is None or len(self._lines) > MAX_HEAD_LINES:
            return CURL_WRITEFUNC_ERROR
        if line not in (b"\r\n", b"\n"):
            self._lines.append(line)
            return len(line)
        lines, self._lines = self._lines, []
        status = _status(lines[0]) if lines else 0
        if status >= 200:
            call.feed_head(status, _headers(lines[1:]))
        return len(line)

    def _on_body(self, data: bytes) -> int:
        call = self.call
        if call is None:
            return CURL_WRITEFUNC_ERROR
        if call.held >= HIGH_WATER_BYTES:
            self._is_paused = True
            return CURL_WRITEFUNC_PAUSE
        call.feed(data)
        return len(data)

    def _resume(self) -> None:
        if self._is_paused and self.call is not None:
            self._is_paused = False
            self.curl.pause(CURLPAUSE_CONT)

    def _cancel(self) -> None:
        self.call = None
        self._transport.abort(self)


class CurlTransport(Transport):
    """Calls through libcurl. Make it inside the running loop."""

    def __init__(self, resolver: Resolver, max_open_calls: int = MAX_OPEN_CALLS) -> None:
        self._multi = _Multi()
        # The library's own setopt passes a pointer where libcurl wants the number: connections were not kept at all.
        lib.curl_multi_setopt(self._multi._curlm, CurlMOpt.MAXCONNECTS, ffi.cast("void *", MAX_IDLE_CONNECTIONS))
        self._resolver = resolver
        self._max_open_calls = max_open_calls
        self._idle: dict[_HandleKey, list[_Handle]] = {}
        self._idle_count = 0
        self._open: set[_Handle] = set()

    @property
    def open_calls(self) -> int:
        return len(self._open)

    @property
    def idle_handles(self) -> int:
        return self._idle_count

    async def start(self, request: UpstreamRequest) -> UpstreamCall:
        if len(self._open) >= self._max_open_calls:
            raise UpstreamFault("no_capacity", "this worker has as many upstream calls open as it may")
        connection = request.connection
        addresses: tuple[str, ...] = ()
        proxy_at = await self._addresses(connection.proxy, allow_private=True) if connection.proxy else ()
        if not connection.proxy or connection.proxy.startswith("socks5://"):
            addresses = await self._addresses(request.url, allow_private=connection.allow_private)
        else:  # the proxy resolves names
            self._resolver.is_literal(request.url, allow_private=connection.allow_private)
        key = (
            connection.id, request.method, request.url, addresses, connection.headers,
            connection.fingerprint, connection.proxy, proxy_at,
        )  # fmt: skip
        handle = self._take(key) or self._new(key, request)
        call = handle.start(request)
        self._open.add(handle)
        self._multi.add_handle(handle.curl)
        return call

    async def _addresses(self, url: str, *, allow_private: bool) -> tuple[str, ...]:
        known = self._resolver.known(url, allow_private=allow_private)
        return await self._resolver.addresses(url, allow_private=allow_private) if known is None else known

    def give_back(self, handle: _Handle) -> None:
        """A handle whose transfer is over waits for the next one of its kind."""
        self._open.discard(handle)
        handle.curl.setopt(CurlOpt.POSTFIELDS, b"")  # lets go of the body
        if self._idle_count >= MAX_IDLE_HANDLES:
            self._drop_oldest()
        self._idle.setdefault(handle.key, []).append(handle)
        self._idle_count += 1

    def abort(self, handle: _Handle) -> None:
        """Close the connection of a running transfer."""
        if handle in self._open:
            self._multi.remove_handle(handle.curl)
            self.give_back(handle)

    async def close(self) -> None:
        for handle in list(self._open):
            if handle.call is not None:
                handle.call.cancel()
        await self._multi.close()  # type: ignore[no-untyped-call]  # the library has no types here

    def _take(self, key: _HandleKey) -> _Handle | None:
        waiting = self._idle.get(key)
        if not waiting:
            return None
        handle = waiting.pop()
        self._idle_count -= 1
        if not waiting:
            del self._idle[key]
        return handle

    def _new(self, key: _HandleKey, request: UpstreamRequest) -> _Handle:
        handle = _Handle(self, key, request)
        self._multi.handles[handle.curl] = handle
        return handle

    def _drop_oldest(self) -> None:
        key = next(iter(self._idle))
        handle = self._take(key)
        if handle is not None:
            del self._multi.handles[handle.curl]
            handle.curl.close()


def _pin(url: str, addresses: tuple[str, ...], port: int) -> str:
    """For `CURLOPT_RESOLVE`: the host of `url` is at these checked addresses, whatever a name server says later."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else port)
    return f"{parts.hostname}:{port}:" + ",".join(f"[{one}]" if ":" in one else one for one in addresses)


def _status(line: bytes) -> int:
    parts = line.split(None, 2)
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0


def _headers(lines: list[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    return headers


def _fault(error: Exception | None) -> UpstreamFault | None:
    if error is None or isinstance(error, UpstreamFault):
        return error
    if isinstance(error, CurlError):
        kind = _FAULTS.get(int(error.code), "protocol")
        return UpstreamFault(kind, _TEXTS.get(kind, "the provider's answer breaks the rules of HTTP"))
    return UpstreamFault("protocol", "the provider's answer could not be read")


_TEXTS: dict[FaultKind, str] = {
    "dns": "the provider's name cannot be resolved",
    "refused": "the provider refuses connections",
    "connect_timeout": "the provider could not be reached in time",
    "tls": "no secure connection to the provider could be made",
    "reset": "the provider cut the connection",
}
"""Our own words: libcurl's may hold a proxy's URL with its password."""
