"""Which addresses may be called: resolve once, check every address, connect to what was checked (SSRF).

Loopback and private ranges only where a node says `allow_private`; link-local, metadata, multicast and unspecified
addresses never. Names are resolved here and pinned in the transport, so a second answer of the name server
(rebinding) is never used.
"""

import asyncio
import ipaddress
import socket
from urllib.parse import urlsplit

from gateway.upstream.seam import UpstreamFault

MAX_NAMES = 2_000
TTL_S = 60.0
RESOLVE_TIMEOUT_S = 5.0

_METADATA = frozenset({ipaddress.ip_address("169.254.169.254"), ipaddress.ip_address("fd00:ec2::254"),
                       ipaddress.ip_address("100.100.100.200")})  # fmt: skip

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_allowed(address: IPAddress, *, allow_private: bool) -> bool:
    """Whether a provider may be reached at `address`. IPv4 inside IPv6 counts as the IPv4 it is."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is not None:
            return is_allowed(inner, allow_private=allow_private)
    if address in _METADATA or address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    if address.is_loopback or address.is_private or not address.is_global:
        return allow_private and not address.is_reserved
    return True


def literal_address(host: str) -> IPAddress | None:
    """The address a host literally is, in any form that a C library takes (decimal, octal, hex); else None."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host)) if host and host[0].isdigit() else None
    except OSError:
        return None


class Resolver:
    """Checked addresses by name, for a minute, bounded."""

    def __init__(self) -> None:
        self.names: dict[tuple[str, int], tuple[float, tuple[str, ...]]] = {}

    async def addresses(self, url: str, *, allow_private: bool) -> tuple[str, ...]:
        """Addresses to pin for the host of `url`; empty when the host is a literal address that may be used as is.

        Raises UpstreamFault `dns` or `blocked_address`.
        """
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        literal = literal_address(host)
        if literal is not None:
            _check(host, literal, allow_private=allow_private)
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
