"""Events are the same for any split of the bytes, and no byte is lost."""

import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.sse import EventSplitter, closed, data_of, event_of, name_and_data

CALM = settings(deadline=None, database=None, max_examples=200)

LINES = st.sampled_from(
    [b"data: {}", b"data:x", b": ping", b"event: error", b"id: 1", "data: é€😀".encode(), b"data: [DONE]"]
)
BLANK = st.sampled_from([b"\n\n", b"\r\n\r\n", b"\n\n\n", b"\n", b"\r\n"])
STREAMS = st.lists(st.tuples(LINES, BLANK), max_size=8).map(lambda parts: b"".join(map(b"".join, parts)))


def cut(data: bytes, places: list[int]) -> list[bytes]:
    marks = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(marks)]


@CALM
@given(STREAMS, st.lists(st.integers(0, 1000), max_size=12))
def test_any_split_gives_the_same_events(stream: bytes, places: list[int]) -> None:
    whole, pieces = EventSplitter(), EventSplitter()
    expected = whole.feed(stream)
    assert [event for piece in cut(stream, places) for event in pieces.feed(piece)] == expected
    assert b"".join(expected) + whole.rest == stream
    assert pieces.rest == whole.rest


@CALM
@given(STREAMS, st.lists(st.integers(0, 1000), max_size=12))
def test_joined_pieces_lose_nothing_and_end_between_events(stream: bytes, places: list[int]) -> None:
    splitter = EventSplitter()
    outs = [splitter.feed_joined(piece) for piece in cut(stream, places)]
    assert b"".join(outs) + splitter.rest == stream
    assert all(out.endswith((b"\n\n", b"\r\n\r\n", b"\r\r")) for out in outs if out)
    assert not any(blank in splitter.rest for blank in (b"\n\n", b"\r\n\r\n", b"\r\r"))  # no whole event waits


@pytest.mark.parametrize(
    "data",
    [
        b"\n\n",
        b"\r\n\r\n",
        b"a\n\n\n",
        b"a\n\r\n\r\n",
        b"\r\ra\n\n",
        b"a\r\r\n\r\n",
        b"\n\na\r\n\r\n",
        b"a\r\n\n",
        b"",
        b"\n",
    ],
)
def test_a_read_of_one_event_is_split_as_any_other(data: bytes) -> None:
    whole, by_bytes = EventSplitter(), EventSplitter()
    assert whole.feed(data) == [event for byte in data for event in by_bytes.feed(bytes([byte]))]
    assert whole.rest == by_bytes.rest


@pytest.mark.parametrize("method", ["feed", "feed_joined"])
def test_an_event_of_megabytes_in_small_pieces_is_put_together_once(method: str) -> None:
    splitter = EventSplitter()
    give = getattr(splitter, method)
    began = time.process_time()
    for _ in range(4096):
        assert not give(b"x" * 4096)
    assert splitter.held_bytes == 16 << 20
    given_out = give(b"\n\nrest")
    assert (len(given_out[0]) if method == "feed" else len(given_out)) == (16 << 20) + 2
    assert splitter.rest == b"rest"
    assert time.process_time() - began < 15


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_each_line_ending_of_the_standard_ends_an_event(end: bytes) -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"data: a" + end + b"data: b" + end + b"data: c") == [b"data: a" + end, b"data: b" + end]
    assert splitter.rest == b"data: c"
    joined = EventSplitter()
    assert joined.feed_joined(b"data: a" + end + b"data: b" + end + b"data: c") == b"data: a" + end + b"data: b" + end


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: a\n\n", b"a"),
        (b"data:a\n\n", b"a"),
        (b"data:  a\n\n", b" a"),
        (b"data: a\ndata: b\n\n", b"a\nb"),
        (b"event: x\r\ndata: a\r\n\r\n", b"a"),
        (b": comment\n\n", b""),
        (b"event: ping\n\n", b""),
        (b"\n\n", b""),
        (b"\xef\xbb\xbfdata: a\n\n", b"a"),
        ('data: {"t":"a\u2028b\x85"}\n\n'.encode(), '{"t":"a\u2028b\x85"}'.encode()),
    ],
)
def test_the_data_of_an_event(event: bytes, data: bytes) -> None:
    assert data_of(event) == data


@pytest.mark.parametrize(
    ("event", "name", "data"),
    [
        (b"event: ping\ndata: {}\n\n", "ping", b"{}"),
        (b"event:ping\r\ndata:{}\r\n\r\n", "ping", b"{}"),
        (b"data: a\ndata: b\n\n", "", b"a\nb"),
        (b"data: a\nevent: late\n\n", "late", b"a"),
        (b"\xef\xbb\xbfevent: first\ndata: a\n\n", "first", b"a"),
        (b"event: ping\n\n", "ping", b""),
        (b": comment\n\n", "", b""),
        (b"\n\n", "", b""),
        (b"event: \xff\ndata: a", "\ufffd", b"a"),
    ],
)
def test_the_name_and_the_data_of_an_event(event: bytes, name: str, data: bytes) -> None:
    assert name_and_data(event) == (name, data)


@pytest.mark.parametrize("name", ["", "message_start"])
def test_a_written_event_reads_as_it_was(name: str) -> None:
    event = event_of(name, b'{"a":1}')
    assert name_and_data(event) == (name, b'{"a":1}')
    assert EventSplitter().feed(event) == [event]


@pytest.mark.parametrize(
    ("rest", "whole"),
    [
        (b'data: {"a":1}', b'data: {"a":1}\n\n'),
        (b'event: x\r\ndata: {"a":1}\r\n', b'event: x\r\ndata: {"a":1}\n\n'),
        (b'data: {"a":', b""),
        (b"data: \xff", b""),
        (b": comment", b""),
        (b"", b""),
    ],
)
def test_a_last_event_is_closed_or_left_out(rest: bytes, whole: bytes) -> None:
    assert closed(rest) == whole
