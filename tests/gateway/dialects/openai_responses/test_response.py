"""Whole answers: judged, read and written."""

import json
from typing import Any

import pytest

from gateway.dialects.codec import Arrival, BrokenAnswer
from gateway.dialects.openai_responses.request import decode_request
from gateway.dialects.openai_responses.response import decode_response, encode_response, read_answer
from gateway.domain.chat import (
    Answer,
    ChatRequest,
    Image,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Signature,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    Turn,
)
from gateway.domain.usage import Usage
from tests.support.traffic import ENVELOPES, ORIGIN, stamp

GEMINI = Signature(dialect="gemini", data="CiQB", provider="acme")
MESSAGE = {"type": "message", "content": [{"type": "output_text", "text": "Hi", "annotations": []}]}
USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 2},
}


def body(*output: Any, **fields: Any) -> bytes:
    return json.dumps({"id": "resp_1", "model": "m-1", "status": "completed", "output": output} | fields).encode()


def read(*output: Any, **fields: Any) -> Answer:
    return decode_response(body(*output, **fields), ORIGIN)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (body(MESSAGE), "answer"),
        (body(MESSAGE, status=None), "answer"),
        (body(status="incomplete"), "answer"),
        (body(), "empty"),
        (body(output=None), "empty"),
        (b" ", "empty"),
        (b"<html>", "not_json"),
        (b"[]", "not_json"),
        (b"[" * 100_000, "not_json"),
        (body(status="failed", error={"code": "server_error", "message": "m"}), "error"),
        (body(MESSAGE, status="cancelled"), "error"),
        (body(status="queued"), "error"),
        (b'{"error":{"message":"m"}}', "error"),
        (b'{"code":"c","error":"text"}', "error"),
    ],
    ids=range(14),
)
def test_an_answer_is_told_from_what_came_in_its_place(raw: bytes, kind: str) -> None:
    reading = read_answer(raw)
    assert reading.kind == kind
    assert bool(reading.message) is (kind != "answer")
    if kind not in ("answer", "empty"):
        with pytest.raises(BrokenAnswer):
            decode_response(raw, ORIGIN)


def test_an_error_tells_its_status_and_an_answer_its_usage() -> None:
    assert read_answer(body(status="failed", error={"code": "rate_limit_exceeded", "message": "m"})).error_status == 429
    assert read_answer(body(MESSAGE, usage=USAGE)).usage == Usage(9, 5, 4, 1, 2)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, None),
        ("many", None),
        ({}, None),
        ({"input_tokens": 5}, Usage(input=5)),
        ({"input_tokens": 5, "output_tokens": -1, "input_tokens_details": "x"}, Usage(input=5)),
        ({"input_tokens": 5, "output_tokens": 1, "output_tokens_details": {"reasoning_tokens": 9}}, Usage(5, 1, 0, 0, 1)),
        ({"input_tokens": 5, "output_tokens": True}, Usage(input=5)),
    ],
)  # fmt: skip
def test_odd_usage_does_not_lose_the_rest(usage: Any, expected: Usage | None) -> None:
    assert read_answer(body(MESSAGE, usage=usage)).usage == expected


def test_items_are_parts_in_their_order() -> None:
    answer = read(
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "gAAA"},
        {"type": "reasoning", "id": "rs_2", "summary": []},
        MESSAGE,
        {"type": "web_search_call", "id": "ws_1"},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "", "namespace": "n"},
        {"type": "custom_tool_call", "call_id": "b", "name": "p", "input": "free"},
        {"type": "message", "content": [{"type": "refusal", "refusal": "no"}]},
        {"type": "image_generation_call", "result": "aGk=", "output_format": "webp"},
        service_tier="flex",
    )  # fmt: skip
    assert answer.parts == (
        Thinking(text="hm", signature=Signature("openai_responses", "gAAA", "acme", "rs_1")),
        Text(text="Hi"),
        ToolCall(id="a", name="f", namespace="n"),
        ToolCall(id="b", name="p", arguments="free", kind="custom"),
        Refusal(text="no"),
        Image(media_type="image/webp", data="aGk="),
    )
    assert (answer.id, answer.model, answer.finish, answer.service_tier) == ("resp_1", "m-1", "tool_calls", "flex")


