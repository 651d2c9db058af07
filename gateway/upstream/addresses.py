"""Which addresses may be called: resolve once, check every address, connect to what was checked (SSRF).

Loopback and private ranges only where a node says `allow_private`; link-local, metadata, multicast and unspecified
addresses never. Names are resolved here and pinned in the transport, so a second answer of the name server
(rebinding) is never used.
"""

import asyncio
import ipaddress
import math
import socket
import time
from typing import Any
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
        self.names: dict[tuple[str, int], tuple[float, tuple[str, ...]]] = {}
        """(until when, addresses) of a name and port."""
        self.checked: dict[tuple[str, bool], tuple[float, tuple[str, ...]]] = {}
        """The same of a URL, found allowed under an `allow_private`: what each request asks for."""

    def known(self, url: str, *, allow_private: bool) -> tuple[str, ...] | None:
        """What `addresses` would give, if that is known now."""
        found = self.checked.get((url, allow_private))
        return found[1] if found is not None and found[0] > time.monotonic() else None

    async def addresses(self, url: str, *, allow_private: bool) -> tuple[str, ...]:
        """Addresses to pin for the host of `url`; empty when the host is a literal address that may be used as is.

        Raises UpstreamFault `dns` or `blocked_address`.
        """
        if self.is_literal(url, allow_private=allow_private):
            return ()
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        known = self.names.get((host, port))
        if known is None or known[0] < time.monotonic():
            known = (time.monotonic() + TTL_S, await _resolve(host, port))
            _keep(self.names, (host, port), known)
        for address in known[1]:
            _check(host, ipaddress.ip_address(address), allow_private=allow_private)
        _keep(self.checked, (url, allow_private), known)
        return known[1]

    def is_literal(self, url: str, *, allow_private: bool) -> bool:
        """Whether the host of `url` is an address, which may be called then. Raises UpstreamFault `blocked_address`."""
        host = urlsplit(url).hostname or ""
        literal = literal_address(host.lower())
        if literal is None:
            return False
        _check(host, literal, allow_private=allow_private)
        _keep(self.checked, (url, allow_private), (math.inf, ()))
        return True


def _keep(cache: dict[Any, tuple[float, tuple[str, ...]]], key: object, value: tuple[float, tuple[str, ...]]) -> None:
    if key not in cache and len(cache) >= MAX_NAMES:
        del cache[next(iter(cache))]
    cache[key] = value


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
