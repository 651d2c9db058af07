"""Who is on the other end: forwarded addresses count as far as trusted proxies vouch, hosts only if they are local."""

from ipaddress import ip_network

import pytest

from gateway.admission.peer import peer_address
from gateway.config.addresses import is_host_allowed

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("direct", "forwarded", "address"),
    [
        ("203.0.113.9", "1.1.1.1", "203.0.113.9"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1", "1.1.1.1"),
        ("10.0.0.1", "9.9.9.9, 1.1.1.1", "1.1.1.1"),
        ("10.0.0.1", "9.9.9.9, 1.1.1.1, 10.2.2.2", "1.1.1.1"),
        ("10.0.0.1", "10.2.2.2, 10.3.3.3", "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1, unknown", "10.0.0.1"),
        ("10.0.0.1", " , ,1.1.1.1 ", "1.1.1.1"),
        ("fd00::1", "2001:db8::1", "2001:db8::1"),
        ("", "1.1.1.1", ""),
        ("not an address", "1.1.1.1", "not an address"),
    ],
)
def test_only_trusted_proxies_are_believed(direct: str, forwarded: str, address: str) -> None:
    assert peer_address(direct, forwarded, TRUSTED) == address
    assert peer_address(direct, forwarded, ()) == direct


@pytest.mark.parametrize(
    ("host", "is_allowed"),
    [
        ("localhost", True), ("localhost:20128", True), ("LOCALHOST:1", True), ("127.0.0.1:20128", True), ("[::1]:20128", True),
        ("gateway.example.com", True), ("gateway.example.com:443", True), ("GATEWAY.example.com", True),
        ("evil.test", False), ("evil.test:20128", False), ("127.0.0.1.evil.test", False), ("localhost.evil.test", False),
        ("127.0.0.2", False), ("", False), ("[::1", False), ("user@localhost", True), ("localhost@evil.test", False),
        ("example.com", False),
    ],
)  # fmt: skip
def test_hosts_on_loopback(host: str, is_allowed: bool) -> None:
    assert is_host_allowed(host, "https://gateway.example.com/") is is_allowed


def test_without_a_base_url_only_local_names_count() -> None:
    assert not is_host_allowed("gateway.example.com", "")
    assert not is_host_allowed("", "")
