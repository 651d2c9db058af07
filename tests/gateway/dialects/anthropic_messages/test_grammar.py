"""The grammar names what the SDKs would stumble over."""

import json

import pytest

from gateway.dialects.anthropic_messages.grammar import MAX_VIOLATIONS, Grammar

START = {"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": {"input_tokens": 1, "output_tokens": 1}}}  # fmt: skip
TEXT = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
CALL = {
    "type": "content_block_start",
    "index": 0,
    "content_block": {"type": "tool_use", "id": "a", "name": "f", "input": {}},
}
HI = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}
HALF = {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": '{"a'}}
CLOSE = {"type": "content_block_stop", "index": 0}
END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}
STOP = {"type": "message_stop"}
ERROR = {"type": "error", "error": {"type": "api_error", "message": "m"}}


def written(*events: dict[str, object]) -> list[bytes]:
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]


def violations(*events: bytes) -> list[str]:
    grammar = Grammar()
    for event in events:
        grammar.feed(event)
    grammar.end()
    return grammar.violations


@pytest.mark.parametrize(
    "events",
    [
        (START, TEXT, HI, CLOSE, END, STOP),
        (START, {"type": "ping"}, END, STOP),
        (START, CALL, CLOSE, {**END, "delta": {"stop_reason": "tool_use"}}, STOP),
        (START, CALL, HALF, CLOSE, {**END, "delta": {"stop_reason": "max_tokens"}}, STOP),
        (START, TEXT, HI, ERROR),
        (ERROR,),
    ],
    ids=range(6),
)
def test_good_streams_have_no_violations(events: tuple[dict[str, object], ...]) -> None:
    assert violations(*written(*events), b": comment\n\n") == []


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ((), "the stream has no end"),
        ((START, TEXT, HI, CLOSE, END), "the stream has no end"),
        ((START, STOP), "message_stop before message_delta"),
        ((TEXT, HI, CLOSE), "content_block_start before message_start"),
        ((START, START), "a second message_start"),
        (({**START, "message": {}},), "message_start without id"),
        ((START, TEXT, END, STOP), "block 0 is still open"),
        ((START, TEXT, TEXT), "block 0 is still open"),
        ((START, {**TEXT, "index": 1}), "block index 1 in the place of 0"),
        ((START, HI), "content_block_delta without a block"),
        ((START, CALL, HI), "a delta `text_delta` in a block `tool_use`"),
        ((START, TEXT, {**HI, "index": 1}), "content_block_delta of block 1 in block 0"),
        ((START, {**TEXT, "content_block": {"type": "hologram"}}), "a block of type `hologram`"),
        (
            (START, CALL, HALF, CLOSE, {**END, "delta": {"stop_reason": "tool_use"}}, STOP),
            "the arguments of block 0 are no JSON object",
        ),
        ((START, CALL, CLOSE, END, STOP), "stop_reason `end_turn` with 1 calls"),
        ((START, {**END, "usage": {}}, STOP), "message_delta: usage without output_tokens"),
        ((START, {**END, "delta": {"stop_reason": None}}, STOP), "stop_reason `None`"),
        ((START, END, STOP, {"type": "message_stop"}), "message_stop after the end"),
        ((START, {"type": "hologram"}), "unknown event `hologram`"),
        (({"type": "error", "error": {}},), "an error without type and message"),
    ],
    ids=range(20),
)
def test_what_is_wrong_is_named(events: tuple[dict[str, object], ...], said: str) -> None:
    assert said in violations(*written(*events))


def test_names_and_data_are_needed_and_agree() -> None:
    assert "event `` has data of type `message_stop`" in violations(b'data: {"type":"message_stop"}\n\n')
    assert "an event without data" in violations(b"event: ping\n\n")
    assert "data that is not JSON" in violations(b"event: ping\ndata: [DONE\n\n")
    assert "data that is no object" in violations(b"data: [1]\n\n")


def test_there_are_twenty_violations_at_most() -> None:
    assert len(violations(*[b"data: x\n\n"] * 99)) == MAX_VIOLATIONS
