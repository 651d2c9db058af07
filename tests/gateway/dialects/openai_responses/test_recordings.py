"""Real traffic of real providers passes unchanged, is understood, and is written again saying the same."""

import json
from typing import Any

import pytest

from gateway.dialects.codec import Arrival, BrokenAnswer, Unsupported
from gateway.dialects.openai_responses.codec import CALLER, PROVIDER
from gateway.dialects.openai_responses.grammar import Grammar
from gateway.dialects.openai_responses.usage import usage_of
from gateway.dialects.sse import EventSplitter, data_of
from gateway.domain.chat import ChatRequest, ToolCall
from gateway.domain.errors import BadRequest
from gateway.domain.events import Finished, StreamFailed
from tests.support import gist
from tests.support.event_rules import broken_rules
from tests.support.traffic import ENVELOPES, EXCHANGES, ORIGIN, decoded, destination, is_json, read, recorded, stamp

Row = dict[str, Any]
HERE = "openai_responses"
NOT_JSON = "parallel-tool-call-wrapper"
"""A recording whose first and last event lack a brace."""


def own(kind: str) -> list[Any]:
    return [row for row in recorded(kind) if row.values[0]["dialect"] == HERE]


def values_in(stream: bytes) -> list[dict[str, Any]]:
    datas = [data_of(event) for event in EventSplitter().feed(stream)]
    return [json.loads(data) for data in datas if is_json(data.decode())]  # type: ignore[arg-type]


@pytest.mark.parametrize("row", own("stream"))
def test_a_stream_passes_unchanged_and_its_end_is_understood(row: Row) -> None:
    stream = read(row)
    values = values_in(stream)
    ends = [value for value in values if value["type"] in ("response.completed", "response.incomplete")]
    usage = usage_of(ends[-1]["response"]["usage"]) if ends else None
    for size in (len(stream), 1000, 61):
        tap = PROVIDER.make_tap(hides_usage_chunk=False)
        out = b"".join(tap.feed(stream[at : at + size]) for at in range(0, len(stream), size)) + tap.take_rest()
        assert out == stream
        assert (tap.is_complete, tap.usage) == (bool(ends), usage)
        assert bool(tap.error) is ("mid-stream-error" in row["features"])


@pytest.mark.parametrize("row", own("stream"))
def test_a_stream_commits_before_its_first_content(row: Row) -> None:
    stream = read(row)
    verdicts = [PROVIDER.classify(event) for event in EventSplitter().feed(stream)]
    first = next(verdict for verdict in verdicts if verdict != "noise")
    assert first == ("error" if NOT_JSON in row["file"] or verdicts[2] == "error" else "useful")


@pytest.mark.parametrize("row", own("stream"))
def test_a_stream_is_written_again_saying_the_same(row: Row) -> None:
    stream = read(row)
    events = decoded(HERE, stream)
    assert broken_rules(events) == []
    assert decoded(HERE, stream, (97, 13)) == events
    if NOT_JSON in row["file"]:
        assert isinstance(events[-1], StreamFailed)
        return
    grammar, encoder = Grammar(), CALLER.make_encoder(stamp(ChatRequest(model="m", turns=(), is_stream=True)))
    written = b"".join(encoder.feed([event]) for event in events)
    for event in EventSplitter().feed(written):
        grammar.feed(event)
    grammar.end()
    assert grammar.violations == []
    again, told = gist.of_events(decoded(HERE, written)), gist.of_events(events)
    if told.failed:
        assert again.failed == told.failed
        return
    assert (again.text, again.refusal, again.thinking) == (told.text, told.refusal, told.thinking)
    assert (again.calls, again.images, again.finish) == (told.calls, told.images, told.finish)
    assert again.usage == told.usage


