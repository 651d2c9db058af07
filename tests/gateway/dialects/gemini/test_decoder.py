"""A Gemini provider's bytes become events that keep their promises, for any split; and whole answers likewise."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.codec import BrokenAnswer
from gateway.dialects.gemini.codec import PROVIDER
from gateway.dialects.gemini.decoder import GeminiDecoder
from gateway.dialects.gemini.streamed_args import StreamedArguments, steps_of
from gateway.dialects.sse import MAX_EVENT_BYTES
from gateway.domain.chat import Citation, Image, Signature, Text, Thinking, ToolCall
from gateway.domain.events import (
    CitationAdded,
    Event,
    Finished,
    ImageMade,
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
from tests.support.event_rules import broken_rules
from tests.support.traffic import EXCHANGES, ORIGIN

CALM = settings(deadline=None, database=None, max_examples=200)
OURS = sorted((EXCHANGES / "gemini").glob("*.stream.sse"))


def chunk(*parts: Any, finish: Any = None, **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}}
    for name in ("groundingMetadata", "citationMetadata", "finishMessage"):
        if name in more:
            candidate[name] = more.pop(name)
    return {"candidates": [candidate | ({"finishReason": finish} if finish else {})], **more}


def events(*chunks: Any, rest: bytes = b"") -> list[Event]:
    decoder = GeminiDecoder(ORIGIN)
    raw = b"".join(b"data: " + json.dumps(one).encode() + b"\r\n\r\n" for one in chunks) + rest
    found = decoder.feed(raw) + decoder.end()
    assert broken_rules(found) == []
    return found


def sign(data: str) -> Signature:
    return Signature(dialect="gemini", data=data, provider="acme")


def call_of(*chunks: Any) -> list[tuple[str, Any]]:
    found = events(*chunks, chunk(finish="STOP"))
    names = [event.name for event in found if isinstance(event, ToolCallStarted)]
    texts = [event.arguments for event in found if isinstance(event, ToolCallDelta)]
    return [(name, json.loads(text)) for name, text in zip(names, texts, strict=True)]


def test_a_whole_answer_as_events() -> None:
    usage = {
        "promptTokenCount": 9,
        "toolUsePromptTokenCount": 1,
        "candidatesTokenCount": 2,
        "thoughtsTokenCount": 3,
        "cachedContentTokenCount": 4,
    }
    assert events(
        chunk({"text": "hm", "thought": True}, responseId="r", modelVersion="g"),
        chunk({"text": "Hi"}, {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "s"}),
        chunk({"text": ""}, finish="STOP", usageMetadata=usage),
    ) == [
        Started(id="r", model="g"), ThinkingDelta("hm"), ThinkingDone(), TextDelta("Hi"),
        ToolCallStarted(index=0, id="call_0198c0de000070008000_0", name="f"), ToolCallDelta(0, '{"a": 1}'), ToolCallDone(0, sign("s")),
        UsageTold(Usage(input=10, output=5, cache_read=4, reasoning=3)), Finished("tool_calls", native_finish="STOP"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("word", "finish"),
    [
        ("STOP", "stop"), (1, "stop"), ("MAX_TOKENS", "length"), (2, "length"), ("SAFETY", "content_filter"), ("RECITATION", "content_filter"),
        ("LANGUAGE", "content_filter"), ("BLOCKLIST", "content_filter"), ("PROHIBITED_CONTENT", "content_filter"), ("SPII", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"), ("MODEL_ARMOR", "content_filter"), ("OTHER", "content_filter"), ("CONTINUATION", "pause"), ("BRAND_NEW", "stop"),
    ],
)  # fmt: skip
def test_each_reason_to_end(word: Any, finish: str) -> None:
    last = events(chunk({"text": "x"}, finish=word))[-1]
    assert isinstance(last, Finished)
    assert last.finish == finish


@pytest.mark.parametrize(
    "word",
    [
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
        "MALFORMED_RESPONSE",
    ],
)
def test_a_broken_call_is_a_failure_and_no_end(word: str) -> None:
    last = events(chunk({"text": "x"}), chunk(finish=word, finishMessage="why"))[-1]
    assert last == StreamFailed("why", 502, word)
    with pytest.raises(BrokenAnswer, match="why"):
        PROVIDER.decode_response(json.dumps(chunk(finish=word, finishMessage="why")).encode(), ORIGIN)


def test_a_call_of_a_tool_that_was_not_declared_is_a_call() -> None:
    assert events(chunk({"functionCall": {"name": "f"}}, finish="UNEXPECTED_TOOL_CALL"))[-1] == Finished(
        "tool_calls", native_finish="UNEXPECTED_TOOL_CALL"
    )


def test_a_refused_prompt_is_a_filter_and_says_nothing() -> None:
    assert events({"promptFeedback": {"blockReason": "JAILBREAK"}}) == [
        Started(),
        Finished("content_filter", native_finish="SAFETY"),
    ]
    answer = PROVIDER.decode_response(b'{"promptFeedback":{"blockReason":"BLOCKLIST"}}', ORIGIN)
    assert (answer.parts, answer.finish, answer.native_finish) == ((), "content_filter", "BLOCKLIST")


def test_stop_in_every_chunk_does_not_end_the_answer_early() -> None:
    found = events(chunk({"text": "a"}, finish="STOP"), chunk({"text": "b"}, finish="STOP"))
    assert [type(event) for event in found] == [Started, TextDelta, TextDelta, Finished]


@pytest.mark.parametrize("rest", [b"", b'data: {"candidates":[{"finishRea', b": bye\n"])
def test_a_stream_without_a_reason_was_cut(rest: bytes) -> None:
    assert events(chunk({"text": "a"}), rest=rest) == [Started(), TextDelta("a")]


def test_the_last_event_may_lack_its_blank_line() -> None:
    rest = b"data: " + json.dumps(chunk({"text": "b"}, finish="STOP")).encode()
    assert events(chunk({"text": "a"}), rest=rest)[-1] == Finished("stop", native_finish="STOP")


@pytest.mark.parametrize(
    ("rest", "failure"),
    [
        (
            b'{\n "error": {"code": 499, "message": "m", "status": "CANCELLED"}\n}\n',
            StreamFailed("m", 499, "CANCELLED"),
        ),
        (b'data: {"error": {"code": 13, "message": "m"}}\r\n\r\n', StreamFailed("m")),
        (b'data: {"error": "plain"}\r\n\r\n', StreamFailed("plain")),
        (b"data: <html>\n\n", StreamFailed("the provider sent what is no answer")),
    ],
)
def test_an_error_ends_the_stream_also_bare_json_and_after_a_stop(rest: bytes, failure: StreamFailed) -> None:
    found = events(chunk({"text": "a"}, finish="STOP"), rest=rest)
    assert found == [Started(), TextDelta("a"), failure]


def test_a_body_that_is_an_array_is_read_too() -> None:
    body = json.dumps([chunk({"text": "a"}), chunk({"text": "b"}, finish="STOP")]).encode()
    assert events(rest=body) == [Started(), TextDelta("a"), TextDelta("b"), Finished("stop", native_finish="STOP")]


def test_empty_things_say_nothing() -> None:
    found = events(
        {},
        {"candidates": []},
        {"candidates": [{}]},
        chunk(),
        chunk({}),
        chunk({"text": ""}),
        chunk({"text": None}),
        chunk({"text": "", "thought": True}),
        chunk(finish="STOP"),
    )
    assert found == [Started(), Finished("stop", native_finish="STOP")]


def test_signatures_are_kept_where_they_stand() -> None:
    assert events(chunk({"text": "hm", "thought": True, "thoughtSignature": "t"}), chunk({"text": "", "thoughtSignature": "e"}, finish="STOP"))[1:-1] == [
        ThinkingDelta("hm"), ThinkingDone(sign("t")), TextDelta("", sign("e")),
    ]  # fmt: skip


def test_a_picture_is_whole() -> None:
    found = events(chunk({"inlineData": {"mimeType": "image/png", "data": "QQ=="}}, finish="STOP"))
    assert found[1] == ImageMade(Image(media_type="image/png", data="QQ=="))


def test_ids_are_told_or_made_up_and_never_twice() -> None:
    found = events(
        chunk(
            {"functionCall": {"id": "x", "name": "f"}},
            {"functionCall": {"id": "x", "name": "f"}},
            {"functionCall": {"name": "f"}},
            finish="STOP",
        )
    )
    ids = [event.id for event in found if isinstance(event, ToolCallStarted)]
    assert ids[0] == "x"
    assert len(set(ids)) == 3


@pytest.mark.parametrize(
    ("args", "text"),
    [({}, "{}"), (None, "{}"), ([], "{}"), ({"a": 1.0}, '{"a": 1.0}'), ([1], '{"input":[1]}'), ("x", '{"input":"x"}')],
)
def test_arguments_are_always_an_object(args: Any, text: str) -> None:
    assert events(chunk({"functionCall": {"name": "f", "args": args}}, finish="STOP"))[2] == ToolCallDelta(0, text)


def test_half_characters_are_replaced() -> None:
    raw = b'data: {"candidates":[{"content":{"parts":[{"text":"a\\ud83d"},{"text":"\\ud83d\\ude00"}]},"finishReason":"STOP"}]}\n\n'
    assert [event.text for event in events(rest=raw) if isinstance(event, TextDelta)] == ["a\ufffd", "😀"]


def test_code_is_shown_as_text() -> None:
    found = events(
        chunk(
            {"executableCode": {"language": "PYTHON", "code": "print(2)"}},
            {"codeExecutionResult": {"output": "2\n"}},
            {"codeExecutionResult": {}},
            finish="STOP",
        )
    )
    assert [event.text for event in found if isinstance(event, TextDelta)] == [
        "\n```python\nprint(2)\n```\n",
        "\n```\n2\n```\n",
    ]


# -- citations -----------------------------------------------------------------------------------------------------------

GROUNDING = {
    "groundingChunks": [
        {"web": {"uri": "https://a", "title": "A"}},
        {"retrievedContext": {"title": "B", "text": "quoted"}},
        {"web": {}},
    ],
    "groundingSupports": [{"segment": {"startIndex": 7, "endIndex": 12}, "groundingChunkIndices": [0, 9]}],
}


def test_positions_in_bytes_become_positions_in_characters() -> None:
    found = events(chunk({"text": "Größe"}), chunk({"text": "world"}, finish="STOP", groundingMetadata=GROUNDING))
    assert [event.citation for event in found if isinstance(event, CitationAdded)] == [
        Citation(url="https://a", title="A", start=5, end=10),
        Citation(title="B", quote="quoted"),
    ]
    answer = PROVIDER.decode_response(
        json.dumps(
            chunk(
                {"text": "Größe", "thoughtSignature": "s"},
                {"text": "world"},
                finish="STOP",
                groundingMetadata=GROUNDING,
            )
        ).encode(),
        ORIGIN,
    )
    last = answer.parts[-1]
    assert isinstance(last, Text)
    assert last.citations[0] == Citation(url="https://a", title="A", start=0, end=5)


def test_a_citation_is_told_once_and_nonsense_has_no_position() -> None:
    cited = {"citationSources": [{"startIndex": 99, "endIndex": 120, "uri": "https://a"}]}
    found = events(
        chunk({"text": "x"}, citationMetadata=cited), chunk({"text": "y"}, citationMetadata=cited, finish="STOP")
    )
    assert [event.citation for event in found if isinstance(event, CitationAdded)] == [Citation(url="https://a")]


# -- arguments in pieces -----------------------------------------------------------------------------------------------------


def piece(path: str, goes_on: bool = False, more: bool = True, **value: Any) -> dict[str, Any]:
    one = {"jsonPath": path, **value, **({"willContinue": True} if goes_on else {})}
    return chunk({"functionCall": {"partialArgs": [one], **({"willContinue": True} if more else {})}})


def test_arguments_in_pieces_are_put_together() -> None:
    begin = chunk({"functionCall": {"name": "f", "willContinue": True}})
    end = chunk({"functionCall": {}})
    assert call_of(
        begin, piece("$.a[0].b", goes_on=True, stringValue="x"), piece("$.a[0].b", stringValue="y"), piece("$.a[1]", numberValue=2),
        piece("$.c", boolValue=False), piece("$['d e']", nullValue="NULL_VALUE"), end, begin, end,
    ) == [("f", {"a": [{"b": "xy"}, 2], "c": False, "d e": None}), ("f", {})]  # fmt: skip


def test_the_end_of_a_call_in_pieces_may_be_missing() -> None:
    begin = chunk({"functionCall": {"name": "f", "willContinue": True}})
    assert call_of(begin, piece("$.a", stringValue="x"), chunk({"text": "so"})) == [("f", {"a": "x"})]
    assert call_of(begin, piece("$.a", stringValue="x"), begin) == [("f", {"a": "x"}), ("f", {})]
    assert call_of(begin, piece("$.a", more=False, stringValue="x")) == [("f", {"a": "x"})]


@pytest.mark.parametrize(
    "path", ["", "a", "$", "$[0]", "$..a", "$.a[x]", "$.a[99999999]", "$.a[20000]", "$" + ".a" * 65]
)
def test_a_place_that_cannot_be_found_is_a_failure(path: str) -> None:
    begin = chunk({"functionCall": {"name": "f", "willContinue": True}})
    assert isinstance(events(begin, piece(path, stringValue="x"))[-1], StreamFailed)


def test_paths() -> None:
    assert steps_of("$.a[0]['b c'][\"d\"].e_f-g") == ["a", 0, "b c", "d", "e_f-g"]


@CALM
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["jsonPath", "stringValue", "numberValue", "willContinue"]),
            st.sampled_from(["$.a", "$.a[0]", "$.a.b", "x", 1, True, None]),
            max_size=4,
        ),
        max_size=6,
    )
)
def test_any_pieces_give_an_object(pieces: list[Any]) -> None:
    arguments = StreamedArguments()
    for one in pieces:
        arguments.add(one)
    assert isinstance(json.loads(arguments.text()), dict)


# -- for any bytes --------------------------------------------------------------------------------------------------------


@CALM
@given(st.sampled_from(OURS), st.lists(st.integers(0, 10_000), max_size=12))
def test_any_split_gives_the_same_events(path: Any, places: list[int]) -> None:
    stream = path.read_bytes()
    whole = GeminiDecoder(ORIGIN)
    expected = whole.feed(stream) + whole.end()
    marks = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    decoder = GeminiDecoder(ORIGIN)
    found = [event for start, end in itertools.pairwise(marks) for event in decoder.feed(stream[start:end])]
    assert found + decoder.end() == expected
    assert broken_rules(expected) == []


@CALM
@given(
    st.lists(
        st.binary(max_size=40)
        | st.sampled_from(
            [b"data: ", b"\n\n", b'{"candidates":[', b"{", b"]", b'"error":1', b'{"content":{"parts":[{"functionCall":']
        ),
        max_size=10,
    )
)
def test_any_bytes_give_events(pieces: list[bytes]) -> None:
    decoder = GeminiDecoder(ORIGIN)
    found = [event for piece in pieces for event in decoder.feed(piece)]
    assert broken_rules(found + decoder.end()) == []


def test_memory_is_bounded() -> None:
    decoder = GeminiDecoder(ORIGIN)
    found = [event for _ in range(20) for event in decoder.feed(b"data: " + b"x" * (1 << 20))]
    assert isinstance(found[-1], StreamFailed)
    assert decoder.feed(b'data: {"candidates":[]}\n\n') == []
    decoder = GeminiDecoder(ORIGIN)
    found = decoder.feed(
        b'data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","willContinue":true}}]}}]}\n\n'
    )
    big = (
        b"data: " + json.dumps(piece("$.a", goes_on=True, stringValue="x" * (MAX_EVENT_BYTES // 4))).encode() + b"\n\n"
    )
    for _ in range(5):
        found += decoder.feed(big)
    assert isinstance(found[-1], StreamFailed)


# -- whole answers ------------------------------------------------------------------------------------------------------------


def test_the_parts_of_an_answer() -> None:
    body = chunk(
        {"text": "a ", "thought": True}, {"text": "thought", "thought": True}, {"text": "One "}, {"text": "text"}, {"functionCall": {"id": "c", "name": "f"}, "thoughtSignature": "s"},
        finish="STOP", responseId="r", modelVersion="g",
    )  # fmt: skip
    answer = PROVIDER.decode_response(json.dumps(body).encode(), ORIGIN)
    assert answer.parts == (Thinking("a thought"), Text("One text"), ToolCall(id="c", name="f", signature=sign("s")))
    assert (answer.id, answer.model, answer.finish) == ("r", "g", "tool_calls")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "empty"), (b" \n", "empty"), (b"<html>", "not_json"), (b"{}", "empty"), (b'{"candidates":[]}', "empty"), (b'{"candidates":{}}', "not_json"),
        (b'{"error":{"code":503,"message":"m"}}', "error"), (b'[{"error":{"code":429,"message":"m"}}]', "error"),
        (b'{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL"}]}', "error"), (b'{"candidates":[{"finishReason":"SAFETY"}]}', "answer"),
        (b'{"promptFeedback":{"blockReason":"SAFETY"}}', "answer"), (b'{"candidates":[{"content":{"parts":[{"text":"x"}]}}]}', "answer"),
    ],
)  # fmt: skip
def test_an_answer_is_told_from_what_came_in_its_place(body: bytes, kind: str) -> None:
    assert PROVIDER.read_answer(body).kind == kind
    if kind != "answer":
        with pytest.raises(BrokenAnswer):
            PROVIDER.decode_response(body, ORIGIN)
    else:
        PROVIDER.decode_response(body, ORIGIN)
