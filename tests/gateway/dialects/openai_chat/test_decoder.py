"""A provider's stream as events: the traps of calls, the spellings of reasoning, and an honest end."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.codec import Origin
from gateway.dialects.openai_chat.decoder import Decoder
from gateway.dialects.openai_chat.stream_calls import MAX_CALLS
from gateway.domain.chat import Citation, Image, Signature
from gateway.domain.events import (
    CitationAdded,
    Event,
    Finished,
    ImageMade,
    RefusalDelta,
    Started,
    StreamFailed,
    TextDelta,
    ThinkingDelta,
    ThinkingDone,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStarted,
    UsageTold,
)
from gateway.domain.usage import Usage
from tests.support.event_rules import broken_rules

ORIGIN = Origin("acme", "01234567-89ab-cdef-0123-456789abcdef")
MADE_UP = "call_0123456789abcdef0123_"
DONE = b"data: [DONE]\n\n"
CALM = settings(deadline=None, database=None, max_examples=150)
STARTED = Started("c", "m")


def chunk(delta: object = None, finish: object = None, **more: Any) -> bytes:
    value = {"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}], **more}
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def decode(*pieces: bytes) -> list[Event]:
    decoder = Decoder(ORIGIN)
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.end()


def entry(
    index: int | None = None, call_id: str | None = None, name: str | None = None, arguments: object = None
) -> dict[str, Any]:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    found: dict[str, Any] = {"function": function}
    return found | {key: value for key, value in (("index", index), ("id", call_id)) if value is not None}


def calls_of(*deltas: list[dict[str, Any]], finish: str = "tool_calls") -> list[tuple[str, str, str]]:
    """(id, name, arguments) of each call, from a stream that keeps every promise."""
    events = decode(*(chunk({"tool_calls": entries}) for entries in deltas), chunk(finish=finish), DONE)
    assert broken_rules(events) == []
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.finish == "tool_calls"
    found: dict[int, list[str]] = {}
    for event in events:
        if isinstance(event, ToolCallStarted):
            found[event.index] = [event.id, event.name, ""]
        elif isinstance(event, ToolCallDelta):
            found[event.index][2] += event.arguments
    return [(call[0], call[1], call[2]) for call in found.values()]


def test_a_plain_stream() -> None:
    events = decode(chunk({"role": "assistant", "content": ""}), chunk({"content": "Hi"}), chunk(finish="stop"), DONE)
    assert events == [STARTED, TextDelta("Hi"), Finished("stop", native_finish="stop")]


# -- calls ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("deltas", "calls"),
    [
        ([[entry(0, "a", "f", "")], [entry(0, arguments='{"x"')], [entry(0, arguments=":1}")]], [("a", "f", '{"x":1}')]),
        ([[entry(1, "a", "f", "{}")], [entry(2, "b", "g", "{}")]], [("a", "f", "{}"), ("b", "g", "{}")]),
        ([[entry(0, "a", "f", "{}")], [entry(0, "b", "g", "{}")]], [("a", "f", "{}"), ("b", "g", "{}")]),
        ([[entry(0, "a", "f", "{}"), entry(0, "b", "g", "{}")]], [("a", "f", "{}"), ("b", "g", "{}")]),
        ([[entry(None, "a", "f", "{}"), entry(None, "b", "g", "{}")]], [("a", "f", "{}"), ("b", "g", "{}")]),
        ([[entry(0, None, "f", "{}"), entry(1, None, "f", "{}")]], [(MADE_UP + "0", "f", "{}"), (MADE_UP + "1", "f", "{}")]),
        ([[entry(None, None, "f", '{"a":1}')], [entry(None, None, "g", '{"b":2}')]], [(MADE_UP + "0", "f", '{"a":1}'), (MADE_UP + "1", "g", '{"b":2}')]),
        ([[entry(0, "", "f", "{}")]], [(MADE_UP + "0", "f", "{}")]),
        ([[entry(0, "a")], [entry(0, None, "f")], [entry(0, arguments='{"x":1}')]], [("a", "f", '{"x":1}')]),
        ([[entry(0, None, "f")], [entry(0, "a")], [entry(0, arguments='{"x":1}')]], [("a", "f", '{"x":1}')]),
        ([[entry(0, "a", "f", '{"x"')], [entry(0, "a", "f", ":1}")]], [("a", "f", '{"x":1}')]),
        ([[entry(0, "a", "f", '{"x"')], [entry(0, None, "f", ":1}")]], [("a", "f", '{"x":1}')]),
        ([[entry(0, "a", "f", '{"x":1}'), entry(1, "a", "g", '{"y":2}')]], [("a", "f", '{"x":1}'), (MADE_UP + "1", "g", '{"y":2}')]),
        ([[entry(0, "a", "f"), entry(1, "b", "g")], [entry(0, arguments='{"x"'), entry(1, arguments='{"y"')], [entry(0, arguments=":1}"), entry(1, arguments=":2}")]], [("a", "f", '{"x":1}'), ("b", "g", '{"y":2}')]),
    ],
    ids=["usual", "from 1", "all 0", "all 0 in one chunk", "no index", "no id", "no id, no index", "blank id", "id before name", "name before id", "repeated", "repeated name", "one id twice", "interleaved"],
)  # fmt: skip
def test_calls_are_told_apart_however_they_are_numbered(
    deltas: list[list[dict[str, Any]]], calls: list[tuple[str, str, str]]
) -> None:
    assert calls_of(*deltas) == calls


@pytest.mark.parametrize(
    ("pieces", "arguments"),
    [
        ([], "{}"),
        ([""], "{}"),
        (["null"], "{}"),
        ([" ", ""], "{}"),
        (["{}"], "{}"),
        (["{", "}"], "{}"),
        (["{}", '{"x":1}'], '{"x":1}'),
        ([{"x": 1}], '{"x":1}'),
        ([{}], "{}"),
        (['"{\\"x\\":', '1}"'], '{"x":1}'),
        (["ls -l"], '{"input":"ls -l"}'),
        (['{"n":1.0,', '"big":12345678901234567890}'], '{"n":1.0,"big":12345678901234567890}'),
    ],
    ids=range(12),
)
def test_arguments_become_the_text_of_an_object(pieces: list[object], arguments: str) -> None:
    found = calls_of([entry(0, "a", "f")], *([entry(0, arguments=piece)] for piece in pieces))
    assert found == [("a", "f", arguments)]


@pytest.mark.parametrize(("finish", "fails"), [("tool_calls", True), ("stop", True), ("length", False)])
def test_broken_arguments_are_a_failure_unless_the_tokens_ran_out(finish: str, fails: bool) -> None:
    last = decode(chunk({"tool_calls": [entry(0, "a", "f", '{"x":')]}), chunk(finish=finish), DONE)[-1]
    assert isinstance(last, StreamFailed) is fails


def test_arguments_with_a_line_end_in_a_text_are_forgiven() -> None:
    assert calls_of([entry(0, "a", "f", '{"x":"a\nb"}')]) == [("a", "f", '{"x":"a\nb"}')]


def test_a_call_without_a_name_is_left_out() -> None:
    events = decode(chunk({"tool_calls": [entry(0, "a", "", "{}")]}), chunk(finish="tool_calls"), DONE)
    assert events == [STARTED, Finished("stop", native_finish="tool_calls")]


def test_an_earlier_call_is_done_when_the_next_one_starts() -> None:
    decoder = Decoder(ORIGIN)
    decoder.feed(chunk({"tool_calls": [entry(0, "a", "f", '{"x":1}')]}))
    assert decoder.feed(chunk({"tool_calls": [entry(1, "b", "g")]})) == [ToolCallDone(0), ToolCallStarted(1, "b", "g")]


def test_stop_beside_calls_means_calls() -> None:
    assert calls_of([entry(0, "a", "f", "{}")], finish="stop") == [("a", "f", "{}")]


def test_the_legacy_call_becomes_one() -> None:
    events = decode(
        chunk({"function_call": {"name": "f", "arguments": ""}}), chunk({"function_call": {"arguments": '{"x":1}'}}),
        chunk(finish="function_call"), DONE,
    )  # fmt: skip
    assert events == [
        STARTED, ToolCallStarted(0, MADE_UP + "0", "f"), ToolCallDelta(0, '{"x":1}'), ToolCallDone(0),
        Finished("tool_calls", native_finish="function_call"),
    ]  # fmt: skip


def test_a_custom_call_keeps_its_text() -> None:
    events = decode(
        chunk({"tool_calls": [{"index": 0, "id": "a", "type": "custom", "custom": {"name": "patch", "input": ""}}]}),
        chunk({"tool_calls": [{"index": 0, "custom": {"input": "*** x"}}]}), chunk(finish="tool_calls"), DONE,
    )  # fmt: skip
    assert events[1:4] == [ToolCallStarted(0, "a", "patch", "custom"), ToolCallDelta(0, "*** x"), ToolCallDone(0)]


def test_a_calls_signature_is_kept_for_who_signed_it() -> None:
    signed = entry(0, "a", "f", "{}") | {"extra_content": {"google": {"thought_signature": "sig"}}}
    events = decode(chunk({"tool_calls": [signed]}), chunk(finish="stop"), DONE)
    assert ToolCallDone(0, Signature("openai_chat", "sig", "acme")) in events


def test_too_many_calls_end_the_stream() -> None:
    events = decode(chunk({"tool_calls": [entry(at, f"c{at}", "f", "{}") for at in range(MAX_CALLS + 1)]}))
    assert isinstance(events[-1], StreamFailed)


# -- what is said -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "reasoning_text"])
def test_reasoning_has_many_names(name: str) -> None:
    events = decode(
        chunk({name: "hm", "content": None}),
        chunk({name: "?", "content": ""}),
        chunk({"content": "a"}),
        chunk(finish="stop"),
    )
    assert events[1:5] == [ThinkingDelta("hm"), ThinkingDelta("?"), ThinkingDone(), TextDelta("a")]


def test_reasoning_told_twice_is_one() -> None:
    detail = {"type": "reasoning.text", "text": "hm", "format": "anthropic-claude-v1", "index": 0}
    events = decode(
        chunk({"reasoning": "hm", "reasoning_content": "hm", "reasoning_details": [detail]}),
        chunk({"content": "a"}),
        DONE,
    )
    assert events[1:4] == [ThinkingDelta("hm"), ThinkingDone(), TextDelta("a")]


def test_signed_details_are_kept_without_the_text_that_is_told_anyway() -> None:
    base = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
    events = decode(
        chunk({"reasoning": "h", "reasoning_details": [{**base, "text": "h"}]}),
        chunk({"reasoning": "m", "reasoning_details": [{**base, "text": "m"}]}),
        chunk({"content": "", "reasoning_details": [{**base, "signature": "sig"}]}),
        chunk({"content": "a"}), chunk(finish="stop"),
    )  # fmt: skip
    done = events[3]
    assert isinstance(done, ThinkingDone)
    assert done.signature is not None
    assert not done.is_redacted
    assert (done.signature.dialect, done.signature.provider) == ("openai_chat", "acme")
    assert json.loads(done.signature.data) == [{**base, "text": None, "signature": "sig"}]


def test_hidden_reasoning_is_a_redacted_block() -> None:
    detail = {"type": "reasoning.encrypted", "data": "xyz", "format": "openai-responses-v1", "index": 0}
    events = decode(
        chunk({"content": "", "reasoning_details": [detail]}), chunk({"content": "a"}), chunk(finish="stop")
    )
    assert isinstance(events[1], ThinkingDone)
    assert events[1].is_redacted


def test_mistrals_content_in_parts_is_told_apart() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    events = decode(
        chunk({"content": [thinking, {"type": "text", "text": "a"}, {"type": "reference", "reference_ids": [1]}]}), DONE
    )
    assert events[1:4] == [ThinkingDelta("hm"), ThinkingDone(), TextDelta("a")]


def test_refusals_pictures_and_citations_have_their_events() -> None:
    cited = {
        "type": "url_citation",
        "url_citation": {"url": "https://x", "title": "X", "start_index": 1, "end_index": 3},
    }
    events = decode(
        chunk({"content": "text", "annotations": [cited]}), chunk({"refusal": "no"}),
        chunk({"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}), chunk(finish="stop"),
    )  # fmt: skip
    assert events[1:5] == [
        TextDelta("text"), CitationAdded(Citation(url="https://x", title="X", start=1, end=3)), RefusalDelta("no"),
        ImageMade(Image(media_type="image/png", data="AAAA")),
    ]  # fmt: skip


def test_sources_beside_the_choices_are_told_once_at_the_end() -> None:
    found = {"citations": ["https://x"], "search_results": [{"url": "https://x", "title": "X"}]}
    events = decode(chunk({"content": "a"}, **found), chunk({"content": "b"}, **found), chunk(finish="stop", **found))
    assert [event for event in events if isinstance(event, CitationAdded)] == [
        CitationAdded(Citation(url="https://x", title="X"))
    ]


def test_a_character_cut_in_two_deltas_is_whole_again() -> None:
    one, two = (b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % half for half in (rb"a\ud83d", rb"\ude00b"))
    events = decode(one, two, chunk(finish="stop"))
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "a😀b"


# -- usage and the end ------------------------------------------------------------------------------------------------

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


@pytest.mark.parametrize(
    "pieces",
    [
        [chunk(finish="stop"), chunk(usage=USAGE, choices=[]), DONE],
        [chunk(finish="stop", usage=USAGE), DONE],
        [chunk({"content": "a"}, usage=USAGE), chunk(finish="stop", usage=USAGE), DONE],
        [chunk(finish="stop"), chunk(choices=[], x_groq={"usage": USAGE}), DONE],
        [chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop", "usage": USAGE}]), DONE],
        [chunk(usage=USAGE, choices=[]), chunk(finish="stop")],
        [chunk(finish="stop"), chunk(usage=USAGE, choices=[])[:-2]],
    ],
    ids=[
        "after the finish",
        "with it",
        "on every chunk",
        "Groq",
        "in the choice",
        "before",
        "in a last line that is cut",
    ],
)
def test_usage_is_found_and_told_before_the_end(pieces: list[bytes]) -> None:
    events = decode(*pieces)
    assert events.count(UsageTold(Usage(input=3, output=2))) == 1
    assert isinstance(events[-1], Finished)
    assert broken_rules(events) == []


@pytest.mark.parametrize(
    ("word", "finish"),
    [("stop", "stop"), ("eos", "stop"), ("length", "length"), ("model_length", "length"), ("content_filter", "content_filter"), ("SAFETY", "content_filter"), ("tool_calls", "stop")],
)  # fmt: skip
def test_odd_words_of_the_end_are_understood(word: str, finish: str) -> None:
    last = decode(chunk({"content": "a"}), chunk(finish=word), DONE)[-1]
    assert last == Finished(finish, native_finish=word)  # type: ignore[arg-type]


@pytest.mark.parametrize("finish", [None, ""])
def test_a_stream_without_a_finish_reason_was_cut_unless_it_says_that_it_is_done(finish: object) -> None:
    cut = decode(chunk({"content": "a"}, finish))
    assert cut == [STARTED, TextDelta("a")]
    assert decode(chunk({"content": "a"}, finish), DONE)[-1] == Finished("stop")


@pytest.mark.parametrize(
    ("event", "failure"),
    [
        (b'data: {"error":{"message":"busy","code":429}}\n\n', StreamFailed("busy", 429, "429")),
        (
            b'event: error\ndata: {"error":{"message":"busy","type":"overloaded"}}\n\n',
            StreamFailed("busy", 0, "overloaded"),
        ),
        (b'data: {"error":"busy"}\n\n', StreamFailed("busy")),
        (b"data: <html>\n\n", StreamFailed("the provider sent an event that cannot be read")),
        (chunk(finish="error"), StreamFailed("the provider broke off its answer", 0, "error")),
    ],
    ids=range(5),
)
def test_a_providers_error_ends_the_stream(event: bytes, failure: StreamFailed) -> None:
    events = decode(chunk({"content": "a"}), event, chunk({"content": "late"}), DONE)
    assert events == [STARTED, TextDelta("a"), failure]


def test_nothing_follows_the_end() -> None:
    events = decode(chunk(finish="stop"), DONE, chunk({"content": "late"}), DONE)
    assert events == [STARTED, Finished("stop", native_finish="stop")]


def test_azures_empty_first_chunk_does_not_name_the_answer() -> None:
    first = b'data: {"id":"","model":"","choices":[],"prompt_filter_results":[]}\n\n'
    assert decode(first, chunk({"content": "a"}))[0] == STARTED


def test_comments_and_empty_events_say_nothing() -> None:
    assert decode(b"\xef\xbb\xbf: OPENROUTER PROCESSING\n\n", b"event: ping\n\n", b"data:\n\n", b"\r\n\r\n") == []


def test_an_endless_event_is_a_failure() -> None:
    decoder = Decoder(ORIGIN)
    piece = b"x" * (1 << 22)
    events = decoder.feed(b"data: " + piece)
    for _ in range(4):
        events += decoder.feed(piece)
    assert isinstance(events[-1], StreamFailed)
    assert decoder.feed(piece) == decoder.end() == []


# -- properties -------------------------------------------------------------------------------------------------------

DELTAS = st.one_of(
    st.fixed_dictionaries({"content": st.text(max_size=8) | st.none()}),
    st.fixed_dictionaries({"reasoning_content": st.text(max_size=8)}),
    st.fixed_dictionaries({"refusal": st.text(max_size=5)}),
    st.builds(
        lambda *values: {"tool_calls": [entry(*values)]},
        st.none() | st.integers(0, 2), st.sampled_from([None, "", "a", "b"]), st.sampled_from([None, "", "f", "g"]),
        st.sampled_from([None, "", "{}", '{"x":', "1}", "null"]),
    ),
)  # fmt: skip


@CALM
@given(st.lists(DELTAS, max_size=8), st.sampled_from(["stop", "tool_calls", "length"]))
def test_any_deltas_keep_the_promises_of_events(deltas: list[dict[str, Any]], finish: str) -> None:
    events = decode(*map(chunk, deltas), chunk(finish=finish), DONE)
    assert broken_rules(events) == []


@CALM
@given(
    st.lists(DELTAS, max_size=6), st.lists(st.integers(0, 10_000), max_size=12), st.sampled_from([b"\n\n", b"\r\n\r\n"])
)
def test_any_split_gives_the_same_events(deltas: list[dict[str, Any]], places: list[int], end: bytes) -> None:
    stream = b"".join([*map(chunk, deltas), chunk(finish="stop"), DONE]).replace(b"\n\n", end)
    marks = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    assert decode(*(stream[start:stop] for start, stop in itertools.pairwise(marks))) == decode(stream)


@CALM
@given(
    st.binary(max_size=80)
    | st.binary(max_size=40).map(lambda noise: b'data: {"choices":[{"delta":{' + noise + b"}}]}\n\n")
)
def test_any_bytes_are_decoded(noise: bytes) -> None:
    assert broken_rules(decode(chunk({"content": "a"}), noise)) == []
