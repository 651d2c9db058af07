"""Whatever bytes come, from a caller or a provider: no exception but the allowed ones, no hang, bounded memory.

Seeds are our own exchanges; they are cut, joined, flipped and filled with odd values by a fixed sequence of chance, so a
failure comes again with the same number.
"""

import contextlib
import json
import random
import time
import tracemalloc
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.dialects.codec import Arrival, BrokenAnswer, Unsupported
from gateway.dialects.sse import MAX_EVENT_BYTES, EventSplitter
from gateway.domain.chat import ChatRequest
from gateway.domain.errors import BadRequest
from gateway.domain.events import Event, Finished, StreamFailed
from tests.support.event_rules import broken_rules
from tests.support.traffic import (
    CALLERS,
    ENVELOPES,
    ORIGIN,
    PROVIDERS,
    RECORDINGS,
    decoded,
    destination,
    is_json,
    read,
    rows,
    stamp,
)

ROUNDS = 150
QUESTION = ChatRequest(model="m", turns=(), is_stream=True)
MiB = 1 << 20

ODD = (
    b"\x00", b"\xff", b"\xed\xa0\xbd", b"\\ud83d", b"\\ud83d\\ud83d", b"\\u0000", b"null", b"true", b"-1", b"1e999", b"1e-999", b"9" * 400, b"0.1", b'""', b"[]", b"{}",
    b"[null]", b'{"":{}}', b"[" * 2000, b'{"a":' * 2000, b"\n", b"\n\n", b"\r\n\r\n", b"data: ", b"data:", b"event: error\n", b": ping\n\n", b"data: [DONE]\n\n", b"\xef\xbb\xbf",
    b'"index":7', b'"index":-1', b'"type":"hologram"', b'"error":{"message":"m"}', b'"error":"m"', b'"id":5', b'"content":5', b'"choices":5', b"}", b"]", b'"', b"\\",
)  # fmt: skip

providers = pytest.mark.parametrize("dialect", PROVIDERS)
callers = pytest.mark.parametrize("dialect", CALLERS)
origins = pytest.mark.parametrize("origin", ["ours", pytest.param("recorded", marks=pytest.mark.recordings)])
crossing = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def seeds(dialect: str, kind: str, origin: str = "ours") -> list[bytes]:
    """Our own exchanges, or small recordings where they are."""
    mine = [row for row in rows() if row["dialect"] == dialect and row["kind"] == kind]
    if origin == "ours":
        return [read(row) for row in mine if row["folder"] != RECORDINGS]
    return sorted((body for row in mine if row["folder"] == RECORDINGS and len(body := read(row)) < 20_000), key=len)[
        ::3
    ]


