"""The grammar finds what clients would stumble over, in streams that are right but for one thing."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.dialects.openai_responses.codec import CALLER
from gateway.dialects.openai_responses.grammar import MOST_VIOLATIONS, Grammar
from gateway.dialects.sse import EventSplitter, data_of, event_of
from gateway.domain.events import Finished, Started, TextDelta, ThinkingDelta, ThinkingDone, ToolCallDelta, ToolCallDone
from gateway.domain.events import ToolCallStarted as Call
from tests.support.traffic import stamp

Events = list[dict[str, Any]]


def right() -> Events:
    events = [
        Started(), ThinkingDelta("hm"), ThinkingDone(), TextDelta("Hi"), Call(0, "c", "f"), ToolCallDelta(0, "{}"), ToolCallDone(0), Finished("tool_calls"),
    ]  # fmt: skip
    stream = CALLER.make_encoder(stamp()).feed(events)
    return [json.loads(data_of(event)) for event in EventSplitter().feed(stream)]


def violations(events: Events, *, renumbers: bool = True) -> list[str]:
    grammar = Grammar()
    for number, event in enumerate(events):
        if renumbers:
            event["sequence_number"] = number
        grammar.feed(event_of(event["type"], json.dumps(event).encode()))
    grammar.end()
    return grammar.violations


def place(events: Events, kind: str) -> int:
    return next(number for number, event in enumerate(events) if event["type"] == f"response.{kind}")


def without(kind: str) -> Callable[[Events], None]:
    def change(events: Events) -> None:
        del events[place(events, kind)]

    return change


def with_field(kind: str, name: str, value: object) -> Callable[[Events], None]:
    def change(events: Events) -> None:
        events[place(events, kind)][name] = value

    return change


def rotated(events: Events) -> None:
    events[place(events, "output_item.done")]["item"]["id"] = "rs_other"


def other_response(events: Events) -> None:
    events[-1]["response"] = events[-1]["response"] | {"id": "resp_other"}


def no_usage(events: Events) -> None:
    events[-1]["response"]["usage"] = None


def empty_output(events: Events) -> None:
    events[-1]["response"]["output"] = []


def after_the_end(events: Events) -> None:
    events.append(dict(events[3]))


def test_a_right_stream_breaks_nothing() -> None:
    assert violations(right()) == []


@pytest.mark.parametrize(
    "change",
    [
        *map(without, ["created", "output_item.added", "content_part.added", "output_text.done", "content_part.done", "output_item.done",
                       "reasoning_summary_part.added", "function_call_arguments.done", "completed"]),
        with_field("output_text.delta", "item_id", "msg_other"),
        with_field("output_text.delta", "output_index", 7),
        with_field("output_text.delta", "delta", "Ho"),
        with_field("output_item.added", "output_index", 3),
        rotated, other_response, no_usage, empty_output, after_the_end,
    ],
)  # fmt: skip
def test_one_wrong_thing_is_found(change: Callable[[Events], None]) -> None:
    events = right()
    change(events)
    assert violations(events)


def test_a_gap_in_the_numbers_is_found() -> None:
    events = right()
    del events[1]
    assert violations(events, renumbers=False)


def test_a_name_that_is_not_the_type_is_found() -> None:
    grammar = Grammar()
    grammar.feed(b'event: response.created\ndata: {"type":"error"}\n\n')
    assert any("says that it is" in violation for violation in grammar.violations)


def test_comments_are_legal_and_noise_is_not() -> None:
    grammar = Grammar()
    grammar.feed(b": keep-alive\n\n")
    assert grammar.violations == []
    grammar.feed(b"data: nonsense\n\n")
    assert grammar.violations


def test_violations_are_bounded() -> None:
    grammar = Grammar()
    for _ in range(100):
        grammar.feed(b"data: 1\n\n")
    assert len(grammar.violations) == MOST_VIOLATIONS
