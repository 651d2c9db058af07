"""Judges hosts: which `Host` header is ours, and where a literal one leads.

Hosts that are written as an address: public, private, or never allowed. Pure; resolves no names.

Names are judged again, by what they resolve to, when a connection is made. Spellings that only C libraries read
(`127.1`, `0x7f000001`, `2130706433`) count as the address they reach.
"""

import ipaddress
import re
import socket
import unicodedata
from typing import Literal
from urllib.parse import unquote, urlsplit

Reach = Literal["public", "private", "refused"]
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd00:ec2::23",
        "fd20:ce::254",
    )
)  # fmt: skip
_METADATA_NAMES = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data"})
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_IPV4_AT_THE_END = tuple(
    ipaddress.IPv6Network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96", "::/96")
)
"""NAT64, NAT64 of one's own, translated, and compatible: IPv4 in the last 32 bits."""
_C_SPELLING = re.compile(r"[0-9a-fx.]+\Z")


def reach_of_host(host: str) -> Reach:
    """Where a literal host leads. A name that is not known to be local or metadata counts as public."""
    name = _normal(host)
    if name in _METADATA_NAMES or name.endswith(".metadata.google.internal"):
        return "refused"
    if name == "localhost" or name.endswith(".localhost"):
        return "private"
    address = literal_address(name)
    return reach_of_address(address) if address else "public"


def reach_of_address(address: IPAddress) -> Reach:
    """Link-local, metadata, multicast and unspecified addresses are refused; what is not global is private."""
    if address in _METADATA or address.is_link_local or address.is_multicast or address.is_unspecified:
        return "refused"
    inner = _embedded(address)
    if inner is not None:
        return reach_of_address(inner)
    is_of_a_site = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    return "public" if address.is_global and not is_of_a_site else "private"


def shown_proxy(url: str) -> str:
    """A proxy's URL without its credentials, for people."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def network_of(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """An address, a CIDR range, or IPv4 with `*` for its last parts (`10.0.*.*`); None when it is none of these."""
    text = text.strip()
    if "*" in text:
        parts = text.split(".")
        known = next((place for place, part in enumerate(parts) if part == "*"), 4)
        if len(parts) != 4 or any(part != "*" for part in parts[known:]):
            return None
        text = ".".join((*parts[:known], *("0" for _ in parts[known:]))) + f"/{8 * known}"
    try:
        return ipaddress.ip_network(text.removeprefix("::ffff:") if "." in text else text, strict=False)
    except ValueError:
        return None


def plain_address(text: str) -> IPAddress | None:
    """A peer's address, an IPv4 one in IPv6's clothes as what it is; None when it is none (a unix socket)."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address


def is_host_allowed(host: str, base_url: str) -> bool:
    """Whether a `Host` header may be believed on loopback: local names, and that of `BASE_URL`.

    A foreign name that resolves to 127.0.0.1 is how a web page reaches a local server (DNS rebinding).
    """
    name = _host_name(host)
    return name in _LOOPBACK_NAMES or bool(base_url and name == _host_name(urlsplit(base_url).netloc))


def _normal(host: str) -> str:
    """As clients that are less strict would read it: percent signs decoded, wide digits and dots as plain ones."""
    return unicodedata.normalize("NFKC", unquote(host)).replace("\u3002", ".").lower().rstrip(".")


def _host_name(netloc: str) -> str:
    """Without port and brackets, lower case. Empty when unreadable."""
    try:
        return (urlsplit(f"//{netloc}").hostname or "").lower()
    except ValueError:
        return ""


def literal_address(name: str) -> IPAddress | None:
    """The address a host literally is, in any spelling that a C library takes (decimal, octal, hex); else None."""
    try:
        return ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        pass
    if not _C_SPELLING.match(name):
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(name))
    except OSError:
        return None


def _embedded(address: IPAddress) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for (mapped, compatible, translated, 6to4, Teredo, NAT64)."""
    if isinstance(address, ipaddress.IPv4Address) or address.is_loopback:
        return None
    if any(address in network for network in _IPV4_AT_THE_END):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
