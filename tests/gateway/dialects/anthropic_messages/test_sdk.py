"""The official SDK reads what the encoders write: whole answers, streams and errors, over a transport in this process."""

from collections.abc import Iterator

import anthropic
import httpx2 as httpx
import pytest

from gateway.dialects.anthropic_messages.codec import CALLER
from gateway.dialects.anthropic_messages.count import encode_count
from gateway.domain.chat import (
    Answer,
    ChatRequest,
    Citation,
    Image,
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
from tests.support.traffic import stamp

ASKED = ChatRequest(model="m", turns=(), reasoning=Reasoning(budget=2048))
OWN = Signature("anthropic_messages", "c2ln")
USAGE = Usage(input=60, output=20, cache_read=40, cache_write=10, reasoning=5)


def client(body: bytes, content_type: str = "application/json", status: int = 200) -> anthropic.Anthropic:
    transport = httpx.MockTransport(
        lambda request: httpx.Response(status, headers={"content-type": content_type}, content=body)
    )
    return anthropic.Anthropic(api_key="k", base_url="http://gateway", http_client=httpx.Client(transport=transport), max_retries=0)  # fmt: skip


def streamed(*events: Event, more: bytes = b"") -> anthropic.types.Message:
    encoder = CALLER.make_encoder(stamp(ASKED))
    body = CALLER.keep_alive + encoder.feed(list(events)) + more
    with client(body, "text/event-stream").messages.stream(model="m", max_tokens=9, messages=[]) as stream:
        return stream.get_final_message()


def call(index: int, name: str, *pieces: str) -> Iterator[Event]:
    yield ToolCallStarted(index, f"toolu_{index}", name)
    yield from (ToolCallDelta(index, piece) for piece in pieces)
    yield ToolCallDone(index)


def test_a_stream_with_everything_is_one_message() -> None:
    message = streamed(
        Started("msg_1", "there"),
        ThinkingDelta("Two "),
        ThinkingDelta("places."),
        ThinkingDone(OWN),
        ThinkingDone(OWN, is_redacted=True),
        TextDelta("I "),
        TextDelta("look."),
        CitationAdded(Citation(url="https://example.org", title="E", quote="q")),
        TextDelta(" So."),
        *call(0, "look", '{"where":', '"here"}'),
        *call(1, "list", "{}"),
        UsageTold(USAGE),
        Finished("tool_calls"),
    )
    kinds = [block.type for block in message.content]
    assert kinds == ["thinking", "redacted_thinking", "text", "text", "tool_use", "tool_use"]
    thought, hidden, said, rest, look, listing = message.content
    assert (thought.thinking, thought.signature, hidden.data) == ("Two places.", "c2ln", "c2ln")
    assert (said.text, said.citations[0].url, rest.text) == ("I look.", "https://example.org", " So.")
    assert (look.id, look.name, look.input) == ("toolu_0", "look", {"where": "here"})
    assert (listing.id, listing.input) == ("toolu_1", {})
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (10, 40, 10)
    assert (usage.output_tokens, usage.output_tokens_details.thinking_tokens) == (20, 5)
    assert (message.stop_reason, message.model, message.role) == ("tool_use", "asked/model", "assistant")


def test_calls_that_interleave_arrive_apart() -> None:
    first, second = list(call(0, "look", '{"a":', "1}")), list(call(1, "list", '{"b":', "2}"))
    mixed = [event for pair in zip(first, second, strict=True) for event in pair]
    message = streamed(Started(), *mixed, TextDelta("Done."), Finished("tool_calls"))
    assert [block.type for block in message.content] == ["tool_use", "tool_use", "text"]
    assert [block.input for block in message.content[:2]] == [{"a": 1}, {"b": 2}]


def test_a_refusal_in_words_is_text_and_stops_as_one() -> None:
    message = streamed(Started(), RefusalDelta("I will not."), Finished("stop"))
    assert (message.content[0].text, message.stop_reason) == ("I will not.", "refusal")


def test_an_empty_answer_is_a_message() -> None:
    message = streamed(Started(), UsageTold(Usage(input=5, output=1)), Finished("length"))
    assert (message.content, message.stop_reason) == ([], "max_tokens")


def test_a_providers_error_in_the_stream_is_raised() -> None:
    with pytest.raises(anthropic.APIStatusError, match="too busy") as raised:
        streamed(Started(), TextDelta("Hi"), StreamFailed("too busy", 529, "overloaded_error"))
    assert raised.value.body["error"]["type"] == "overloaded_error"


def test_an_end_by_the_gateway_is_raised() -> None:
    event = CALLER.encode_stream_error(502, "upstream_cut", "it stopped", None, {"request_id": "r1", "attempts": []})
    with pytest.raises(anthropic.APIStatusError, match="it stopped"):
        streamed(Started(), TextDelta("Hi"), more=event)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, anthropic.BadRequestError),
        (401, anthropic.AuthenticationError),
        (403, anthropic.PermissionDeniedError),
        (404, anthropic.NotFoundError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (503, anthropic.InternalServerError),
        (529, anthropic.InternalServerError),
    ],
)
def test_an_error_is_raised_with_its_words_and_its_request(status: int, kind: type[anthropic.APIStatusError]) -> None:
    body = CALLER.encode_error(
        status, "our_code", "what happened", "messages[0].role", {"request_id": "r-1", "near": []}
    )
    with pytest.raises(kind, match="what happened") as raised:
        client(body, status=status).messages.create(model="m", max_tokens=1, messages=[])
    assert raised.value.body["request_id"] == "r-1"
    assert raised.value.body["error"]["param"] == "messages[0].role"
    assert raised.value.body["error"]["omniroute"] == {"request_id": "r-1", "near": []}


def test_a_whole_answer_is_a_message() -> None:
    answer = Answer(
        parts=(
            Thinking(text="Hm.", signature=OWN),
            Text(text="So.", citations=(Citation(title="D", quote="q"),)),
            Image(media_type="image/png", data="eA=="),
            ToolCall(id="call 1", name="look", arguments='{"n": 1.0}'),
            Refusal(text="Not more."),
        ),
        finish="tool_calls",
        usage=USAGE,
    )
    message = client(CALLER.encode_response(answer, stamp(ASKED))).messages.create(model="m", max_tokens=9, messages=[])
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "text"]
    assert message.content[1].citations[0].cited_text == "q"
    assert message.content[2].input == {"n": 1.0}
    assert " " not in message.content[2].id
    assert (message.usage.input_tokens, message.usage.output_tokens) == (10, 20)


def test_a_count_is_a_count() -> None:
    counted = client(encode_count(42)).messages.count_tokens(model="m", messages=[])
    assert counted.input_tokens == 42
