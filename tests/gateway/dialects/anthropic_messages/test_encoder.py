"""Events become a stream that a caller of this dialect reads, in the order that its blocks need."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.anthropic_messages.codec import CALLER
from gateway.dialects.anthropic_messages.grammar import Grammar
from gateway.dialects.codec import Arrival
from gateway.dialects.sse import EventSplitter, data_of
from gateway.domain.chat import Answer, ChatRequest, Citation, Part, Reasoning, Signature, Text, Thinking, ToolCall
from gateway.domain.events import (
    CitationAdded,
    Event,
    Finished,
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
from tests.support import gist
from tests.support.traffic import ENVELOPES, decoded, stamp

CALM = settings(deadline=None, database=None, max_examples=150)
OWN = Signature("anthropic_messages", "c2ln", "acme")
FOREIGN = Signature("openai_responses", "enc", "acme", "rs_1")
GOOGLE = Signature("gemini", "dGhvdWdodA==", "acme")
SHOWN = ChatRequest(model="m", turns=(), reasoning=Reasoning(budget=2048, shows=True))
OMITTED = ChatRequest(model="m", turns=(), reasoning=Reasoning(is_adaptive=True, shows=False))
NOT_ASKED = ChatRequest(model="m", turns=())


def written(*events: Event, asked: ChatRequest | None = SHOWN, batch: int = 99) -> list[dict[str, Any]]:
    return [json.loads(data_of(event)) for event in EventSplitter().feed(stream(*events, asked=asked, batch=batch))]


def stream(*events: Event, asked: ChatRequest | None = SHOWN, batch: int = 99) -> bytes:
    encoder = CALLER.make_encoder(stamp(asked))
    return b"".join(encoder.feed(list(events[at : at + batch])) for at in range(0, len(events), batch))


def content(*events: Event, asked: ChatRequest | None = SHOWN, batch: int = 99) -> list[dict[str, Any]]:
    """The blocks as a client puts them together."""
    blocks: list[dict[str, Any]] = []
    for event in written(Started(), *events, Finished("stop"), asked=asked, batch=batch):
        if event["type"] == "content_block_start":
            blocks.append(dict(event["content_block"]))
        elif event["type"] == "content_block_delta":
            delta, block = event["delta"], blocks[-1]
            match delta["type"]:
                case "text_delta":
                    block["text"] += delta["text"]
                case "thinking_delta":
                    block["thinking"] += delta["thinking"]
                case "signature_delta":
                    block["signature"] = delta["signature"]
                case "input_json_delta":
                    block["json"] = block.get("json", "") + delta["partial_json"]
                case "citations_delta":
                    block.setdefault("citations", []).append(delta["citation"])
    return blocks


def whole(*parts: Part, asked: ChatRequest | None = SHOWN) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = json.loads(CALLER.encode_response(Answer(parts, "stop"), stamp(asked)))["content"]
    return blocks


def call(index: int, *pieces: str, signature: Signature | None = None) -> list[Event]:
    deltas = [ToolCallDelta(index, piece) for piece in pieces]
    return [ToolCallStarted(index, f"toolu_{index}", "look"), *deltas, ToolCallDone(index, signature)]


def sent_back(blocks: list[dict[str, Any]]) -> tuple[Part, ...]:
    """What the hub has of the turn when the client sends the blocks back."""
    for block in blocks:
        if "json" in block:
            block["input"] = json.loads(block.pop("json"))
    results = [{"type": "tool_result", "tool_use_id": block["id"], "content": "x"} for block in blocks if block["type"] == "tool_use"]  # fmt: skip
    turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": blocks}]
    body = {
        "model": "m",
        "max_tokens": 9,
        "messages": [*turns, *([{"role": "user", "content": results}] if results else [])],
    }
    return CALLER.decode_request(json.dumps(body).encode(), Arrival(), ENVELOPES).turns[1].parts


# -- the frame -----------------------------------------------------------------------------------------------------------


def test_the_events_of_a_plain_answer() -> None:
    events = written(
        Started("id", "there"), TextDelta("Hi"), TextDelta(""), UsageTold(Usage(input=3, output=2)), Finished("stop")
    )
    assert [event["type"] for event in events] == [
        "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop",
    ]  # fmt: skip
    message = events[0]["message"]
    assert (message["id"], message["model"]) == ("msg_0198c0de000070008000" + "00000000c0de", "asked/model")
    assert message["usage"]["input_tokens"] == 7, "an estimate until the provider tells"
    assert events[-2]["usage"]["input_tokens"] == 3
    assert events[-2]["usage"]["output_tokens"] == 2
    assert b"[DONE]" not in stream(Started(), Finished("stop"))


def test_input_that_the_provider_tells_at_once_is_told_at_once() -> None:
    usage = written(Started(usage=Usage(input=50, output=1, cache_read=40)), Finished("stop"))[0]["message"]["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"]) == (10, 40)


def test_without_any_usage_there_is_an_estimate_and_never_nothing() -> None:
    usage = written(Started(), TextDelta("word " * 80), Finished("stop"))[-2]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (7, 100)


@pytest.mark.parametrize(
    ("finished", "events", "reason"),
    [
        (Finished("stop"), [], "end_turn"),
        (Finished("stop"), call(0, "{}"), "tool_use"),
        (Finished("tool_calls"), call(0, "{}"), "tool_use"),
        (Finished("tool_calls"), [], "end_turn"),
        (Finished("length"), [], "max_tokens"),
        (Finished("length", "", "model_context_window_exceeded"), [], "model_context_window_exceeded"),
        (Finished("content_filter"), [], "refusal"),
        (Finished("pause"), [], "pause_turn"),
    ],
)
def test_the_reason_to_stop(finished: Finished, events: list[Event], reason: str) -> None:
    delta = written(Started(), *events, finished)[-2]["delta"]
    assert delta == {"stop_reason": reason, "stop_sequence": None}


def test_a_stop_sequence_is_told() -> None:
    delta = written(Started(), Finished("stop_sequence", "END"))[-2]["delta"]
    assert delta == {"stop_reason": "stop_sequence", "stop_sequence": "END"}


def test_nothing_follows_the_end_or_an_error() -> None:
    encoder = CALLER.make_encoder(stamp(SHOWN))
    encoder.feed([Started(), Finished("stop")])
    assert encoder.feed([TextDelta("x")]) == b""
    assert encoder.fail(502, "c", "m") == b""
    failed = CALLER.make_encoder(stamp(SHOWN))
    out = failed.feed([Started(), TextDelta("x"), StreamFailed("too busy", 529), TextDelta("y"), Finished("stop")])
    assert out.endswith(b"\n\n")
    assert b"event: error" in out
    assert b"message_stop" not in out
    assert b'"y"' not in out


# -- thoughts ------------------------------------------------------------------------------------------------------------

THOUGHT = [ThinkingDelta("Let me "), ThinkingDelta("see.")]


@pytest.mark.parametrize("batch", [1, 99])
@pytest.mark.parametrize(
    ("signature", "asked", "kind", "text"),
    [
        (OWN, SHOWN, "thinking", "Let me see."),
        (OWN, None, "thinking", "Let me see."),
        (OWN, OMITTED, "thinking", ""),
        (OWN, NOT_ASKED, "thinking", ""),
        (FOREIGN, SHOWN, "thinking", "Let me see."),
        (FOREIGN, OMITTED, "redacted_thinking", None),
        (FOREIGN, NOT_ASKED, "redacted_thinking", None),
        (None, SHOWN, "thinking", "Let me see."),
        (None, NOT_ASKED, None, None),
    ],
)
def test_thoughts_are_shown_if_asked_for_and_signatures_survive(
    signature: Signature | None, asked: ChatRequest | None, kind: str | None, text: str | None, batch: int
) -> None:
    blocks = content(*THOUGHT, ThinkingDone(signature), TextDelta("So."), asked=asked, batch=batch)
    thought = blocks[0] if len(blocks) > 1 else {"type": None}
    assert (thought["type"], thought.get("thinking")) == (kind, text)
    if signature == OWN:
        assert thought["signature"] == "c2ln"
    assert json.dumps(blocks[:-1]) == json.dumps(whole(Thinking(text="Let me see.", signature=signature), asked=asked))
    if signature is not None:
        part = sent_back(blocks)[0]
        assert isinstance(part, Thinking)
        assert part.signature in (signature, Signature("anthropic_messages", "c2ln"))


def test_hidden_thoughts_keep_their_data() -> None:
    assert content(ThinkingDone(OWN, is_redacted=True)) == [{"type": "redacted_thinking", "data": "c2ln"}]
    assert content(ThinkingDone(OWN)) == [{"type": "thinking", "thinking": "", "signature": "c2ln"}]
    assert content(ThinkingDone(FOREIGN))[0]["type"] == "redacted_thinking"


def test_thoughts_that_nobody_signed_are_never_taken_for_anthropics_own() -> None:
    blocks = content(*THOUGHT, ThinkingDone(), TextDelta("So."))
    assert blocks[0]["signature"].startswith("OMROMROMROMR1.")
    assert sent_back(blocks)[0] == Thinking(text="Let me see.")


# -- calls ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 2, 99])
def test_calls_that_interleave_with_all_else_are_written_one_after_the_other(batch: int) -> None:
    first, second, third = call(0, '{"a":', "1}"), call(1, '{"b":', "2}"), call(2, "{}")
    mixed = [first[0], second[0], second[1], first[1], TextDelta("aside"), third[0], second[2], second[3], first[2], third[1], first[3], TextDelta("end"), third[2]]  # fmt: skip
    blocks = content(*mixed, batch=batch)
    assert [block.get("json") or block.get("text") for block in blocks] == ['{"a":1}', '{"b":2}', "aside", "{}", "end"]


def test_arguments_flow_while_they_come() -> None:
    encoder = CALLER.make_encoder(stamp(SHOWN))
    encoder.feed([Started(), ToolCallStarted(0, "a", "f")])
    assert b'"partial_json":"{\\"a\\""' in encoder.feed([ToolCallDelta(0, '{"a"')])


@pytest.mark.parametrize("batch", [1, 99])
def test_what_google_signs_comes_home_on_the_very_part(batch: int) -> None:
    other = Signature("gemini", "b3RoZXI=", "acme")
    events = [TextDelta("a", other), *call(0, "{}", signature=GOOGLE), *call(1, "{}"), *call(2, "{}", signature=other)]
    parts = sent_back(content(*events, batch=batch))
    assert [(type(part), part.signature) for part in parts if isinstance(part, Text | ToolCall)] == [
        (Text, other), (ToolCall, GOOGLE), (ToolCall, None), (ToolCall, other),
    ]  # fmt: skip
    assert not any(isinstance(part, Thinking) for part in parts)


def test_the_block_of_a_signed_call_stands_before_it() -> None:
    signed = ToolCall(id="a", name="f", signature=GOOGLE)
    for blocks in (whole(signed, asked=NOT_ASKED), content(*call(0, "{}", signature=GOOGLE), asked=NOT_ASKED)):
        assert [block["type"] for block in blocks] == ["thinking", "tool_use"]


@pytest.mark.parametrize("batch", [1, 99])
def test_the_last_block_of_an_answer_is_what_it_says(batch: int) -> None:
    """Claude Code prints the last block of an answer; with Gemini's signature of the text after it, that was nothing."""
    streamed = content(TextDelta("So "), TextDelta("be it."), TextDelta("", GOOGLE), batch=batch)
    assert streamed == whole(Text(text="So be it.", signature=GOOGLE)) == [{"type": "text", "text": "So be it."}]
    assert content(TextDelta("So "), TextDelta("be it.", GOOGLE), batch=batch) == streamed


