"""Events and answers as callers of this dialect get them: what the official SDKs need, and state that comes home."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.codec import Arrival, Origin, Stamp
from gateway.dialects.envelope import Envelopes
from gateway.dialects.openai_chat.answer import decode_response, encode_response
from gateway.dialects.openai_chat.asked import decode_request
from gateway.dialects.openai_chat.asked_tools import LEGACY_NOTE
from gateway.dialects.openai_chat.decoder import Decoder
from gateway.dialects.openai_chat.encoder import DONE, Encoder
from gateway.dialects.openai_chat.grammar import Grammar
from gateway.dialects.sse import EventSplitter, data_of
from gateway.domain.chat import (
    Answer,
    ChatRequest,
    Citation,
    Image,
    Part,
    Reasoning,
    Refusal,
    Signature,
    Text,
    Thinking,
    ToolCall,
)
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

ENVELOPES = Envelopes(b"k" * 32)
REQUEST_ID = "01234567-89ab-cdef-0123-456789abcdef"
SIGNED = Signature("anthropic_messages", "sig", "acme")
USAGE = Usage(input=3, output=2, cache_read=1, cache_write=1, reasoning=1)
CALM = settings(deadline=None, database=None, max_examples=150)


def stamp(**fields: Any) -> Stamp:
    return Stamp(REQUEST_ID, 1_700_000_000, "asked/model", ENVELOPES, ChatRequest("asked/model", (), **fields))


def encode(*events: Event, **fields: Any) -> bytes:
    return Encoder(stamp(**fields)).feed(list(events))


def chunks(stream: bytes) -> list[dict[str, Any]]:
    found = [data_of(event) for event in EventSplitter().feed(stream)]
    return [json.loads(data) for data in found if data != b"[DONE]"]


def deltas(stream: bytes) -> list[dict[str, Any]]:
    return [chunk["choices"][0]["delta"] for chunk in chunks(stream) if chunk["choices"]]


def violations(stream: bytes) -> list[str]:
    grammar = Grammar()
    for event in EventSplitter().feed(stream):
        grammar.feed(event)
    grammar.end()
    return grammar.violations


# -- streams ----------------------------------------------------------------------------------------------------------


def test_the_smallest_stream_with_a_call() -> None:
    stream = encode(
        Started("theirs", "their-model"), TextDelta("Hi"), ToolCallStarted(0, "a", "t"), ToolCallDelta(0, '{"a":1}'),
        ToolCallDone(0), UsageTold(USAGE), Finished("tool_calls"),
    )  # fmt: skip
    assert deltas(stream) == [
        {"role": "assistant", "content": ""},
        {"content": "Hi"},
        {"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "t", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":1}'}}]},
        {},
    ]
    *_, finish, usage = chunks(stream)
    assert finish["choices"][0]["finish_reason"] == "tool_calls"
    assert usage["choices"] == []
    assert usage["usage"] == {
        "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }  # fmt: skip
    assert {(chunk["id"], chunk["model"], chunk["created"], chunk["object"]) for chunk in chunks(stream)} == {
        ("chatcmpl-0123456789abcdef0123456789abcdef", "asked/model", 1_700_000_000, "chat.completion.chunk")
    }
    assert stream.endswith(DONE)
    assert violations(stream) == []


def test_the_usage_chunk_is_for_those_who_asked() -> None:
    events = (Started(), TextDelta("a"), UsageTold(USAGE), Finished("stop"))
    assert all(chunk["choices"] for chunk in chunks(encode(*events, includes_usage=False)))
    assert chunks(encode(*events))[-1]["choices"] == []


def test_a_stream_that_was_cut_has_no_clean_end() -> None:
    encoder = Encoder(stamp())
    stream = encoder.feed([Started(), TextDelta("a")]) + encoder.fail(502, "upstream_cut", "it broke", {"attempts": 1})
    assert json.loads(data_of(EventSplitter().feed(stream)[-1]))["error"]["code"] == "upstream_cut"
    assert b"[DONE]" not in stream
    assert b'"finish_reason":"' not in stream
    assert encoder.feed([TextDelta("late")]) == encoder.fail(500, "x", "y") == b""
    assert violations(stream) == []


def test_a_providers_failure_is_an_error_event() -> None:
    stream = encode(Started(), TextDelta("a"), StreamFailed("busy", 429, "slow"), TextDelta("late"))
    assert chunks(stream)[-1]["error"] == {"message": "busy", "type": "rate_limit_error", "param": None, "code": "slow"}


def test_reasoning_refusals_pictures_and_citations_have_their_places() -> None:
    stream = encode(
        Started(), ThinkingDelta("hm"), ThinkingDone(), TextDelta("abc"), CitationAdded(Citation(url="https://x", title="X", start=1, end=3)),
        RefusalDelta("no"), TextDelta("def"), CitationAdded(Citation(url="https://y", quote="q")), CitationAdded(Citation(title="no url")),
        ImageMade(Image(media_type="image/png", data="AAAA")), Finished("stop"),
    )  # fmt: skip
    found = {
        name: [delta[name] for delta in deltas(stream) if name in delta]
        for name in ("reasoning_content", "refusal", "images", "annotations")
    }
    assert found["reasoning_content"] == ["hm"]
    assert found["refusal"] == ["no"]
    assert found["images"] == [[{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}, "index": 0}]]
    assert [entry["url_citation"] for entries in found["annotations"] for entry in entries] == [
        {"url": "https://x", "title": "X", "start_index": 1, "end_index": 3},
        {"url": "https://y", "title": "", "start_index": 3, "end_index": 6, "content": "q"},
    ]
    assert "<think>" not in stream.decode()
    assert violations(stream) == []


def test_who_wants_no_reasoning_gets_none() -> None:
    events = (Started(), ThinkingDelta("hm"), ThinkingDone(), TextDelta("a"), Finished("stop"))
    assert b"reasoning_content" not in encode(*events, reasoning=Reasoning(shows=False))


def test_a_custom_call_is_written_as_one() -> None:
    stream = encode(
        Started(),
        ToolCallStarted(0, "a", "patch", "custom"),
        ToolCallDelta(0, "*** x"),
        ToolCallDone(0),
        Finished("tool_calls"),
    )
    assert [delta["tool_calls"][0] for delta in deltas(stream) if "tool_calls" in delta] == [
        {"index": 0, "id": "a", "type": "custom", "custom": {"name": "patch", "input": ""}},
        {"index": 0, "custom": {"input": "*** x"}},
    ]
    assert violations(stream) == []


def test_a_caller_of_the_legacy_shape_is_answered_in_it() -> None:
    events = (
        Started(), ToolCallStarted(0, "a", "f"), ToolCallDelta(0, "{}"), ToolCallDone(0), ToolCallStarted(1, "b", "g"),
        ToolCallDelta(1, "{}"), ToolCallDone(1), Finished("tool_calls"),
    )  # fmt: skip
    stream = encode(*events, notes=(LEGACY_NOTE,))
    assert [delta["function_call"] for delta in deltas(stream) if "function_call" in delta] == [
        {"name": "f", "arguments": ""}, {"arguments": "{}"},
    ]  # fmt: skip
    assert chunks(stream)[-1]["choices"][0]["finish_reason"] == "function_call"
    answer = Answer((ToolCall("a", "f", '{"x":1}'),), "tool_calls")
    choice = json.loads(encode_response(answer, stamp(notes=(LEGACY_NOTE,))))["choices"][0]
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"x":1}'}
    assert (choice["finish_reason"], "tool_calls" in choice["message"]) == ("function_call", False)


# -- state comes home -------------------------------------------------------------------------------------------------

BLOCKS: tuple[Part, ...] = (
    Thinking("one", SIGNED),
    Thinking("", Signature("anthropic_messages", "hidden", "acme"), is_redacted=True),
    Thinking("", Signature("anthropic_messages", "omitted", "acme")),
    Text("a"),
    ToolCall("c1", "f", "{}", signature=Signature("gemini", "c2ln", "acme")),
)


def next_turn(message: dict[str, Any]) -> tuple[Part, ...]:
    """What the hub has of an assistant's message that a client sends back with everything in it."""
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}, message]}
    return decode_request(json.dumps(body).encode(), Arrival(), ENVELOPES).turns[1].parts


