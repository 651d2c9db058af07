"""Whole answers: judged, read, and written; and the counts of tokens."""

import json

import pytest

from gateway.dialects.anthropic_messages.codec import CALLER, PROVIDER
from gateway.dialects.anthropic_messages.count import count_body, encode_count, read_count
from gateway.dialects.codec import BrokenAnswer, Reading
from gateway.dialects.provider_errors import error_text
from gateway.domain.chat import Answer, Citation, Text, ToolCall
from gateway.domain.usage import Usage
from tests.support.traffic import ORIGIN, stamp

DEEP = b"[" * 100_000 + b"]" * 100_000
HI = b'{"type":"message","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2}}'


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (HI, "answer", 0),
        (b'{"content":[],"stop_reason":"max_tokens"}', "answer", 0),
        (b'{"content":[],"stop_reason":"refusal","usage":{}}', "answer", 0),
        (b'{"content":[]}', "empty", 0),
        (b"{}", "empty", 0),
        (b" ", "empty", 0),
        (b"<html>", "not_json", 0),
        (b"[]", "not_json", 0),
        (b"\xff", "not_json", 0),
        (DEEP, "not_json", 0),
        (b'{"type":"error","error":{"type":"overloaded_error","message":"m"}}', "error", 529),
        (b'{"type":"error","error":{"type":"rate_limit_error","message":"m"}}', "error", 429),
        (b'{"error":"plain"}', "error", 0),
    ],
    ids=range(13),
)
def test_an_answer_is_told_from_what_came_in_its_place(body: bytes, kind: str, status: int) -> None:
    reading = PROVIDER.read_answer(body)
    assert (reading.kind, reading.error_status) == (kind, status)


def test_the_usage_of_an_answer_is_read() -> None:
    assert PROVIDER.read_answer(HI) == Reading(kind="answer", usage=Usage(input=3, output=2))


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"<html>", b'{"content":5}', b'{"content":[5]}', b'{"content":[{"type":"text","text":5}]}', DEEP],
    ids=range(7),
)
def test_what_is_no_message_is_a_broken_answer(body: bytes) -> None:
    with pytest.raises(BrokenAnswer):
        PROVIDER.decode_response(body, ORIGIN)


def test_blocks_nobody_knows_are_skipped_and_calls_have_ids_of_their_own() -> None:
    blocks = [
        {"type": "hologram", "depth": 3}, {"type": "server_tool_use", "id": "s", "name": "n", "input": {}}, {"type": "text", "text": ""},
        {"type": "tool_use", "id": "a", "name": "f", "input": {"n": 1}}, {"type": "tool_use", "id": "a", "name": "f"}, {"type": "tool_use", "name": "f", "input": None},
    ]  # fmt: skip
    answer = PROVIDER.decode_response(json.dumps({"content": blocks, "stop_reason": "end_turn"}).encode(), ORIGIN)
    calls = [part for part in answer.parts if isinstance(part, ToolCall)]
    assert len(calls) == len(answer.parts) == len({call.id for call in calls}) == 3
    assert [call.arguments for call in calls] == ['{"n": 1}', "{}", "{}"]
    assert (answer.finish, answer.native_finish) == ("tool_calls", "end_turn")


@pytest.mark.parametrize(
    ("raw", "citation"),
    [
        ({"type": "char_location", "cited_text": "q", "document_title": "D", "start_char_index": 5, "end_char_index": 9}, Citation(title="D", quote="q", start=0, end=2)),
        ({"type": "page_location", "cited_text": "q", "document_title": None}, Citation(quote="q", start=0, end=2)),
        ({"type": "content_block_location", "cited_text": "q", "document_title": "D"}, Citation(title="D", quote="q", start=0, end=2)),
        ({"type": "web_search_result_location", "url": "https://e.org", "title": "T", "cited_text": "q"}, Citation(url="https://e.org", title="T", quote="q", start=0, end=2)),
        ({"type": "search_result_location", "source": "shelf", "title": None, "cited_text": "q"}, Citation(title="shelf", quote="q", start=0, end=2)),
    ],
)  # fmt: skip
def test_citations_of_all_kinds_are_about_their_whole_block(raw: dict[str, object], citation: Citation) -> None:
    body = {"content": [{"type": "text", "text": "Hi", "citations": [raw, None]}], "stop_reason": "end_turn"}
    part = PROVIDER.decode_response(json.dumps(body).encode(), ORIGIN).parts[0]
    assert isinstance(part, Text)
    assert part.citations == (citation,)


def test_an_answer_without_usage_is_estimated_and_never_nothing() -> None:
    body = json.loads(CALLER.encode_response(Answer((Text(text="word " * 80),), "stop"), stamp()))
    assert (body["usage"]["input_tokens"], body["usage"]["output_tokens"]) == (7, 100)


def test_cached_tokens_stand_beside_the_others() -> None:
    usage = Usage(input=60, output=20, cache_read=40, cache_write=10, reasoning=5)
    assert json.loads(CALLER.encode_response(Answer((), "stop", usage=usage), stamp()))["usage"] == {
        "input_tokens": 10,
        "cache_creation_input_tokens": 10,
        "cache_read_input_tokens": 40,
        "output_tokens": 20,
        "output_tokens_details": {"thinking_tokens": 5},
    }


def test_a_count_is_written_and_read() -> None:
    assert read_count(encode_count(42)) == 42


@pytest.mark.parametrize("body", [b"", b"{}", b'{"input_tokens":"4"}', b'{"input_tokens":-1}', b"<html>"])
def test_what_is_no_count_is_a_broken_answer(body: bytes) -> None:
    with pytest.raises(BrokenAnswer):
        read_count(body)


def test_the_body_for_a_count_has_only_what_is_counted() -> None:
    body = b'{"model":"m","max_tokens":5,"stream":true,"temperature":1,"messages":[],"tools":[],"thinking":{"type":"adaptive"}}'
    assert set(json.loads(count_body(body))) == {"model", "messages", "tools", "thinking"}


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b'{"type":"error","error":{"type":"x","message":"slow down"}}', "slow down"),
        (b'{"error":{"type":"x"}}', "x"),
        (b'{"error":"plain"}', "plain"),
        (b'{"message":"top"}', "top"),
        (b"{}", "no message"),
        (b"<html>", "the provider's error is not JSON"),
        (DEEP, "the provider's error is not JSON"),
    ],
    ids=range(7),
)
def test_the_text_of_an_error(raw: bytes, text: str) -> None:
    assert error_text(raw) == text
    assert len(error_text(json.dumps({"error": "x" * 5000}).encode())) == 300
