"""A stream in Ollama's shape: lines that the grammar takes, whatever the events."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.codec import Arrival, Stamp
from gateway.dialects.envelope import Envelopes
from gateway.dialects.ollama.codec import CALLER
from gateway.dialects.ollama.encoder import StreamEncoder
from gateway.dialects.ollama.grammar import Grammar
from gateway.domain.chat import ChatRequest, Citation, Image, Reasoning, Signature
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

CALM = settings(deadline=None, database=None, max_examples=200)
ENVELOPES = Envelopes(b"k" * 32)
STAMP = Stamp(request_id="r", created_at=1_700_000_000, model='fa"st', envelopes=ENVELOPES, input_tokens=9)


def violations(data: bytes) -> list[str]:
    grammar = Grammar()
    for line in data.splitlines(keepends=True):
        grammar.feed(line)
    grammar.end()
    return grammar.violations


def lines(*events: Event, stamp: Stamp = STAMP) -> list[dict[str, Any]]:
    data = StreamEncoder(stamp).feed(list(events))
    return [json.loads(line) for line in data.splitlines()]


def test_text_comes_in_lines_and_the_last_says_what_was_used() -> None:
    data = StreamEncoder(STAMP).feed(
        [Started(id="x", model="real"), TextDelta("Hé"), TextDelta(""), TextDelta("llo\n"), UsageTold(Usage(input=3, output=2)), Finished("stop")]
    )  # fmt: skip
    first, second, last = (json.loads(line) for line in data.splitlines())
    assert first == {
        "model": 'fa"st',
        "created_at": "2023-11-14T22:13:20Z",
        "message": {"role": "assistant", "content": "Hé"},
        "done": False,
    }
    assert second["message"]["content"] == "llo\n"
    assert last["message"] == {"role": "assistant", "content": ""}
    assert (last["done"], last["done_reason"], last["prompt_eval_count"], last["eval_count"]) == (True, "stop", 3, 2)
    assert violations(data) == []


def test_without_a_told_usage_the_prompts_estimate_stands() -> None:
    (last,) = lines(Started(), Finished("length"))
    assert last["prompt_eval_count"] == 9
    assert "eval_count" not in last


def test_thoughts_have_a_field_of_their_own() -> None:
    first, last = lines(Started(), ThinkingDelta("hm"), ThinkingDone(Signature("gemini", "s")), Finished("stop"))
    assert first["message"] == {"role": "assistant", "content": "", "thinking": "hm"}
    assert last["done"]


def test_who_wants_no_thoughts_gets_none() -> None:
    request = ChatRequest(model="m", turns=(), reasoning=Reasoning(effort="none", shows=False))
    stamp = Stamp(request_id="r", created_at=0, model="m", envelopes=ENVELOPES, request=request)
    (last,) = lines(Started(), ThinkingDelta("hm"), ThinkingDone(), Finished("stop"), stamp=stamp)
    assert last["done"]


def test_calls_that_interleave_come_whole() -> None:
    first, second, last = lines(
        Started(),
        ToolCallStarted(0, "c0", "look"),
        ToolCallStarted(1, "c1", "buy"),
        ToolCallDelta(0, '{"at":'),
        ToolCallDelta(1, '{\n"n": 2.0}'),
        ToolCallDelta(0, '"here"}'),
        ToolCallDone(0),
        ToolCallDone(1),
        Finished("tool_calls"),
    )
    assert first["message"]["tool_calls"] == [
        {"id": "c0", "function": {"index": 0, "name": "look", "arguments": {"at": "here"}}}
    ]
    assert second["message"]["tool_calls"][0]["function"] == {"index": 1, "name": "buy", "arguments": {"n": 2.0}}
    assert (last["done"], last["done_reason"]) == (True, "stop")


def test_a_refusal_is_content_and_a_picture_comes_as_bytes() -> None:
    first, second, _ = lines(
        Started(),
        RefusalDelta("no"),
        CitationAdded(Citation(url="u")),
        ImageMade(Image(media_type="image/png", data="aGk=")),
        ImageMade(Image(url="https://a/b.png")),
        Finished("content_filter"),
    )
    assert first["message"]["content"] == "no"
    assert second["message"]["images"] == ["aGk="]


@pytest.mark.parametrize("event", [Finished("stop"), StreamFailed("no more", 529, "overloaded")])
def test_nothing_follows_the_end(event: Event) -> None:
    encoder = StreamEncoder(STAMP)
    data = encoder.feed([Started(), TextDelta("a"), event, TextDelta("b"), Finished("stop")])
    assert violations(data) == []
    assert encoder.feed([TextDelta("c")]) + encoder.fail(500, "x", "late") == b""


def test_a_failure_is_a_line_and_no_done() -> None:
    encoder = StreamEncoder(STAMP)
    data = encoder.feed([Started(), TextDelta("a")]) + encoder.fail(502, "upstream_cut", "cut", {"request_id": "r"})
    assert data.endswith(b'\n{"error":"cut"}\n')
    assert violations(data) == []


def test_a_stream_is_ndjson_and_has_nothing_to_keep_it_alive_with() -> None:
    assert CALLER.stream_type(Arrival()) == b"application/x-ndjson"
    assert CALLER.keep_alive == b""


DELTAS = st.lists(
    st.one_of(
        st.text(max_size=8).map(TextDelta),
        st.text(max_size=8).map(RefusalDelta),
        st.text(max_size=8).map(ThinkingDelta),
        st.just(ThinkingDone()),
        st.builds(ImageMade, st.builds(Image, data=st.sampled_from(["", "aGk="]))),
        st.builds(UsageTold, st.builds(Usage, input=st.integers(0, 9), output=st.integers(0, 9))),
    ),
    max_size=12,
)
ARGUMENTS = st.text(max_size=12) | st.dictionaries(st.text(max_size=3), st.floats() | st.text(max_size=3)).map(
    lambda value: json.dumps(value, indent=1)
)


@CALM
@given(DELTAS, st.lists(ARGUMENTS, max_size=3), st.sampled_from(["stop", "length", "tool_calls", "content_filter"]))
def test_every_stream_follows_the_grammar(deltas: list[Event], calls: list[str], finish: Any) -> None:
    events: list[Event] = [Started(), *deltas]
    events += [ToolCallStarted(index, f"c{index}", "f") for index in range(len(calls))]
    for index, arguments in enumerate(calls):
        events += [ToolCallDelta(index, arguments), ToolCallDone(index)]
    encoder = StreamEncoder(STAMP)
    data = b"".join(encoder.feed([event]) for event in [*events, Finished(finish)])
    assert violations(data) == []
    assert data == StreamEncoder(STAMP).feed([*events, Finished(finish)])
