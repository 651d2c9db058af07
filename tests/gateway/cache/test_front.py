"""What a worker keeps in its own memory stays within its bounds."""

import pytest
from msgspec import structs

from gateway.cache.entry import Entry, decode_entry, encode_entry
from gateway.cache.front import Front
from gateway.cache.recorder import Recorder
from gateway.domain.usage import Usage

ENTRY = Entry(
    at=0.0, expires_at=100.0, dialect="openai_chat", is_stream=False, body=b"x" * 488, content_type="application/json",
    provider="p", connection_id="c", model="m", combo="", usage=Usage(1, 2), cost_nano_usd=3, names={},
)  # fmt: skip
SIZE = ENTRY.size


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_answer_used_longest_ago_gives_way() -> None:
    front = Front(2, 10 * SIZE, Clock())
    front.put("a", ENTRY)
    front.put("b", ENTRY)
    front.get("a")
    front.put("c", ENTRY)
    assert [front.get(key) is not None for key in "abc"] == [True, False, True]


def test_bytes_are_bounded_and_counted() -> None:
    front = Front(100, 3 * SIZE, Clock())
    for number in range(10):
        front.put(str(number), ENTRY)
    assert (len(front), front.held_bytes) == (3, 3 * SIZE)
    front.put("9", ENTRY)
    assert front.held_bytes == 3 * SIZE
    front.put("large", structs.replace(ENTRY, body=b"x" * 4 * SIZE))
    assert front.get("large") is None
    front.clear()
    assert (len(front), front.held_bytes) == (0, 0)


@pytest.mark.parametrize(("entries", "most_bytes"), [(0, 1000), (10, 0)])
def test_no_room_keeps_nothing(entries: int, most_bytes: int) -> None:
    front = Front(entries, most_bytes, Clock())
    front.put("a", ENTRY)
    assert len(front) == 0


def test_an_answer_ends_with_its_time() -> None:
    clock = Clock()
    front = Front(2, 10 * SIZE, clock)
    front.put("a", ENTRY)
    clock.now = 99.9
    assert front.get("a") == ENTRY
    clock.now = 100.0
    assert front.get("a") is None
    assert front.held_bytes == 0


def test_an_entry_is_read_as_it_was_written_and_rubbish_is_none() -> None:
    assert decode_entry(encode_entry(ENTRY)) == ENTRY
    assert decode_entry(b"rubbish") is None
    assert decode_entry(encode_entry(ENTRY)[:-2]) is None


def test_a_recorder_lets_go_of_what_becomes_too_large() -> None:
    recorder = Recorder(10)
    recorder.add(b"12345")
    recorder.add(b"67890")
    assert (recorder.is_too_large, recorder.body()) == (False, b"1234567890")
    recorder.add(b"x")
    recorder.add(b"")
    assert (recorder.is_too_large, recorder.body()) == (True, b"")