@pytest.mark.parametrize("arguments", ['{"a":', "[1]", "5"])
def test_arguments_that_are_no_object_break_the_answer_unless_it_was_cut(arguments: str) -> None:
    call = {"type": "function_call", "call_id": "a", "name": "f", "arguments": arguments}
    with pytest.raises(BrokenAnswer):
        read(call)
    assert read(call, status="incomplete").finish == "length"


def written(*parts: Part, request: ChatRequest | None = None, **fields: Any) -> dict[str, Any]:
    answer = Answer(parts=parts, finish=fields.pop("finish", "stop"), **fields)
    value: dict[str, Any] = json.loads(encode_response(answer, stamp(request)))
    return value


def test_texts_and_refusals_in_a_row_are_one_message() -> None:
    items = written(Text(text="a"), Refusal(text="b"), ToolCall(id="c", name="f"), Text(text="d"))["output"]
    assert [item["type"] for item in items] == ["message", "function_call", "message"]
    assert [part["type"] for part in items[0]["content"]] == ["output_text", "refusal"]
    assert len({item["id"] for item in items}) == 3


def test_signatures_come_home_through_a_client() -> None:
    native = Signature("openai_responses", "gAAA", "", "rs_1")
    parts = (
        Thinking(text="hm", signature=native),
        Text(text="Yes.", signature=GEMINI),
        ToolCall(id="c", name="f", signature=GEMINI),
    )
    sent = json.dumps({"model": "m", "input": written(*parts)["output"]}).encode()
    (turn,) = decode_request(sent, Arrival(), ENVELOPES).turns
    assert turn.parts == parts


def test_the_request_is_echoed() -> None:
    request = ChatRequest(
        model="m",
        turns=(Turn("system", (Text(text="Be brief."),)),),
        tools=(Tool(name="f", schema={"type": "object"}),),
        tool_choice=ToolChoice("tool", ("f",)),
        is_parallel=False,
        temperature=0.5,
        max_tokens=100,
        output_format=OutputFormat(schema={"type": "object"}, name="x", strict=True),
        reasoning=Reasoning(effort="high", summary="auto"),
        verbosity="low",
        metadata={"a": "b"},
    )
    response = written(Text(text="x"), request=request)
    assert response["instructions"] == "Be brief."
    assert response["tools"][0]["name"] == "f"
    assert response["tool_choice"] == {"type": "function", "name": "f"}
    assert (response["parallel_tool_calls"], response["temperature"], response["top_p"]) == (False, 0.5, 1.0)
    assert (response["max_output_tokens"], response["metadata"], response["store"]) == (100, {"a": "b"}, False)
    assert response["reasoning"] == {"effort": "high", "summary": "auto"}
    assert response["text"]["verbosity"] == "low"
    assert response["text"]["format"]["name"] == "x"
    assert (response["error"], response["previous_response_id"], response["truncation"]) == (None, None, "disabled")


@pytest.mark.parametrize(
    ("finish", "status", "details"),
    [
        ("stop", "completed", None),
        ("stop_sequence", "completed", None),
        ("pause", "completed", None),
        ("tool_calls", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
    ],
)
def test_the_status_says_whether_the_answer_is_whole(finish: Any, status: str, details: Any) -> None:
    response = written(Text(text="x"), finish=finish)
    assert (response["status"], response["incomplete_details"]) == (status, details)
    assert response["output"][-1]["status"] == status


def test_usage_is_told_or_estimated() -> None:
    told = written(Text(text="x"), usage=Usage(9, 5, 4, 1, 2))["usage"]
    assert told == USAGE | {"total_tokens": 14}
    assert written(Text(text="some words"))["usage"]["output_tokens"] > 0


def test_an_answer_of_nothing_is_an_empty_message() -> None:
    assert written()["output"][0]["content"][0]["text"] == ""
