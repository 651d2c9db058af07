"""A conversation has one connection, found by every worker alone, and only its own failure moves it."""

from collections import Counter

import pytest

from gateway.config.snapshot import Combo, RoutingSettings, SessionAffinity
from gateway.domain.target import Connection
from gateway.routing.affinity import (
    MAX_RANKED,
    is_affine,
    keeps_turns,
    ranked,
    session_of_name,
    session_of_turns,
)
from gateway.routing.offers import Offer
from tests.support.catalogs import connection

SESSIONS = [session_of_name("key", f"conversation-{index}") for index in range(4000)]


def offer(count: int, start: int = 0) -> Offer:
    return Offer(tuple(connection("p", f"a{index:05}") for index in range(start, start + count)))


def home(of: Offer, session: object) -> str:
    return ranked(of, session)[0].id  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [2, 3, 20, 32, 100])
def test_conversations_spread_evenly(count: int) -> None:
    homes = Counter(home(offer(count), session) for session in SESSIONS)
    mean = len(SESSIONS) / count
    assert len(homes) == count
    if count <= MAX_RANKED:
        assert max(homes.values()) < mean + 5 * mean**0.5
        assert min(homes.values()) > mean - 5 * mean**0.5
    else:
        assert max(homes.values()) < 4 * mean


def test_workers_agree_whatever_the_order_of_their_tables() -> None:
    accounts = offer(20).accounts
    turned = Offer((*accounts[7:], *accounts[:7]))
    assert [home(Offer(accounts), one) for one in SESSIONS[:200]] == [home(turned, one) for one in SESSIONS[:200]]


def test_the_hash_is_fixed_for_good() -> None:
    """Workers of two versions run side by side while one replaces the other."""
    assert connection("p", "a").mark == 0x92585B23D1BE9C3C
    assert session_of_name("key", "conversation").key == 0x3D992541781AAA05


@pytest.mark.parametrize("count", [5, 200])
def test_a_connection_that_goes_moves_only_its_own_conversations(count: int) -> None:
    whole = offer(count)
    less = Offer(whole.accounts[1:])
    gone: Connection = whole.accounts[0]
    moved = [one for one in SESSIONS if home(whole, one) != home(less, one)]
    assert all(home(whole, one) == gone.id for one in moved) or count > MAX_RANKED  # more: its neighbours' as well
    assert len(moved) < len(SESSIONS) / count * 3


def test_the_second_choice_is_where_it_goes_when_the_first_is_gone() -> None:
    whole = offer(8)
    for session in SESSIONS[:100]:
        first, second, *_ = ranked(whole, session)
        assert home(Offer(tuple(one for one in whole.accounts if one is not first)), session) == second.id


def test_callers_that_use_one_name_do_not_meet() -> None:
    assert session_of_name("key-a", "main") != session_of_name("key-b", "main")
    assert session_of_name("ab", "c") != session_of_name("a", "bc")


def test_a_conversation_without_a_name_is_known_by_its_first_turns() -> None:
    one = session_of_turns("key", b'[{"role":"user","content":"hi"}]')
    assert one == session_of_turns("key", b'[{"role":"user","content":"hi"}]')
    assert not one.is_named
    assert 0.0 <= one.chance < 1.0


NAMED, BY_TURNS = session_of_name("key", "c"), session_of_turns("key", b"first")


@pytest.mark.parametrize(
    ("setting", "combo", "named", "by_turns"),
    [
        ("named", None, True, False),
        ("turns", None, True, True),
        ("off", None, False, False),
        ("named", Combo("i", "c", ()), True, False),
        ("turns", Combo("i", "c", ()), True, True),
        ("turns", Combo("i", "c", (), "round-robin"), False, False),
        ("named", Combo("i", "c", (), "round-robin", {"affinity": True}), True, True),
        ("off", Combo("i", "c", (), config={"affinity": True}), True, True),
        ("turns", Combo("i", "c", (), config={"affinity": False}), False, False),
    ],
)
def test_a_combo_says_which_conversations_keep_their_connection_else_the_setting(
    setting: SessionAffinity, combo: Combo | None, named: bool, by_turns: bool
) -> None:
    settings = RoutingSettings(session_affinity=setting)
    assert is_affine(combo, NAMED, settings) == named
    assert is_affine(combo, BY_TURNS, settings) == by_turns
    assert keeps_turns(combo, settings) or not by_turns, "what is kept must be looked for"
