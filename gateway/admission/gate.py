"""The gate before everything else: may this address come in? Compiled once a configuration. Pure.

A look-up costs one set look-up for each length of prefix that the lists have, however long they are.
"""

import ipaddress
from collections.abc import Iterable
from typing import Literal

from gateway.config.addresses import network_of, plain_address
from gateway.domain.ip_filter import IpFilter

Refusal = Literal["", "blocked", "banned"]

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class _Ranges:
    """Addresses and ranges, by version and length of prefix."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._sets: dict[tuple[int, int], set[int]] = {}
        for text in entries:
            network = network_of(text)
            if network is not None:
                shift = network.max_prefixlen - network.prefixlen
                found = self._sets.setdefault((network.version, shift), set())
                found.add(int(network.network_address) >> shift)

    def hold(self, address: _Address) -> bool:
        number, version = int(address), address.version
        return any(version == of and number >> shift in found for (of, shift), found in self._sets.items())


class Gate:
    """`rpm` is the limit of requests a minute from one address, 0 = none."""

    def __init__(self, rules: IpFilter) -> None:
        self.rpm = rules.rpm
        self._is_on = rules.enabled
        self._mode = rules.mode
        self._black = _Ranges(rules.blacklist)
        self._white = _Ranges(rules.whitelist)
        self._bans = tuple((_Ranges((ban.ip,)), ban.until) for ban in rules.temp_bans)

    def judge(self, address: str, now: float) -> Refusal:
        """Why the address is refused; empty when it may come in. What is no address is on no list.

        `now` is unix seconds.
        """
        if not self._is_on:
            return ""
        parsed = plain_address(address)
        if parsed is None:
            return "blocked" if self._mode == "whitelist" else ""
        is_white = self._mode != "blacklist" and self._white.hold(parsed)
        if is_white and self._mode == "whitelist-priority":
            return ""
        if any(until > now and ban.hold(parsed) for ban, until in self._bans):
            return "banned"
        if self._black.hold(parsed) or (self._mode == "whitelist" and not is_white):
            return "blocked"
        return ""


def gate_of(rules: IpFilter) -> Gate | None:
    """None when nobody is refused: then nothing is asked."""
    return Gate(rules) if rules.enabled or rules.rpm else None
