"""Pictures that a caller names by URL, fetched for a provider that takes only bytes.

The URL comes from a stranger: only public addresses are called (checked after the name is resolved, and the checked
address is the one that is called), every redirect is checked anew, and nothing but a picture comes back. Nothing of a
caller is sent along: no cookies, no credentials.
"""

import asyncio
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from urllib.parse import quote, urljoin, urlsplit

from gateway.dialects.media import sniff_image
from gateway.domain.target import Connection
from gateway.upstream.addresses import Resolver
from gateway.upstream.direct import DirectTransport
from gateway.upstream.seam import Cancelled, FaultKind, UpstreamCall, UpstreamFault, UpstreamRequest

MAX_URL_CHARS = 8192
MAX_BYTES = 10 * 1024 * 1024
MAX_PICTURES = 100
MAX_ALL_BYTES = 32 * 1024 * 1024
"""Of one request: as much as a body may have that brings its pictures itself."""
MAX_HELD_BYTES = 128 * 1024 * 1024
"""Of all pictures that this worker is fetching."""
MAX_REDIRECTS = 3
AT_ONCE = 4
"""Of one request."""
AT_ONCE_IN_ALL = 32
CONNECT_S = 5.0

_SNIFFED_BYTES = 48
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HOST = re.compile(r"[a-z0-9._-]{1,253}|[0-9a-f:.]{2,45}")
_PATH_CHARS = "/%:@!$&'()*+,;=~-._"
_HEADERS = (b"Accept: image/*", b"User-Agent: omniroute-picture-fetcher", b"Connection: close")

Picture = tuple[str, str]
"""(media type by its first bytes, standard base64)"""


class PictureUnavailable(Exception):
    """The picture cannot be had. The text is for the caller: it says why, and no more of the URL than its host."""


class PictureFetcher:
    """Fetches pictures over a transport of its own, which keeps no connection to a stranger's server.

    Make it inside the running loop, best with a resolver that providers do not share: each remembers so many names.
    `allow_private` is for tests alone.
    """

    def __init__(self, resolver: Resolver, *, allow_private: bool = False, ca_file: str | None = None) -> None:
        self._transport = DirectTransport(resolver, AT_ONCE_IN_ALL, max_idle_wires=0, ca_file=ca_file)
        self._at_once = asyncio.Semaphore(AT_ONCE_IN_ALL)
        self._held_bytes = 0
        self._connection = Connection(
            id="pictures",
            name="pictures",
            provider="pictures",
            prefix="pictures",
            dialect="openai_chat",
            paths={},
            headers=_HEADERS,
            allow_private=allow_private,
        )

    async def fetch(self, url: str, *, within_s: float) -> Picture:
        """One picture, waiting for its turn included. Raises PictureUnavailable."""
        url, host = _checked(url)
        try:
            async with asyncio.timeout(within_s), self._at_once:
                for _ in range(MAX_REDIRECTS + 1):
                    found = await self._ask(url, host)
                    if isinstance(found, bytes):
                        return _media_type(found, host), b64encode(found).decode()
                    url, host = _checked(found)
        except TimeoutError as error:
            raise _unavailable(host, f"it did not come within {within_s:g} s") from error
        except UpstreamFault as fault:
            raise _unavailable(host, _REASONS.get(fault.kind, "the connection failed")) from fault
        except Cancelled as error:
            raise _unavailable(host, "the gateway is stopping") from error
        raise _unavailable(host, f"it is redirected more than {MAX_REDIRECTS} times")

    async def fetch_all(self, urls: Iterable[str], *, within_s: float) -> Mapping[str, Picture]:
        """The pictures of one request by URL, each fetched once. Raises PictureUnavailable for the first that fails."""
        asked = tuple(dict.fromkeys(urls))
        if len(asked) > MAX_PICTURES:
            raise PictureUnavailable(f"a request may name {MAX_PICTURES} pictures by URL")
        turn = asyncio.Semaphore(AT_ONCE)
        size = 0

        async def fetch(url: str) -> Picture:
            nonlocal size
            async with turn:
                picture = await self.fetch(url, within_s=max(ends_at - loop.time(), 0.001))
            size += len(picture[1]) * 3 // 4
            if size > MAX_ALL_BYTES:
                raise PictureUnavailable(f"the pictures of a request may have {MAX_ALL_BYTES} bytes in all")
            return picture

        loop = asyncio.get_running_loop()
        ends_at = loop.time() + within_s
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {url: group.create_task(fetch(url)) for url in asked}
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return {url: task.result() for url, task in tasks.items()}

    async def close(self) -> None:
        """End what is being fetched."""
        await self._transport.close()

    async def _ask(self, url: str, host: str) -> bytes | str:
        """The body, or the URL that it is redirected to."""
        request = UpstreamRequest(self._connection, url, (), b"", CONNECT_S, "GET")
        call = await self._transport.start(request)
        try:
            await call.head()
            if call.status in _REDIRECTS and "location" in call.headers:
                return _redirected(url, call.headers["location"], host)
            if call.status != 200:
                raise _unavailable(host, f"the server answers with status {call.status}")
            if int(call.headers.get("content-length", "0")) > MAX_BYTES:
                raise _too_large(host)
            return await self._read(call, host)
        finally:
            if not call.is_over:
                call.cancel()

    async def _read(self, call: UpstreamCall, host: str) -> bytes:
        """At most MAX_BYTES, and only as long as they may be a picture."""
        body = bytearray()
        try:
            while data := await call.read():
                is_new = len(body) < _SNIFFED_BYTES
                body += data
                self._held_bytes += len(data)
                if len(body) > MAX_BYTES:
                    raise _too_large(host)
                if self._held_bytes > MAX_HELD_BYTES:
                    raise _unavailable(host, "the gateway is fetching too many pictures just now")
                if is_new and len(body) >= _SNIFFED_BYTES:
                    _media_type(body, host)
        finally:
            self._held_bytes -= len(body)
        return bytes(body)