def test_signed_blocks_and_calls_of_an_answer_come_back_as_they_were() -> None:
    body = json.loads(encode_response(Answer(BLOCKS, "tool_calls"), stamp()))
    assert next_turn(body["choices"][0]["message"]) == BLOCKS


def test_signed_blocks_and_calls_of_a_stream_come_back_as_they_were() -> None:
    stream = encode(
        Started(), ThinkingDelta("o"), ThinkingDelta("ne"), ThinkingDone(SIGNED), ThinkingDone(BLOCKS[1].signature, is_redacted=True),
        ThinkingDone(BLOCKS[2].signature), TextDelta("a"), ToolCallStarted(0, "c1", "f"), ToolCallDelta(0, "{}"),
        ToolCallDone(0, Signature("gemini", "c2ln", "acme")), Finished("tool_calls"),
    )  # fmt: skip
    message: dict[str, Any] = {"role": "assistant", "content": "", "reasoning_details": [], "reasoning_content": ""}
    call: dict[str, Any] = {}
    for delta in deltas(stream):
        message["content"] += delta.get("content") or ""
        message["reasoning_content"] += delta.get("reasoning_content", "")
        message["reasoning_details"] += delta.get("reasoning_details", [])
        for part in delta.get("tool_calls", ()):
            function = part.pop("function", {})
            call.setdefault("function", {"name": "", "arguments": ""})
            for name, text in function.items():
                call["function"][name] += text
            call.update(part)
    assert next_turn(message | {"tool_calls": [call]}) == BLOCKS
    assert violations(stream) == []