@pytest.mark.parametrize("batch", [1, 99])
def test_the_signature_of_a_text_stands_after_it_when_something_follows(batch: int) -> None:
    events = [TextDelta("a"), TextDelta("", GOOGLE), TextDelta("b"), TextDelta("", GOOGLE), *call(0, "{}")]
    parts = (Text(text="a", signature=GOOGLE), Text(text="b", signature=GOOGLE), ToolCall(id="toolu_0", name="look"))
    for blocks in (content(*events, batch=batch), whole(*parts)):
        assert [block["type"] for block in blocks] == ["text", "thinking", "text", "thinking", "tool_use"]
        assert sent_back(blocks)[:3] == parts


def test_a_custom_tools_text_is_wrapped() -> None:
    started = ToolCallStarted(0, "a", "patch", "custom")
    blocks = content(started, ToolCallDelta(0, "*** be"), ToolCallDelta(0, 'gin "x"'), ToolCallDone(0))
    assert json.loads(blocks[0]["json"]) == {"input": '*** begin "x"'}


# -- text ----------------------------------------------------------------------------------------------------------------


def test_a_citation_belongs_to_the_block_before_it() -> None:
    cited = CitationAdded(Citation(url="https://e.org", title="E", quote="q"))
    blocks = content(TextDelta("a"), cited, CitationAdded(Citation(title="D")), TextDelta("b"))
    assert [(block["text"], len(block.get("citations", ()))) for block in blocks] == [("a", 2), ("b", 0)]
    assert blocks[0]["citations"][0]["encrypted_index"].startswith("OMROMROMROMR1."), (
        "Anthropic would refuse one of our making"
    )


