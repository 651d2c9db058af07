"""Streams of providers become events: what the exchanges do not show, and providers' odd habits."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.openai_responses.codec import PROVIDER
from gateway.domain.chat import Signature
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
from tests.support.event_rules import broken_rules
from tests.support.traffic import EXCHANGES, ORIGIN

CALM = settings(deadline=None, database=None, max_examples=60)
DONE: dict[str, Any] = {"type": "response.completed", "response": {"status": "completed", "output": []}}
CREATED: dict[str, Any] = {"type": "response.created", "response": {"id": "resp_1", "model": "m-1"}}


def added(index: int, kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "response.output_item.added", "output_index": index, "item": {"type": kind} | fields}


def done(index: int, kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": index, "item": {"type": kind} | fields}


def delta(index: int, kind: str, text: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}.delta", "output_index": index, "delta": text} | fields


def decoded(*events: Any, ends: bool = True) -> list[Event]:
    """The events after `Started`. Bytes are sent as they are."""
    decoder = PROVIDER.make_decoder(ORIGIN)
    found: list[Event] = []
    for event in (CREATED, *events, *([DONE] if ends else [])):
        data = event if isinstance(event, bytes) else json.dumps(event).encode()
        found += decoder.feed(b"data: " + data + b"\n\n")
    found += decoder.end()
    assert found[0] == Started("resp_1", "m-1")
    assert broken_rules(found) == []
    return found[1:]


def call(*events: Any, index: int = 0) -> str:
    """The joined arguments of one call."""
    found = decoded(*events)
    return "".join(event.arguments for event in found if isinstance(event, ToolCallDelta) and event.index == index)


def test_reasoning_is_one_block_with_its_signature() -> None:
    item = {"id": "rs_1", "encrypted_content": "gAAA"}
    assert decoded(
        added(0, "reasoning", id="rs_1"),
        delta(0, "reasoning_summary_text", "a", summary_index=0),
        delta(0, "reasoning_summary_text", "b", summary_index=1),
        done(0, "reasoning", **item),
    )[:3] == [
        ThinkingDelta("a"),
        ThinkingDelta("\n\nb"),
        ThinkingDone(Signature("openai_responses", "gAAA", "acme", "rs_1")),
    ]


def test_reasoning_that_is_hidden_is_its_signature_alone() -> None:
    (thought, _) = decoded(done(0, "reasoning", id="rs_1", summary=[], encrypted_content="gAAA"))
    assert thought == ThinkingDone(Signature("openai_responses", "gAAA", "acme", "rs_1"), is_redacted=True)


def test_reasoning_with_nothing_to_tell_or_keep_is_nothing() -> None:
    assert decoded(added(0, "reasoning", id="rs_1"), done(0, "reasoning", id="rs_1", summary=[])) == [
        Finished("stop", native_finish="completed")
    ]


def test_of_reasoning_and_its_summary_the_first_is_taken() -> None:
    found = decoded(
        delta(0, "reasoning_text", "all of it"), delta(0, "reasoning_summary_text", "some"), done(0, "reasoning")
    )
    assert found[:2] == [ThinkingDelta("all of it"), ThinkingDone()]


def test_text_closes_reasoning_that_a_provider_left_open() -> None:
    found = decoded(delta(0, "reasoning_text", "hm"), delta(1, "output_text", "Hi"))
    assert found[:3] == [ThinkingDelta("hm"), ThinkingDone(), TextDelta("Hi")]


def test_what_is_said_only_at_the_end_of_a_part_or_item_is_taken() -> None:
    found = decoded(
        {"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": "one"},
        done(0, "message", content=[{"type": "output_text", "text": "one"}]),
        done(1, "message", content=[{"type": "output_text", "text": "two"}, {"type": "refusal", "refusal": "no"}]),
        done(2, "function_call", call_id="c", name="f", arguments='{"a":1}'),
    )
    assert found[:-1] == [
        TextDelta("one"),
        TextDelta("two"),
        RefusalDelta("no"),
        ToolCallStarted(0, "c", "f"),
        ToolCallDelta(0, '{"a":1}'),
        ToolCallDone(0),
    ]


def test_an_answer_that_comes_only_in_its_last_event_is_taken() -> None:
    output = [{"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}]
    end = {"type": "response.completed", "response": {"status": "completed", "output": output}}
    assert decoded(end, ends=False) == [TextDelta("Hi"), Finished("stop", native_finish="completed")]


def test_items_are_told_apart_by_index_where_ids_rotate() -> None:
    found = decoded(
        added(0, "function_call", id="x1", call_id="c", name="f"),
        delta(0, "function_call_arguments", "{}", item_id="x2"),
        done(0, "function_call", id="x3", call_id="c", name="f", arguments="{}"),
    )
    assert found[:-1] == [ToolCallStarted(0, "c", "f"), ToolCallDelta(0, "{}"), ToolCallDone(0)]


def test_items_are_told_apart_by_id_where_there_is_no_index() -> None:
    first = {"type": "function_call", "id": "x", "call_id": "a", "name": "f", "arguments": ""}
    second = first | {"id": "y", "call_id": "b"}
    found = decoded(
        {"type": "response.output_item.added", "item": first},
        {"type": "response.output_item.added", "item": second},
        {"type": "response.function_call_arguments.delta", "item_id": "y", "delta": '{"b":1}'},
        {"type": "response.function_call_arguments.delta", "item_id": "x", "delta": '{"a":1}'},
    )
    assert [event for event in found if isinstance(event, ToolCallDelta)] == [
        ToolCallDelta(1, '{"b":1}'),
        ToolCallDelta(0, '{"a":1}'),
    ]


def test_an_index_that_is_used_again_is_a_new_item() -> None:
    found = decoded(
        done(0, "function_call", call_id="a", name="f", arguments="{}"),
        added(0, "function_call", call_id="b", name="g"),
        done(0, "function_call", call_id="b", name="g", arguments="{}"),
    )
    assert [event.id for event in found if isinstance(event, ToolCallStarted)] == ["a", "b"]


@pytest.mark.parametrize(
    ("pieces", "whole", "expected"),
    [
        ([], "", "{}"),
        ([], None, "{}"),
        ([], {"a": 1}, '{"a":1}'),
        ([" "], "", " {}"),
        (['{"a"', ":1}"], '{"a":1}', '{"a":1}'),
        (['{"a"'], '{"a":1}', '{"a":1}'),
        (['{"a":1}'], '{"b":2}', '{"a":1}'),
        (['"{\\"a\\"', ':1}"'], '"{\\"a\\":1}"', '{"a":1}'),
        ([], '"{\\"a\\":1}"', '{"a":1}'),
    ],
)
def test_arguments_join_to_an_object_however_they_come(pieces: list[str], whole: Any, expected: str) -> None:
    assert (
        call(
            added(0, "function_call", call_id="c", name="f", arguments=""),
            *(delta(0, "function_call_arguments", piece) for piece in pieces),
            done(0, "function_call", call_id="c", name="f", arguments=whole),
        )
        == expected
    )


def test_arguments_that_are_no_object_are_a_failure_and_not_an_answer() -> None:
    found = decoded(done(0, "function_call", call_id="c", name="f", arguments='{"a":'))
    assert isinstance(found[-1], StreamFailed)
    assert found[-1].code == "invalid_tool_arguments"


def test_a_call_without_id_gets_one_and_a_repeated_id_its_own() -> None:
    found = decoded(
        done(0, "function_call", name="f", arguments="{}"),
        done(1, "function_call", call_id="c", name="f", arguments="{}"),
        done(2, "function_call", call_id="c", name="f", arguments="{}"),
    )
    ids = [event.id for event in found if isinstance(event, ToolCallStarted)]
    assert ids[1:] == ["c", "c_2"]
    assert ids[0].startswith("call_")


def test_a_call_waits_for_its_name_and_is_none_without_one() -> None:
    found = decoded(
        added(0, "function_call", call_id="c"),
        delta(0, "function_call_arguments", '{"a":'),
        delta(0, "function_call_arguments", "1}"),
        done(0, "function_call", call_id="c", name="f", arguments='{"a":1}'),
        done(1, "function_call", call_id="d", name=" ", arguments="{}"),
    )
    assert found[0] == ToolCallStarted(0, "c", "f")
    assert len([event for event in found if isinstance(event, ToolCallStarted)]) == 1


def test_free_text_of_a_custom_tool_is_kept_as_it_is() -> None:
    found = decoded(
        added(0, "custom_tool_call", call_id="c", name="patch", input=""),
        delta(0, "custom_tool_call_input", '"quoted'),
        delta(0, "custom_tool_call_input", " text"),
        done(0, "custom_tool_call", call_id="c", name="patch", input='"quoted text'),
        done(1, "custom_tool_call", call_id="d", name="patch", input=""),
    )
    assert found[:4] == [
        ToolCallStarted(0, "c", "patch", "custom"),
        ToolCallDelta(0, '"quoted'),
        ToolCallDelta(0, " text"),
        ToolCallDone(0),
    ]
    assert found[4:6] == [ToolCallStarted(1, "d", "patch", "custom"), ToolCallDone(1)]


def test_annotations_come_once_whether_told_as_events_or_at_the_end() -> None:
    cited = {"type": "url_citation", "url": "https://x", "title": "t", "start_index": 0, "end_index": 2}
    part = {"type": "output_text", "text": "Hi", "annotations": [cited]}
    told = {"type": "response.output_text.annotation.added", "output_index": 0, "annotation": cited}
    for events in ([told], []):
        found = decoded(delta(0, "output_text", "Hi"), *events, done(0, "message", content=[part]))
        assert len([event for event in found if isinstance(event, CitationAdded)]) == 1


def test_a_character_split_over_two_deltas_is_joined() -> None:
    halves = (
        b'{"type":"response.output_text.delta","output_index":0,"delta":"a\\ud83d"}',
        b'{"type":"response.output_text.delta","output_index":0,"delta":"\\ude00b"}',
        b'{"type":"response.output_text.delta","output_index":0,"delta":"\\ude00c"}',
    )
    assert "".join(event.text for event in decoded(*halves) if isinstance(event, TextDelta)) == "a😀b\ufffdc"


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, Finished("length", native_finish="max_output_tokens")),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, Finished("content_filter", native_finish="content_filter")),
        ({"status": "incomplete", "incomplete_details": None}, Finished("length", native_finish="incomplete")),
    ],
)  # fmt: skip
def test_an_answer_that_is_not_whole_says_why(end: dict[str, Any], expected: Finished) -> None:
    assert decoded({"type": "response.incomplete", "response": end}, ends=False) == [expected]


@pytest.mark.parametrize(
    ("event", "failed"),
    [
        ({"type": "error", "message": "m", "code": "rate_limit_exceeded"}, StreamFailed("m", 429, "rate_limit_exceeded")),
        ({"type": "error", "error": {"message": "m", "code": 503}}, StreamFailed("m", 503, "503")),
        ({"error": {"message": "m"}}, StreamFailed("m")),
        ({"type": "response.failed", "response": {"error": {"code": "server_error", "message": "m"}}}, StreamFailed("m", 500, "server_error")),
        ({"type": "response.completed", "response": {"status": "failed", "error": {"message": "m"}}}, StreamFailed("m")),
        (b"<html>", StreamFailed("the provider sent an event that is not JSON")),
    ],
)  # fmt: skip
def test_a_providers_error_ends_the_stream(event: Any, failed: StreamFailed) -> None:
    assert decoded(delta(0, "output_text", "Hi"), event)[1:] == [failed]


def test_a_stream_without_its_end_was_cut() -> None:
    assert decoded(delta(0, "output_text", "Hi"), ends=False) == [TextDelta("Hi")]


def test_usage_comes_before_the_end() -> None:
    end = {
        "type": "response.completed",
        "response": {"status": "completed", "output": [], "usage": {"input_tokens": 1, "output_tokens": 2}},
    }
    told, finished = decoded(end, ends=False)
    assert isinstance(told, UsageTold)
    assert isinstance(finished, Finished)


def test_unknown_items_and_events_are_passed_over() -> None:
    found = decoded(
        added(0, "hologram_call", id="h"),
        {"type": "response.hologram.delta", "delta": "x"},
        done(0, "hologram_call"),
        delta(1, "output_text", "Hi"),
    )
    assert found[0] == TextDelta("Hi")


STREAMS = sorted((EXCHANGES / "openai_responses").glob("*.sse"))


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.name)
@CALM
@given(cuts=st.lists(st.integers(0, 20_000), max_size=12))
def test_any_split_gives_the_same_events(path: Any, cuts: list[int]) -> None:
    stream = path.read_bytes()
    whole = PROVIDER.make_decoder(ORIGIN)
    expected = whole.feed(stream) + whole.end()
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    decoder, found = PROVIDER.make_decoder(ORIGIN), []
    for start, end in itertools.pairwise(places):
        found += decoder.feed(stream[start:end])
    assert found + decoder.end() == expected
