"""Which addresses may be called: resolve once, check every address, connect to what was checked (SSRF).

Loopback and private ranges only where a node says `allow_private`; link-local, metadata, multicast and unspecified
addresses never. Names are resolved here and pinned in the transport, so a second answer of the name server
(rebinding) is never used.
"""

import asyncio
import ipaddress
import socket
from urllib.parse import urlsplit

from gateway.config.addresses import IPAddress, literal_address, reach_of_address
from gateway.upstream.seam import UpstreamFault

MAX_NAMES = 2_000
TTL_S = 60.0
RESOLVE_TIMEOUT_S = 5.0


def is_allowed(address: IPAddress, *, allow_private: bool) -> bool:
    """Whether a provider may be reached at `address`. IPv4 inside IPv6 counts as the IPv4 it is."""
    reach = reach_of_address(address)
    return reach == "public" or (reach == "private" and allow_private)


class Resolver:
    """Checked addresses by name, for a minute, bounded."""

    def __init__(self) -> None:
        self.literals: dict[str, bool] = {}
        """URLs with a literal address that was found allowed, with the `allow_private` it was judged under."""
        self.names: dict[tuple[str, int], tuple[float, tuple[str, ...]]] = {}

    async def addresses(self, url: str, *, allow_private: bool) -> tuple[str, ...]:
        """Addresses to pin for the host of `url`; empty when the host is a literal address that may be used as is.

        Raises UpstreamFault `dns` or `blocked_address`.
        """
        if self.literals.get(url) is allow_private:
            return ()
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        literal = literal_address(host.lower())
        if literal is not None:
            _check(host, literal, allow_private=allow_private)
            if len(self.literals) >= MAX_NAMES:
                del self.literals[next(iter(self.literals))]
            self.literals[url] = allow_private
            return ()
        loop = asyncio.get_running_loop()
        known = self.names.get((host, port))
        if known is None or known[0] < loop.time():
            known = (loop.time() + TTL_S, await _resolve(host, port))
            if len(self.names) >= MAX_NAMES:
                del self.names[next(iter(self.names))]
            self.names[host, port] = known
        for address in known[1]:
            _check(host, ipaddress.ip_address(address), allow_private=allow_private)
        return known[1]


async def _resolve(host: str, port: int) -> tuple[str, ...]:
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError) as error:
        raise UpstreamFault("dns", f"the name {host!r} cannot be resolved") from error
    return tuple(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))


def _check(host: str, address: IPAddress, *, allow_private: bool) -> None:
    if not is_allowed(address, allow_private=allow_private):
        raise UpstreamFault(
            "blocked_address",
            f"{host!r} is at an address that may not be called; loopback and private ones need allow_private on the node",
        )
