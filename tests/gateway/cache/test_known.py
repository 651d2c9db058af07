"""What a worker knows of the kept answers: never too little, rarely too much, in a bounded room."""

from hashlib import sha256

from gateway.cache.known import Known, told_of


def signatures(begin: int, end: int) -> list[str]:
    return [sha256(b"%d" % number).hexdigest()[:40] for number in range(begin, end)]


def test_until_all_is_known_anything_may_be_there() -> None:
    known = Known()
    known.add(told_of(signatures(0, 10)))
    assert all(known.may_have(one) for one in signatures(0, 20))


def test_what_was_kept_is_known_and_of_the_rest_few_are() -> None:
    known = Known()
    known.add(told_of(signatures(0, 20_000)))
    known.is_whole = True
    assert all(known.may_have(one) for one in signatures(0, 20_000))
    assert sum(known.may_have(one) for one in signatures(20_000, 40_000)) < 100  # 0.1 % are expected
    assert 19_900 < len(known) <= 20_000


def test_more_than_can_be_known_is_looked_for() -> None:
    known = Known(max_answers=100)
    known.add(told_of(signatures(0, 50)))
    known.is_whole = True
    assert not known.is_full
    known.add(told_of(signatures(50, 200)))
    assert known.is_full
    assert all(known.may_have(one) for one in signatures(0, 300))


def test_half_a_message_is_no_error() -> None:
    known = Known()
    known.add(b"\x01\x02\x03\x04")
    assert len(known) == 1