@pytest.mark.parametrize("row", own("stream"))
def test_the_events_hold_what_the_provider_says_at_the_end(row: Row) -> None:
    stream = read(row)
    ends = [
        value["response"]
        for value in values_in(stream)
        if value["type"] in ("response.completed", "response.incomplete")
    ]
    if not ends or not ends[-1]["output"]:
        return
    told = gist.of_answer(PROVIDER.decode_response(json.dumps(ends[-1]).encode(), ORIGIN))
    found = gist.of_events(decoded(HERE, stream))
    assert found.text == told.text
    assert found.calls == told.calls
    assert found.finish == told.finish
    assert found.usage == told.usage
    assert found.citations == told.citations
    assert found.thinking.replace("\n", "") == told.thinking.replace("\n", "")
    assert len(found.signatures) == len(told.signatures)  # encrypted again at the end


@pytest.mark.parametrize("row", own("response"))
def test_an_answer_is_told_from_an_error_and_written_again(row: Row) -> None:
    body = read(row)
    value = json.loads(body)
    reading = PROVIDER.read_answer(body)
    if row.get("status", 200) != 200 or value.get("status") == "failed":
        assert reading.kind == "error"
        assert reading.message
        with pytest.raises(BrokenAnswer):
            PROVIDER.decode_response(body, ORIGIN)
        return
    assert reading.kind == "answer"
    assert reading.usage == usage_of(value["usage"])
    answer = PROVIDER.decode_response(body, ORIGIN)
    again = PROVIDER.decode_response(CALLER.encode_response(answer, stamp()), ORIGIN)
    assert gist.of_answer(again).calls == gist.of_answer(answer).calls
    assert gist.of_answer(again).thinking == gist.of_answer(answer).thinking
    assert gist.of_answer(again).text == gist.of_answer(answer).text
    assert gist.of_answer(again).signatures == gist.of_answer(answer).signatures
    assert [part.id for part in again.parts if isinstance(part, ToolCall)] == [
        part.id for part in answer.parts if isinstance(part, ToolCall)
    ]
    assert (again.finish, again.usage) == (answer.finish, answer.usage)


REFUSED = {"previous_response_id", "background", "input[0].type", "input[6].type"}
"""What needs a stored conversation, or a compaction item's provider."""


@pytest.mark.parametrize("row", own("request"))
def test_a_request_passes_with_another_model_only(row: Row) -> None:
    body = read(row)
    head = CALLER.read_head(body, Arrival())
    value = json.loads(body)
    assert (head.model, head.is_stream) == (value["model"], value.get("stream") is True)
    assert PROVIDER.pass_on(body, head, head.model, asks_usage=True) is body
    assert json.loads(PROVIDER.pass_on(body, head, "another/model", asks_usage=True)) == value | {
        "model": "another/model"
    }


@pytest.mark.parametrize("row", own("request"))
def test_a_request_is_written_again_asking_the_same(row: Row) -> None:
    body = read(row)
    try:
        request = CALLER.decode_request(body, Arrival(), ENVELOPES)
    except BadRequest as error:
        assert error.param in REFUSED  # noqa: PT017
        return
    try:
        encoded = PROVIDER.encode_request(request, destination(quirks=("custom_tools",)))
    except Unsupported as reason:
        assert "tool_search" in reason.message  # noqa: PT017
        return
    again = CALLER.decode_request(encoded.body, Arrival(), ENVELOPES)
    found, told = gist.of_request(again), gist.of_request(request)
    found.tools = [encoded.names[name].name if name in encoded.names else name for name in found.tools]
    assert found == told
    assert (again.temperature, again.max_tokens) == (request.temperature, request.max_tokens)
    assert again.output_format == request.output_format
    assert again.reasoning == request.reasoning


def test_our_own_exchanges_are_all_in_the_index() -> None:
    folder = EXCHANGES / HERE
    assert {row.values[0]["file"] for kind in ("stream", "response", "request") for row in own(kind)} >= {
        path.name for path in folder.iterdir() if path.name != "index.json"
    }


def test_every_end_is_met_among_the_exchanges() -> None:
    found = {decoded(HERE, read(row.values[0]))[-1] for row in own("stream") if not row.marks}
    assert {type(event) for event in found} == {Finished, StreamFailed}