def mutated(found: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    chance = random.Random(seed)
    for _ in range(count):
        body = chance.choice(found)
        for _ in range(chance.choice((1, 1, 2, 5))):
            body = _mutated_once(body, found, chance)
        yield body


def _mutated_once(body: bytes, found: list[bytes], chance: random.Random) -> bytes:
    start, end = sorted(chance.randrange(len(body) + 1) for _ in range(2))
    end = min(end, start + chance.choice((1, 3, 20, 500)))
    match chance.randrange(6):
        case 0:
            return body[:start]
        case 1:
            return body[:start] + body[end:]
        case 2:
            return body[:start] + chance.choice(ODD) + body[start:]
        case 3:
            return body[:start] + chance.choice(ODD) + body[end:]
        case 4:
            other = chance.choice(found)
            return body[:start] + other[chance.randrange(len(other) + 1) :]
        case _:
            return body[:start] + body[start:end] * 3 + body[end:]


# -- streams ------------------------------------------------------------------------------------------------------------


def check_stream(dialect: str, stream: bytes, sizes: tuple[int, ...]) -> None:
    events = decoded(dialect, stream, sizes)
    assert broken_rules(events, is_sound=False) == []
    assert decoded(dialect, stream) == events
    codec = PROVIDERS[dialect]  # type: ignore[index]
    tap = codec.make_tap(hides_usage_chunk=False)
    assert tap.feed(stream) + tap.take_rest() == stream
    for event in EventSplitter().feed(stream):
        assert codec.classify(event) in ("noise", "useful", "error", "terminal")
    for caller in CALLERS:
        check_encoded(caller, events)


def check_encoded(caller: str, events: list[Event]) -> None:
    encoder = CALLERS[caller].make_encoder(stamp(QUESTION))  # type: ignore[index]
    written = encoder.feed([event for event in events if not isinstance(event, StreamFailed)])
    if not events or not isinstance(events[-1], Finished):
        written += encoder.fail(502, "upstream_cut", "the provider stopped in the middle")
    grammar = import_module(f"gateway.dialects.{caller}.grammar").Grammar()
    for event in written.splitlines(keepends=True) if caller == "ollama" else EventSplitter().feed(written):
        grammar.feed(event)
    grammar.end()
    # A piece of a call's arguments that a provider lost is lost to the caller too.
    assert [text for text in grammar.violations if "arguments" not in text] == []


@providers
@origins
@pytest.mark.parametrize("part", range(2))
def test_a_spoilt_stream_gives_events_that_keep_their_promises(dialect: str, part: int, origin: str) -> None:
    found = seeds(dialect, "stream", origin)
    for number, stream in enumerate(mutated(found, ROUNDS // 2 if found else 0, seed=part)):
        try:
            check_stream(dialect, stream, (1 + number % 7, 64, 1021))
        except Exception as error:
            error.add_note(f"{dialect}, part {part}, stream {number}: {stream[:2000]!r}")
            raise


@providers
@crossing
@given(stream=st.binary(max_size=300), size=st.integers(1, 50))
def test_noise_is_no_stream_and_no_exception(dialect: str, stream: bytes, size: int) -> None:
    check_stream(dialect, stream, (size,))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


def with_value(root: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value at one place."""
    root = json.loads(json.dumps(root))
    if not path:
        return value
    at = root
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return root


@providers
@crossing
@given(data=st.data())
def test_an_event_of_wrong_types_is_no_exception(dialect: str, data: st.DataObject) -> None:
    events = [event for stream in seeds(dialect, "stream") for event in [EventSplitter().feed(stream)] if event]
    stream = data.draw(st.sampled_from(events))
    number = data.draw(st.integers(0, len(stream) - 1))
    head, mark, text = stream[number].partition(b"data: ")
    if not mark or not is_json(text):
        return
    value = json.loads(text)
    path = data.draw(st.sampled_from(list(places(value))))
    spoilt = with_value(value, path, data.draw(VALUES))
    pieces = [*stream[:number], head + mark + json.dumps(spoilt).encode() + b"\n\n", *stream[number + 1 :]]
    check_stream(dialect, b"".join(pieces), (97,))


@providers
def test_an_endless_event_is_a_failure_of_the_stream_in_bounded_memory(dialect: str) -> None:
    decoder = PROVIDERS[dialect].make_decoder(ORIGIN)  # type: ignore[index]
    piece, events = b"x" * (256 * 1024), decoder.feed(b'data: {"x":"')
    tracemalloc.start()
    try:
        for _ in range(4 * MAX_EVENT_BYTES // len(piece)):
            events += decoder.feed(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    events += decoder.end()
    assert isinstance(events[-1], StreamFailed)
    assert sum(isinstance(event, StreamFailed) for event in events) == 1
    assert peak < 4 * MAX_EVENT_BYTES


@providers
def test_an_event_of_16_mib_in_small_pieces_takes_seconds_at_most(dialect: str) -> None:
    decoder = PROVIDERS[dialect].make_decoder(ORIGIN)  # type: ignore[index]
    began = time.process_time()
    decoder.feed(b'data: {"x":"')
    for _ in range(15 * MiB // 4096):
        decoder.feed(b"x" * 4096)
    decoder.feed(b'"}\n\n')
    assert time.process_time() - began < 50


bad_texts = pytest.mark.parametrize("bad", [b"\xff", b"\\ud83d", b"\\ude00", b"\x00", b"\\u0000", b"\\"])


def with_bad_text(body: bytes, bad: bytes) -> Iterator[bytes]:
    """The body with something bad at the beginning of every seventh text in it in turn, and before it."""
    quotes = [place for place, byte in enumerate(body) if byte == ord('"')]
    for place in quotes[::7]:
        yield body[: place + 1] + bad + body[place + 1 :]
        yield body[:place] + bad + body[place:]


@providers
@bad_texts
def test_bad_text_in_an_answer_is_no_exception(dialect: str, bad: bytes) -> None:
    for stream in seeds(dialect, "stream"):
        for spoilt in with_bad_text(stream, bad):
            events = decoded(dialect, spoilt)
            assert broken_rules(events, is_sound=False) == []
            for caller in CALLERS:
                check_encoded(caller, events)
    for body in seeds(dialect, "response"):
        for spoilt in with_bad_text(body, bad):
            check_answer(dialect, spoilt)


@callers
@bad_texts
def test_bad_text_in_a_request_makes_a_request_or_a_bad_one(dialect: str, bad: bytes) -> None:
    for body in seeds(dialect, "request"):
        if len(body) < 20_000:
            for spoilt in with_bad_text(body, bad):
                check_request(dialect, spoilt)


# -- answers ------------------------------------------------------------------------------------------------------------


def check_answer(dialect: str, body: bytes) -> None:
    codec = PROVIDERS[dialect]  # type: ignore[index]
    reading = codec.read_answer(body)
    assert reading.kind in ("answer", "error", "empty", "not_json")
    assert isinstance(codec.error_text(body), str)
    try:
        answer = codec.decode_response(body, ORIGIN)
    except BrokenAnswer:
        return
    for caller in CALLERS.values():
        assert is_json(caller.encode_response(answer, stamp(QUESTION)))


@providers
@origins
@pytest.mark.parametrize("part", range(2))
def test_a_spoilt_answer_is_an_answer_or_broken(dialect: str, part: int, origin: str) -> None:
    found = seeds(dialect, "response", origin)
    for number, body in enumerate(mutated(found, ROUNDS if found else 0, seed=part)):
        try:
            check_answer(dialect, body)
        except Exception as error:
            error.add_note(f"{dialect}, part {part}, answer {number}: {body[:2000]!r}")
            raise


@providers
@crossing
@given(data=st.data())
def test_an_answer_of_wrong_types_is_an_answer_or_broken(dialect: str, data: st.DataObject) -> None:
    body = data.draw(st.sampled_from([body for body in seeds(dialect, "response") if is_json(body)]))
    value = json.loads(body)
    path = data.draw(st.sampled_from(list(places(value))))
    check_answer(dialect, json.dumps(with_value(value, path, data.draw(VALUES))).encode())


# -- requests -----------------------------------------------------------------------------------------------------------


def check_request(dialect: str, body: bytes) -> None:
    arrival = Arrival(model="m", is_stream=False) if dialect == "gemini" else Arrival()
    with contextlib.suppress(BadRequest):
        CALLERS[dialect].read_head(body, arrival)  # type: ignore[index]
    try:
        request = CALLERS[dialect].decode_request(body, arrival, ENVELOPES)  # type: ignore[index]
    except BadRequest as error:
        assert error.code  # noqa: PT017
        assert len(error.message) < 2000  # noqa: PT017
        assert is_json(CALLERS[dialect].encode_error(400, error.code, error.message, error.param))  # type: ignore[index]  # noqa: PT017
        return
    for codec in PROVIDERS.values():
        try:
            assert is_json(codec.encode_request(request, destination()).body)
        except (Unsupported, BadRequest):
            continue


@callers
@origins
@pytest.mark.parametrize("part", range(2))
def test_a_spoilt_request_is_a_request_or_a_bad_one(dialect: str, part: int, origin: str) -> None:
    found = seeds(dialect, "request", origin)
    for number, body in enumerate(mutated(found, ROUNDS if found else 0, seed=part)):
        try:
            check_request(dialect, body)
        except Exception as error:
            error.add_note(f"{dialect}, part {part}, request {number}: {body[:2000]!r}")
            raise


@callers
@crossing
@given(data=st.data())
def test_a_request_of_wrong_types_is_a_request_or_a_bad_one(dialect: str, data: st.DataObject) -> None:
    found = [body for body in seeds(dialect, "request") if is_json(body)]
    if not found:
        return
    value = json.loads(data.draw(st.sampled_from(found)))
    path = data.draw(st.sampled_from(list(places(value))))
    check_request(dialect, json.dumps(with_value(value, path, data.draw(VALUES))).encode())


@callers
@crossing
@given(body=st.binary(max_size=200))
def test_noise_is_no_request(dialect: str, body: bytes) -> None:
    check_request(dialect, body)


def test_there_are_seeds_for_every_dialect() -> None:
    for dialect in PROVIDERS:
        for kind in ("stream", "response", "request"):
            assert seeds(dialect, kind), f"no {kind} of {dialect} in tests/exchanges"
