"""What Gemini callers are given: chunks as Google's SDK needs them, whole calls, thoughts only when asked for."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import types
from google.genai.errors import APIError

from gateway.dialects.codec import Arrival, Stamp
from gateway.dialects.gemini.codec import CALLER, PROVIDER
from gateway.dialects.gemini.encoder import GeminiEncoder
from gateway.dialects.gemini.errors import encode_error, encode_stream_error
from gateway.dialects.gemini.grammar import Grammar
from gateway.dialects.sse import EventSplitter
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
from tests.support.traffic import CREATED_AT, ENVELOPES, ORIGIN, REQUEST_ID

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
OTHER = Signature(dialect="anthropic_messages", data="opaque", provider="acme")
OWN = Signature(dialect="gemini", data="T1dO", provider="acme")
USAGE = Usage(input=10, output=7, cache_read=4, cache_write=1, reasoning=2)
WIRE_USAGE = {
    "promptTokenCount": 10,
    "candidatesTokenCount": 5,
    "totalTokenCount": 17,
    "cachedContentTokenCount": 4,
    "thoughtsTokenCount": 2,
}
CALL = (
    ToolCallStarted(index=0, id="c1", name="f"),
    ToolCallDelta(0, '{"a'),
    ToolCallDelta(0, '":1.0}'),
    ToolCallDone(0),
)
STOP = Finished("stop")


def stamp(*, shows: bool = False, wants_array: bool = False) -> Stamp:
    request = ChatRequest(model="m", turns=(), reasoning=Reasoning(shows=True) if shows else None)
    return Stamp(
        request_id=REQUEST_ID, created_at=CREATED_AT, model="google/gemini-x", envelopes=ENVELOPES, request=request,
        arrival=Arrival(wants_array=wants_array),
    )  # fmt: skip


def written(*events: Event, shows: bool = False) -> bytes:
    encoder = GeminiEncoder(stamp(shows=shows))
    out = b"".join(encoder.feed([event]) for event in events)
    whole = GeminiEncoder(stamp(shows=shows)).feed(list(events))
    assert whole == out, "the same bytes for any batches"
    grammar = Grammar()
    for one in EventSplitter().feed(out):
        grammar.feed(one)
    grammar.end()
    assert grammar.violations == []
    return out


def chunks(*events: Event, shows: bool = False) -> list[Any]:
    return [json.loads(one.removeprefix(b"data: ")) for one in EventSplitter().feed(written(*events, shows=shows))]


def parts(*events: Event, shows: bool = False) -> list[Any]:
    return [part for chunk in chunks(*events, shows=shows) for part in chunk["candidates"][0]["content"]["parts"]]


def test_a_stream_byte_by_byte() -> None:
    names = b'"modelVersion":"google/gemini-x","responseId":"0198c0de00007000800000000000c0de"}\r\n\r\n'
    assert written(Started(id="other", model="other"), TextDelta('Hi "you"'), UsageTold(USAGE), STOP) == (
        b'data: {"candidates":[{"content":{"parts":[{"text":"Hi \\"you\\""}],"role":"model"},"index":0}],' + names
        + b'data: {"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":'
        + json.dumps(WIRE_USAGE, separators=(",", ":")).encode() + b"," + names
    )  # fmt: skip


def test_nothing_but_data_lines_is_ever_written() -> None:
    out = written(
        Started(),
        TextDelta("a\u2028b"),
        ThinkingDelta("x"),
        ThinkingDone(OTHER),
        *CALL,
        RefusalDelta("no"),
        UsageTold(USAGE),
        STOP,
    )
    assert all(line.startswith(b"data: {") for line in out.split(b"\r\n") if line)
    assert b"[DONE]" not in out


def test_calls_are_whole_and_keep_the_form_of_numbers() -> None:
    interleaved = (
        CALL[0],
        ToolCallStarted(index=1, id="c2", name="g"),
        CALL[1],
        ToolCallDelta(1, "{}"),
        CALL[2],
        ToolCallDone(1),
        CALL[3],
    )
    found = parts(Started(), *interleaved, Finished("tool_calls"))
    assert found[:2] == [
        {"functionCall": {"id": "c2", "name": "g", "args": {}}},
        {"functionCall": {"id": "c1", "name": "f", "args": {"a": 1.0}}},
    ]
    assert b'{"a":1.0}' in written(Started(), *CALL, Finished("tool_calls"))
    assert chunks(Started(), *CALL, Finished("tool_calls"))[-1]["candidates"][0]["finishReason"] == "STOP"


@pytest.mark.parametrize(
    ("arguments", "args"),
    [
        ("", {}),
        ("null", {}),
        ('{\n "a": 1\n}', {"a": 1}),
        ('{"a": "\\ud83d"}', {"a": "\ufffd"}),
        ('{"a', {"input": '{"a'}),
        ('"{}"', {}),
        ("[]", {"input": []}),
    ],
)
def test_arguments_are_always_one_line_and_an_object(arguments: str, args: Any) -> None:
    found = parts(Started(), CALL[0], ToolCallDelta(0, arguments), CALL[3], Finished("tool_calls"))
    assert found[0]["functionCall"]["args"] == args


def test_thoughts_are_shown_only_to_who_asked() -> None:
    stream = (Started(), ThinkingDelta("hm"), ThinkingDone(), TextDelta("a"), STOP)
    assert parts(*stream) == [{"text": "a"}, {"text": ""}]
    assert parts(*stream, shows=True) == [{"text": "hm", "thought": True}, {"text": "a"}, {"text": ""}]


@pytest.mark.parametrize("shows", [False, True])
def test_the_signature_of_another_provider_rides_on_the_part_that_follows(shows: bool) -> None:
    for following in (CALL, (TextDelta("a"),), (ImageMade(Image(media_type="image/png", data=PNG)),), ()):
        found = [
            part
            for part in parts(Started(), ThinkingDelta("hm"), ThinkingDone(OTHER), *following, STOP, shows=shows)
            if not part.get("thought")
        ]
        signed = [index for index, part in enumerate(found) if "thoughtSignature" in part]
        assert signed == [0]
        again = CALLER.decode_request(
            json.dumps({"contents": [{"parts": [{"text": "q"}]}, {"role": "model", "parts": found}]}).encode(),
            Arrival(model="m"),
            ENVELOPES,
        )
        assert again.turns[1].parts[0] == Thinking("", OTHER)


def test_every_block_of_reasoning_keeps_its_own_signature() -> None:
    second = Signature(dialect="anthropic_messages", data="second")
    found = parts(Started(), ThinkingDone(OTHER, is_redacted=True), ThinkingDone(second), *CALL, STOP)
    body = {"contents": [{"parts": [{"text": "q"}]}, {"role": "model", "parts": found}]}
    again = CALLER.decode_request(json.dumps(body).encode(), Arrival(model="m"), ENVELOPES)
    assert again.turns[1].parts[:2] == (Thinking("", OTHER, is_redacted=True), Thinking("", second))


def test_native_signatures_are_written_as_they_are() -> None:
    found = parts(Started(), TextDelta("a", OWN), *CALL[:3], ToolCallDone(0, OWN), TextDelta("", OWN), STOP)
    assert [part.get("thoughtSignature") for part in found] == ["T1dO", "T1dO", "T1dO", None]


def test_pictures_refusals_and_sources() -> None:
    citation = Citation(url="https://a", title="A", start=1, end=3)
    found = chunks(
        Started(),
        TextDelta("Grö"),
        RefusalDelta("no"),
        ImageMade(Image(media_type="image/png", data="QQ==")),
        CitationAdded(citation),
        STOP,
    )
    assert [chunk["candidates"][0]["content"]["parts"][0] for chunk in found[:3]] == [
        {"text": "Grö"},
        {"text": "no"},
        {"inlineData": {"mimeType": "image/png", "data": "QQ=="}},
    ]
    assert found[-1]["candidates"][0]["groundingMetadata"] == {
        "groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}],
        "groundingSupports": [
            {"segment": {"startIndex": 1, "endIndex": 4, "text": "rö"}, "groundingChunkIndices": [0]}
        ],
    }


@pytest.mark.parametrize(
    ("finished", "word"),
    [
        (Finished("stop"), "STOP"), (Finished("stop_sequence", stop_sequence="x"), "STOP"), (Finished("length"), "MAX_TOKENS"), (Finished("tool_calls"), "STOP"),
        (Finished("content_filter"), "SAFETY"), (Finished("content_filter", native_finish="RECITATION"), "RECITATION"),
        (Finished("content_filter", native_finish="refusal"), "SAFETY"), (Finished("pause"), "CONTINUATION"),
    ],
)  # fmt: skip
def test_each_reason_to_end_has_its_word(finished: Finished, word: str) -> None:
    assert chunks(Started(), finished)[-1]["candidates"][0]["finishReason"] == word


def test_nothing_follows_the_end_or_an_error() -> None:
    encoder = GeminiEncoder(stamp())
    encoder.feed([Started(), STOP])
    assert encoder.feed([TextDelta("late")]) + encoder.fail(502, "cut", "late") == b""
    encoder = GeminiEncoder(stamp())
    assert b"overloaded" in encoder.feed([Started(), StreamFailed("overloaded", 503), TextDelta("late")])
    assert encoder.feed([STOP]) == b""


def test_an_error_has_error_as_its_first_key_and_no_finish() -> None:
    for raw in (
        encode_stream_error(502, "upstream_cut", "cut", None, {"attempts": 1}),
        GeminiEncoder(stamp()).fail(502, "upstream_cut", "cut", {"attempts": 1}),
    ):
        assert raw.startswith(b'data: {"error":{')
        assert raw.endswith(b"}\r\n\r\n")
        error = json.loads(raw[6:])["error"]
        assert (error["code"], error["status"], error["message"]) == (502, "UNAVAILABLE", "cut")


def test_an_error_tells_our_code_the_field_and_the_details() -> None:
    details = json.loads(encode_error(400, "invalid_type", "m", "contents[0]", {"attempts": []}))["error"]["details"]
    assert details[0]["reason"] == "invalid_type"
    assert details[1]["fieldViolations"][0]["field"] == "contents[0]"
    assert details[2]["value"] == {"attempts": []}


# -- array --------------------------------------------------------------------------------------------------------------------


def test_without_events_the_chunks_are_elements_of_one_array_that_arrive_over_time() -> None:
    encoder = GeminiEncoder(stamp(wants_array=True))
    first = encoder.feed([Started(), TextDelta("a")])
    assert json.loads(first + b"]")[0]["candidates"][0]["content"]["parts"] == [{"text": "a"}]
    whole = json.loads(first + encoder.feed([TextDelta("b")]) + encoder.feed([UsageTold(USAGE), STOP]))
    assert [len(whole), whole[-1]["usageMetadata"]] == [3, WIRE_USAGE]
    grammar = Grammar(is_array=True)
    for element in whole:
        grammar.feed(json.dumps(element).encode())
    grammar.end()
    assert grammar.violations == []


@pytest.mark.parametrize("before", [[], [Started(), TextDelta("a")]])
def test_an_error_is_the_last_element_of_an_array(before: list[Event]) -> None:
    encoder = GeminiEncoder(stamp(wants_array=True))
    elements = json.loads(encoder.feed(before) + encoder.fail(502, "cut", "m"))
    assert elements[-1]["error"]["message"] == "m"


# -- grammar ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stream", "violation"),
    [
        (b": ping\r\n\r\n", "does not begin with"), (b"data: [DONE]\r\n\r\n", "does not begin with"), (b'data:{"a":1}\r\n\r\n', "does not begin with"),
        (b'event: x\r\ndata: {"a":1}\r\n\r\n', "not one line"), (b"data: {\r\n\r\n", "not JSON"), (b'data: {"a":1,"error":{"code":1,"message":"m"}}\r\n\r\n', "first key"),
        (b'data: {"error":{}}\r\n\r\n', "without code"), (b'data: {"candidates":[]}\r\n\r\n', "without candidates"),
        (b'data: {"candidates":[{}],"modelVersion":"m"}\r\n\r\n', "without modelVersion or responseId"), (b"", "neither a finish"),
    ],
)  # fmt: skip
def test_the_grammar_knows_what_breaks_the_sdk(stream: bytes, violation: str) -> None:
    grammar = Grammar()
    for one in EventSplitter().feed(stream):
        grammar.feed(one)
    grammar.end()
    assert any(violation in found for found in grammar.violations)
    assert len(grammar.violations) <= 20


# -- Google's own SDK -----------------------------------------------------------------------------------------------------


def sdk(body: bytes, status: int = 200, size: int = 7) -> genai.Client:
    """A client whose server answers with these bytes, in small pieces."""

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(body), size):
            yield body[at : at + size]

    def answer(request: httpx.Request) -> httpx.Response:
        kind = "text/event-stream" if "alt=sse" in str(request.url) else "application/json"
        return httpx.Response(status, headers={"content-type": kind}, content=pieces())

    transport = httpx.MockTransport(answer)
    options = types.HttpOptions(
        base_url="http://gateway.test", httpx_async_client=httpx.AsyncClient(transport=transport)
    )
    return genai.Client(api_key="k", http_options=options)


def streamed(body: bytes) -> list[types.GenerateContentResponse]:
    async def run() -> list[types.GenerateContentResponse]:
        found = await sdk(body).aio.models.generate_content_stream(model="m", contents="hi")
        return [chunk async for chunk in found]

    return asyncio.run(run())


def test_googles_sdk_reads_a_stream() -> None:
    out = written(
        Started(), ThinkingDelta("hm"), ThinkingDone(OTHER), TextDelta("Grüße "), TextDelta("👋🏽"), *CALL, UsageTold(USAGE), Finished("tool_calls"), shows=True
    )  # fmt: skip
    found = streamed(out)
    assert "".join(chunk.text or "" for chunk in found) == "Grüße 👋🏽"
    calls = [call for chunk in found for call in chunk.function_calls or ()]
    assert [(call.id, call.name, call.args) for call in calls] == [("c1", "f", {"a": 1.0})]
    thoughts = [part.text for chunk in found for part in chunk.candidates[0].content.parts if part.thought]  # type: ignore[index,union-attr]
    assert thoughts == ["hm"]
    usage = found[-1].usage_metadata
    assert usage is not None
    assert (
        usage.prompt_token_count,
        usage.candidates_token_count,
        usage.thoughts_token_count,
        usage.cached_content_token_count,
    ) == (10, 5, 2, 4)
    assert found[-1].candidates[0].finish_reason == types.FinishReason.STOP  # type: ignore[index]
    assert found[0].model_version == "google/gemini-x"
    assert found[0].response_id


def test_what_googles_sdk_sends_back_brings_the_signature_home() -> None:
    """The SDK takes the field for bytes and writes it in the url-safe alphabet."""
    found = streamed(
        written(Started(), ThinkingDelta("hm"), ThinkingDone(OTHER), *CALL, Finished("tool_calls"), shows=True)
    )
    model_parts = [part for chunk in found for part in chunk.candidates[0].content.parts]  # type: ignore[index,union-attr]
    answer = types.Part.from_function_response(name="f", response={"result": "r"})
    assert answer.function_response is not None
    answer.function_response.id = "c1"
    history = [
        types.Content(role="user", parts=[types.Part(text="q")]),
        types.Content(role="model", parts=model_parts),
        types.Content(role="user", parts=[answer]),
    ]
    body = json.dumps(
        {"contents": [content.model_dump(mode="json", by_alias=True, exclude_none=True) for content in history]}
    )
    request = CALLER.decode_request(body.encode(), Arrival(model="m"), ENVELOPES)
    assert request.turns[1].parts[:2] == (Thinking("hm", OTHER), ToolCall(id="c1", name="f", arguments='{"a":1.0}'))


def test_googles_sdk_raises_on_our_error_within_a_stream() -> None:
    encoder = GeminiEncoder(stamp())
    out = encoder.feed([Started(), TextDelta("a")]) + encoder.fail(503, "upstream_cut", "the provider stopped")
    with pytest.raises(APIError, match="the provider stopped"):
        streamed(out)


def test_googles_sdk_reads_a_whole_answer_and_an_error() -> None:
    answer = Answer(
        parts=(Thinking("hm", OTHER), Text("a"), ToolCall(id="c", name="f", arguments='{"x": 1}')),
        finish="tool_calls",
        usage=USAGE,
    )
    body = CALLER.encode_response(answer, stamp(shows=True))
    found = asyncio.run(sdk(body).aio.models.generate_content(model="m", contents="hi"))
    assert found.text == "a"
    assert [(call.name, call.args) for call in found.function_calls or ()] == [("f", {"x": 1})]
    with pytest.raises(APIError) as caught:
        asyncio.run(
            sdk(encode_error(404, "model_not_found", "no such model"), 404).aio.models.generate_content(
                model="m", contents="hi"
            )
        )
    assert (caught.value.code, caught.value.status, caught.value.message) == (404, "NOT_FOUND", "no such model")


# -- whole answers -----------------------------------------------------------------------------------------------------------


def test_an_answer_says_the_same_as_its_stream() -> None:
    answer = Answer(
        parts=(Thinking("hm", OTHER), Text("Größe", citations=(Citation(url="https://a", start=0, end=2),)), Refusal("no"), ToolCall(id="c", name="f", arguments='{"a":1}', signature=OWN)),
        finish="tool_calls", usage=USAGE,
    )  # fmt: skip
    body = json.loads(CALLER.encode_response(answer, stamp()))
    candidate = body["candidates"][0]
    assert [sorted(part) for part in candidate["content"]["parts"]] == [
        ["text", "thoughtSignature"],
        ["text"],
        ["functionCall", "thoughtSignature"],
    ]
    assert candidate["groundingMetadata"]["groundingSupports"][0]["segment"] == {
        "startIndex": 0,
        "endIndex": 2,
        "text": "Gr",
    }
    assert (body["usageMetadata"], body["modelVersion"]) == (WIRE_USAGE, "google/gemini-x")


def test_a_refused_prompt_has_a_reason_and_no_parts() -> None:
    body = CALLER.encode_response(
        Answer(parts=(), finish="content_filter", native_finish="PROHIBITED_CONTENT"), stamp()
    )
    assert json.loads(body)["candidates"] == [
        {"content": {"parts": [], "role": "model"}, "finishReason": "PROHIBITED_CONTENT", "index": 0}
    ]
    again = PROVIDER.decode_response(body, ORIGIN)
    assert (again.parts, again.finish) == ((), "content_filter")