def test_a_signed_text_comes_back() -> None:
    text = Text("a", signature=Signature("gemini", "c2ln", "acme"))
    body = json.loads(encode_response(Answer((text,), "stop"), stamp()))
    assert next_turn(body["choices"][0]["message"]) == (text,)
    found = deltas(encode(Started(), TextDelta("a", text.signature), Finished("stop")))[1]
    assert next_turn({"role": "assistant", **found}) == (text,)


# -- answers ----------------------------------------------------------------------------------------------------------


def test_an_answer_has_all_that_the_sdk_reads() -> None:
    parts = (Thinking("hm"), Text("a"), Text("b", citations=(Citation(url="https://x", title="X"),)))
    body = json.loads(encode_response(Answer(parts, "length", usage=USAGE, service_tier="default"), stamp()))
    assert body["object"] == "chat.completion"
    assert body["choices"] == [
        {
            "index": 0,
            "message": {
                "role": "assistant", "content": "ab", "refusal": None, "reasoning_content": "hm",
                "annotations": [
                    {"type": "url_citation", "url_citation": {"url": "https://x", "title": "X", "start_index": 1, "end_index": 2}}
                ],
            },
            "logprobs": None,
            "finish_reason": "length",
        }
    ]  # fmt: skip
    assert (body["usage"]["total_tokens"], body["service_tier"]) == (5, "default")


@pytest.mark.parametrize(
    ("parts", "content"),
    [((), ""), ((ToolCall("a", "f"),), None), ((Refusal("no"),), None), ((Text("x"), ToolCall("a", "f")), "x")],
    ids=["nothing", "a call", "a refusal", "both"],
)
def test_content_is_null_only_beside_something_else(parts: tuple[Part, ...], content: str | None) -> None:
    body = json.loads(encode_response(Answer(parts, "stop"), stamp()))
    assert body["choices"][0]["message"]["content"] == content


@pytest.mark.parametrize(
    ("finish", "word"),
    [("stop", "stop"), ("stop_sequence", "stop"), ("pause", "stop"), ("length", "length"), ("tool_calls", "tool_calls"), ("content_filter", "content_filter")],
)  # fmt: skip
def test_every_end_has_a_word(finish: Any, word: str) -> None:
    assert json.loads(encode_response(Answer((), finish), stamp()))["choices"][0]["finish_reason"] == word
    assert chunks(encode(Started(), Finished(finish)))[-1]["choices"][0]["finish_reason"] == word


# -- properties -------------------------------------------------------------------------------------------------------

EVENTS = st.one_of(
    st.builds(TextDelta, st.text(min_size=1, max_size=8)),
    st.builds(lambda text: [ThinkingDelta(text), ThinkingDone(SIGNED)], st.text(min_size=1, max_size=8)),
    st.builds(RefusalDelta, st.text(min_size=1, max_size=8)),
    st.builds(ToolCallDelta, st.just(-1), st.text(max_size=8)),
)


@CALM
@given(st.lists(EVENTS, max_size=8))
def test_any_events_become_a_stream_that_says_the_same(drawn: list[Any]) -> None:
    events: list[Event] = [Started()]
    calls = 0
    for item in drawn:
        if isinstance(item, ToolCallDelta):
            arguments = json.dumps({"x": item.arguments})
            events += [ToolCallStarted(calls, f"c{calls}", "f"), ToolCallDelta(calls, arguments), ToolCallDone(calls)]
            calls += 1
        else:
            events += item if isinstance(item, list) else [item]
    stream = encode(*events, UsageTold(USAGE), Finished("tool_calls" if calls else "stop"))
    assert violations(stream) == []
    decoder = Decoder(Origin("acme", REQUEST_ID))
    again = decoder.feed(stream) + decoder.end()
    for kind in (TextDelta, ThinkingDelta, RefusalDelta):
        told = ["".join(event.text for event in found if isinstance(event, kind)) for found in (events, again)]
        assert told[0] == told[1]
    assert [event for event in again if isinstance(event, ToolCallStarted | ToolCallDelta)] == [
        event for event in events if isinstance(event, ToolCallStarted | ToolCallDelta)
    ]
    assert isinstance(again[-1], Finished)


@CALM
@given(st.lists(st.text(max_size=5), max_size=6), st.integers(1, 4))
def test_events_may_come_in_any_batches(texts: list[str], size: int) -> None:
    events: list[Event] = [Started(), *map(TextDelta, texts), Finished("stop")]
    encoder = Encoder(stamp())
    batches = [events[at : at + size] for at in range(0, len(events), size)]
    assert b"".join(itertools.starmap(encoder.feed, ([batch] for batch in batches))) == encode(*events)


def test_half_a_character_does_not_break_the_stream() -> None:
    assert deltas(encode(Started(), TextDelta("a\ud83d"), Finished("stop")))[1] == {"content": "a\ufffd"}
    answer = decode_response(encode_response(Answer((Text("a\ud83d"),), "stop"), stamp()), Origin("acme", REQUEST_ID))
    assert answer.parts == (Text("a\ufffd"),)
