"""Which addresses the gate lets in, by mode, lists and bans."""

import pytest

from gateway.admission.gate import gate_of
from gateway.domain.ip_filter import IpFilter, TempBan

BLACK, WHITE = ("203.0.113.0/24", "198.51.100.7", "10.9.*.*", "2001:db8::/32"), ("192.0.2.0/24", "203.0.113.9")


@pytest.mark.parametrize(
    ("mode", "address", "refusal"),
    [
        ("blacklist", "8.8.8.8", ""), ("blacklist", "203.0.113.9", "blocked"), ("blacklist", "198.51.100.7", "blocked"),
        ("blacklist", "198.51.100.8", ""), ("blacklist", "10.9.1.2", "blocked"), ("blacklist", "10.10.1.2", ""),
        ("blacklist", "2001:db8::1", "blocked"), ("blacklist", "2001:db9::1", ""), ("blacklist", "::ffff:198.51.100.7", "blocked"),
        ("blacklist", "", ""), ("whitelist", "8.8.8.8", "blocked"), ("whitelist", "192.0.2.1", ""),
        ("whitelist", "203.0.113.9", "blocked"), ("whitelist", "", "blocked"), ("whitelist-priority", "203.0.113.9", ""),
        ("whitelist-priority", "203.0.113.8", "blocked"), ("whitelist-priority", "8.8.8.8", ""),
    ],
)  # fmt: skip
def test_who_is_let_in(mode: str, address: str, refusal: str) -> None:
    gate = gate_of(IpFilter(True, mode, BLACK, WHITE))  # type: ignore[arg-type]  # the three modes
    assert gate is not None
    assert gate.judge(address, 0.0) == refusal


def test_a_ban_ends_by_itself_and_is_above_the_white_list() -> None:
    gate = gate_of(IpFilter(True, "whitelist", (), WHITE, (TempBan("192.0.2.5", 100.0),)))
    assert gate is not None
    assert gate.judge("192.0.2.5", 99.0) == "banned"
    assert gate.judge("192.0.2.5", 100.0) == ""
    assert gate.judge("192.0.2.6", 99.0) == ""


def test_lists_that_are_off_refuse_nobody_and_then_there_is_no_gate() -> None:
    assert gate_of(IpFilter(False, "whitelist", BLACK)) is None
    gate = gate_of(IpFilter(False, "whitelist", BLACK, rpm=5))
    assert gate is not None
    assert gate.judge("203.0.113.9", 0.0) == ""
