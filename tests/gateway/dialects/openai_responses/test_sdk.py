"""OpenAI's own SDK reads what the encoder writes, streamed and whole, over a transport inside the process."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from openai import OpenAI, pydantic_function_tool
from pydantic import BaseModel

from gateway.dialects.openai_responses.codec import CALLER
from gateway.domain.chat import (
    Answer,
    ChatRequest,
    Citation,
    Image,
    Refusal,
    Signature,
    Text,
    Thinking,
    Tool,
    ToolCall,
    Turn,
)
from gateway.domain.events import (
    CitationAdded,
    Event,
    Finished,
    ImageMade,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingDone,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStarted,
    UsageTold,
)
from gateway.domain.usage import Usage
from tests.support.traffic import ENVELOPES, stamp

FOREIGN = Signature(dialect="anthropic_messages", data="EqQB", provider="acme")
USAGE = Usage(input=120, output=60, cache_read=64, reasoning=40)
EVENTS: list[Event] = [
    Started(id="resp_theirs", model="theirs"),
    ThinkingDelta("Weigh "),
    ThinkingDelta("it."),
    ThinkingDone(FOREIGN),
    TextDelta("Let me "),
    TextDelta("look."),
    CitationAdded(Citation(url="https://rain.example", title="Rain", start=0, end=3)),
    ToolCallStarted(0, "call_a", "look_up"),
    ToolCallDelta(0, '{"city":'),
    ToolCallStarted(1, "call_b", "list", namespace="calendar"),
    ToolCallDelta(1, "{}"),
    ToolCallDelta(0, '"Oslo"}'),
    ToolCallDone(0),
    ToolCallDone(1),
    ToolCallStarted(2, "call_c", "patch", kind="custom"),
    ToolCallDelta(2, "*** Begin"),
    ToolCallDone(2),
    UsageTold(USAGE),
    Finished("tool_calls"),
]
REQUEST = ChatRequest(
    model="asked/model",
    turns=(Turn("system", (Text(text="Be brief."),)), Turn("user", (Text(text="Hi"),))),
    tools=(
        Tool(name="look_up", schema={"type": "object"}),
        Tool(name="list", namespace="calendar"),
        Tool(name="patch", kind="custom"),
    ),
    is_stream=True,
)


def client(answer: bytes, content_type: str = "text/event-stream") -> OpenAI:
    def respond(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": content_type}, content=answer)

    transport = httpx.MockTransport(respond)
    return OpenAI(api_key="k", base_url="http://here/v1", http_client=httpx.Client(transport=transport), max_retries=0)


def written(events: list[Event], size: int = 1) -> bytes:
    encoder = CALLER.make_encoder(stamp(REQUEST))
    return b"".join(encoder.feed(events[at : at + size]) for at in range(0, len(events), size))


@pytest.mark.parametrize("size", [1, 2, 100])
def test_the_stream_helper_gets_the_whole_response(size: int) -> None:
    with client(written(EVENTS, size)).responses.stream(model="m", input="Hi") as stream:
        response = stream.get_final_response()
    assert response.output_text == "Let me look."
    kinds = [item.type for item in response.output]
    assert kinds == ["reasoning", "message", "function_call", "function_call", "custom_tool_call"]
    assert response.output[0].summary[0].text == "Weigh it."
    assert ENVELOPES.open(response.output[0].encrypted_content) == FOREIGN
    annotation = response.output[1].content[0].annotations[0]
    assert (annotation.type, annotation.url, annotation.end_index) == ("url_citation", "https://rain.example", 3)
    calls = [(item.call_id, item.name, item.status) for item in response.output[2:4]]
    assert calls == [("call_a", "look_up", "completed"), ("call_b", "list", "completed")]
    assert [json.loads(item.arguments) for item in response.output[2:4]] == [{"city": "Oslo"}, {}]
    assert response.output[3].namespace == "calendar"
    assert response.output[4].input == "*** Begin"
    assert response.usage.total_tokens == 180
    assert response.usage.input_tokens_details.cached_tokens == 64
    assert response.usage.output_tokens_details.reasoning_tokens == 40
    assert response.model == "asked/model"
    assert response.instructions == "Be brief."
    assert response.store is False
    assert [tool.type for tool in response.tools] == ["function", "namespace", "custom"]


def test_the_raw_stream_gives_typed_events_numbered_from_zero() -> None:
    events = list(client(written(EVENTS)).responses.create(model="m", input="Hi", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    texts = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert texts == ["Let me ", "look."]
    arguments = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    assert arguments == ['{"city":', "{}", '"Oslo"}']


class City(BaseModel):
    name: str


def test_structured_text_is_parsed() -> None:
    events: list[Event] = [Started(), TextDelta('{"name":'), TextDelta('"Oslo"}'), Finished("stop")]
    with client(written(events)).responses.stream(model="m", input="Hi", text_format=City) as stream:
        assert stream.get_final_response().output_parsed == City(name="Oslo")


class LookUp(BaseModel):
    city: str


def test_arguments_are_parsed_by_the_tool_that_was_given() -> None:
    tool = pydantic_function_tool(LookUp, name="look_up")["function"]
    tools: Any = [{"type": "function", **tool}]
    events: list[Event] = [
        Started(), ToolCallStarted(0, "c", "look_up"), ToolCallDelta(0, '{"city":"Oslo"}'), ToolCallDone(0), Finished("tool_calls"),
    ]  # fmt: skip
    with client(written(events)).responses.stream(model="m", input="Hi", tools=tools) as stream:
        assert stream.get_final_response().output[0].parsed_arguments == {"city": "Oslo"}


@pytest.mark.parametrize(
    ("events", "check"),
    [
        ([RefusalDelta("I "), RefusalDelta("cannot.")], lambda item: item.content[0].refusal == "I cannot."),
        ([ImageMade(Image(media_type="image/png", data="iVBO"))], lambda item: item.result == "iVBO"),
        (
            [ThinkingDone(Signature("openai_responses", "gAAA", "acme", "rs_theirs"), is_redacted=True)],
            lambda item: (item.id, item.encrypted_content) == ("rs_theirs", "gAAA"),
        ),
        ([TextDelta("a"), RefusalDelta("b")], lambda item: [part.type for part in item.content] == ["output_text", "refusal"]),
    ],
)  # fmt: skip
def test_other_items_reach_the_final_response(events: list[Event], check: Callable[[Any], bool]) -> None:
    with client(written([Started(), *events, Finished("stop")])).responses.stream(model="m", input="Hi") as stream:
        assert check(stream.get_final_response().output[0])


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_an_answer_that_is_not_whole_is_incomplete(finish: Any, reason: str) -> None:
    stream = client(written([Started(), TextDelta("Once"), Finished(finish)])).responses.create(
        model="m", input="Hi", stream=True
    )
    last = list(stream)[-1]
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details.reason == reason
    assert last.response.output[0].status == "incomplete"


def test_a_cut_stream_is_an_error_and_never_a_response() -> None:
    encoder = CALLER.make_encoder(stamp(REQUEST))
    answer = encoder.feed([Started(), TextDelta("Half")]) + encoder.fail(502, "upstream_cut", "the provider stopped")
    events = list(client(answer).responses.create(model="m", input="Hi", stream=True))
    assert (events[-2].type, events[-2].code, events[-2].message) == ("error", "upstream_cut", "the provider stopped")
    assert (events[-1].type, events[-1].response.error.code) == ("response.failed", "upstream_cut")
    with (
        client(answer).responses.stream(model="m", input="Hi") as stream,
        pytest.raises(RuntimeError, match=r"response\.completed"),
    ):
        stream.get_final_response()


def test_a_whole_answer_is_read() -> None:
    answer = Answer(
        parts=(
            Thinking(text="Weigh it.", signature=FOREIGN),
            Text(text="Oslo.", citations=(Citation(url="https://rain.example"),)),
            Refusal(text="No."),
            ToolCall(id="call_a", name="look_up", arguments="{}"),
        ),
        finish="tool_calls",
        usage=USAGE,
    )
    body = CALLER.encode_response(answer, stamp(REQUEST))
    response = client(body, "application/json").responses.create(model="m", input="Hi")
    assert [item.type for item in response.output] == ["reasoning", "message", "function_call"]
    assert response.output_text == "Oslo."
    assert [part.type for part in response.output[1].content] == ["output_text", "refusal"]
    assert response.output[2].status == "completed"
    assert (response.status, response.usage.total_tokens) == ("completed", 180)
