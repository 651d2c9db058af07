"""Where the shared state is: a Redis URL taken apart, and which server is the primary, asked of Sentinels.

`redis://`, `rediss://` and `unix://` name a server. `redis+sentinel://[user:password@]host:port,host:port/name[/db]`
names the Sentinels that watch a primary; user and password are the servers', `?sentinel_password=` is the Sentinels'.
Whoever connects asks them anew each time, so it finds the primary of now.
"""

import asyncio
import ssl
from urllib.parse import parse_qsl, unquote, urlsplit

import hiredis

SENTINEL_PORT = 26379
ASK_S = 0.5
"""A Sentinel has so long to answer; then the next is asked."""


class NoPrimary(OSError):
    """No Sentinel answered, or none knows a primary of this name."""


class Address:
    """A Redis URL taken apart. `sentinels` is empty when host and port are the server's own.

    Raises ValueError for a URL of another kind.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("redis", "rediss", "unix", "redis+sentinel"):
            raise ValueError("REDIS_URL must begin with redis://, rediss://, unix:// or redis+sentinel://")
        options = dict(parse_qsl(parts.query))
        user, _, hosts = parts.netloc.rpartition("@")
        username, _, password = user.partition(":")
        self.username, self.password = unquote(username), unquote(password)
        self.is_unix = parts.scheme == "unix"
        self.path = unquote(parts.path) if self.is_unix else ""
        self.tls = ssl.create_default_context() if parts.scheme == "rediss" else None
        self.sentinels: tuple[tuple[str, int], ...] = ()
        self.primary = ""
        self.sentinel_password = options.get("sentinel_password", "")
        self.host, self.port = "127.0.0.1", 6379
        path_db = parts.path.strip("/") if not self.is_unix else ""
        if parts.scheme == "redis+sentinel":
            self.sentinels = tuple(_place(host, SENTINEL_PORT) for host in hosts.split(","))
            self.primary, _, path_db = path_db.partition("/")
            if not self.primary:
                raise ValueError("REDIS_URL of Sentinels must name the primary: redis+sentinel://host:port/name")
        elif not self.is_unix:
            self.host, self.port = _place(hosts, 6379)
        self.db = int(path_db or options.get("db", "0"))


def _place(text: str, port: int) -> tuple[str, int]:
    one = urlsplit(f"//{text}")
    return one.hostname or "127.0.0.1", one.port or port


async def find_primary(address: Address) -> tuple[str, int]:
    """Host and port of the server to talk to; Sentinels are asked in the order in which they are listed.

    Raises NoPrimary.
    """
    if not address.sentinels:
        return address.host, address.port
    cause = "no Sentinel knows it"
    for host, port in address.sentinels:
        try:
            async with asyncio.timeout(ASK_S):
                found = await _ask(host, port, address)
        except (OSError, TimeoutError, hiredis.ProtocolError, asyncio.IncompleteReadError) as error:
            cause = f"{host}:{port}: {str(error) or type(error).__name__}"
            continue
        if isinstance(found, list) and len(found) == 2:
            return found[0].decode(), int(found[1])
        cause = f"{host}:{port} answered {found}"
    raise NoPrimary(f"the primary {address.primary!r} was not found ({cause})")


async def _ask(host: str, port: int, address: Address) -> object:
    """The last answer of one Sentinel on a connection of its own."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        wanted = 1
        if address.sentinel_password:
            writer.write(hiredis.pack_command(("AUTH", address.sentinel_password)))  # type: ignore[arg-type]
            wanted = 2
        command = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.primary)
        writer.write(hiredis.pack_command(command))  # type: ignore[arg-type]
        parser = hiredis.Reader()
        while True:
            parser.feed(await _some(reader))
            while (answer := parser.gets()) is not False:
                wanted -= 1
                if not wanted or isinstance(answer, hiredis.ReplyError):
                    return answer
    finally:
        writer.close()


async def _some(reader: asyncio.StreamReader) -> bytes:
    data = await reader.read(4096)
    if not data:
        raise ConnectionError("it closed the connection")
    return data