def _checked(url: str) -> tuple[str, str]:
    """The URL as it may stand in a request line, and its host. What is no plain web address is refused."""
    if len(url) > MAX_URL_CHARS:
        raise PictureUnavailable(f"a picture's URL may have {MAX_URL_CHARS} characters")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname or ""
        if not host.isascii():
            host = host.encode("idna").decode()
    except ValueError as error:
        raise PictureUnavailable("a picture's URL is not a web address") from error
    if parts.scheme not in ("http", "https"):
        raise PictureUnavailable("a picture's URL must begin with http:// or https://, or be a data: URL")
    if not _HOST.fullmatch(host):
        raise PictureUnavailable("a picture's URL names no host that can be called")
    if "@" in parts.netloc:
        raise _unavailable(host, "its URL holds credentials")
    place = f"[{host}]" if ":" in host else host
    place += f":{port}" if port is not None else ""
    query = f"?{quote(parts.query, safe=_PATH_CHARS + '?')}" if parts.query else ""
    return f"{parts.scheme}://{place}{quote(parts.path, safe=_PATH_CHARS) or '/'}{query}", host


def _redirected(url: str, location: str, host: str) -> str:
    try:
        return urljoin(url, location.encode("latin-1").decode("utf-8", "replace"))
    except ValueError as error:
        raise _unavailable(host, "it is redirected to what is no URL") from error


def _media_type(body: bytes | bytearray, host: str) -> str:
    media_type = sniff_image(b64encode(body[:_SNIFFED_BYTES]).decode())
    if not media_type:
        raise _unavailable(host, "what the server sends is not a picture of a known format")
    return media_type


def _unavailable(host: str, reason: str) -> PictureUnavailable:
    return PictureUnavailable(f"the picture at {host} cannot be fetched: {reason}")


def _too_large(host: str) -> PictureUnavailable:
    return _unavailable(host, f"it has more than {MAX_BYTES} bytes")


_REASONS: dict[FaultKind, str] = {
    "refused": "the server refuses connections",
    "dns": "the host's name cannot be resolved",
    "blocked_address": "the host is at an address that may not be called",
    "tls": "no secure connection to the server could be made",
    "connect_timeout": "the server could not be reached in time",
    "reset": "the server cut the connection",
    "protocol": "the server's answer breaks the rules of HTTP",
    "no_capacity": "the gateway has too many calls open",
}