def test_words_of_refusal_are_text() -> None:
    assert content(RefusalDelta("I "), RefusalDelta("won't.")) == [{"type": "text", "text": "I won't."}]


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """Any answer that keeps the promises of events, calls interleaved at will."""
    events: list[Event] = []
    open_calls: list[list[Event]] = []
    count = 0
    for kind in draw(st.lists(st.sampled_from("txrcnnn"), max_size=14)):
        if kind == "t":
            events.append(TextDelta(draw(st.text(min_size=1, max_size=4))))
        elif kind == "x":
            events += [ThinkingDelta("hm"), ThinkingDone(draw(st.sampled_from([None, OWN, FOREIGN])))]
        elif kind == "r":
            events.append(ThinkingDone(OWN, is_redacted=True))
        elif kind == "c":
            events.append(ToolCallStarted(count, f"call_{count}", "f"))
            open_calls.append(
                [ToolCallDelta(count, '{"a":"\\ud83d'), ToolCallDelta(count, '\\udc4b"}'), ToolCallDone(count)]
            )
            count += 1
        elif open_calls:
            events.append(_next(open_calls, draw(st.integers(0, len(open_calls) - 1))))
    while open_calls:
        events.append(_next(open_calls, 0))
    return [Started(), *events, UsageTold(Usage(input=9, output=4)), Finished("tool_calls" if count else "stop")]


def _next(open_calls: list[list[Event]], at: int) -> Event:
    event = open_calls[at].pop(0)
    if not open_calls[at]:
        open_calls.pop(at)
    return event


@CALM
@given(answers(), st.integers(1, 6))
def test_any_answer_keeps_the_grammar_and_says_the_same(events: list[Event], batch: int) -> None:
    out = stream(*events, batch=batch)
    grammar = Grammar()
    for event in EventSplitter().feed(out):
        grammar.feed(event)
    grammar.end()
    assert grammar.violations == []
    again, told = gist.of_events(decoded("anthropic_messages", out)), gist.of_events(events)
    assert (again.text, again.thinking, again.calls, again.finish, again.usage) == (
        told.text, told.thinking, told.calls, told.finish, told.usage,
    )  # fmt: skip


def test_half_a_character_is_written_as_a_sign_for_it() -> None:
    assert content(TextDelta("a\ud83d"), *call(0, '{"a":"\ud83d"}'))[0]["text"] == "a\ufffd"
