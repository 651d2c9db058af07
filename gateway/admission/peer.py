"""Who is on the other end: the peer's address behind trusted proxies. Pure."""

import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def peer_address(direct: str, forwarded_for: str, trusted: Sequence[Network]) -> str:
    """The caller's address. `X-Forwarded-For` counts only as far as listed proxies vouch for it, from the right."""
    if not trusted or not _is_trusted(direct, trusted):
        return direct
    for hop in reversed([part.strip() for part in forwarded_for.split(",") if part.strip()]):
        if not _is_trusted(hop, trusted):
            return hop if _is_address(hop) else direct
    return direct


def _is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in trusted if network.version == parsed.version)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
