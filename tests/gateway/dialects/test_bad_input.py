"""What no codec can understand is refused with a code and the place of the fault, and the refusal is in the dialect.

One table for all callers. A case is a good request of the dialect with one place spoilt; the place is what `param` names,
or the beginning of it.
"""

import copy
import json
from typing import Any

import pytest

from gateway.dialects.codec import Arrival
from gateway.dialects.turns import check_calls
from gateway.domain.errors import BadRequest
from tests.support.traffic import CALLERS, ENVELOPES

Json = dict[str, Any]
MISSING = object()
NO_IMAGE = "aGVsbG8gd29ybGQ="
NO_BASE64 = "!!!!"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

GOOD: dict[str, Json] = {
    "openai_chat": {
        "model": "m",
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}]},
            {"role": "assistant", "content": "a", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "r"},
            {"role": "user", "content": "go on"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    },
    "openai_responses": {
        "model": "m",
        "instructions": "s",
        "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}, {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}]},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "r"},
            {"type": "message", "role": "user", "content": "go on"},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
    },
    "anthropic_messages": {
        "model": "m",
        "max_tokens": 100,
        "system": [{"type": "text", "text": "s"}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "r"}, {"type": "text", "text": "go on"}]},
        ],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
    },
    "gemini": {
        "systemInstruction": {"parts": [{"text": "s"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}, {"inlineData": {"mimeType": "image/png", "data": PNG}}]},
            {"role": "model", "parts": [{"functionCall": {"id": "c1", "name": "f", "args": {}}}]},
            {"role": "user", "parts": [{"functionResponse": {"id": "c1", "name": "f", "response": {"result": "r"}}}]},
            {"role": "user", "parts": [{"text": "go on"}]},
        ],
        "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}],
    },
    "ollama": {
        "model": "m",
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "hi", "images": [PNG]},
            {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]},
            {"role": "tool", "tool_name": "f", "content": "r"},
            {"role": "user", "content": "go on"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    },
}  # fmt: skip

WRONG: dict[str, list[tuple[str, Any]]] = {
    "openai_chat": [
        ("model", MISSING), ("model", 5), ("model", ""), ("stream", "yes"), ("messages", MISSING), ("messages", None), ("messages", "hi"), ("messages", {}), ("messages", []),
        ("messages[1]", 5), ("messages[1].role", MISSING), ("messages[1].role", "wizard"), ("messages[1].role", 5),
        ("messages[1].content", 5), ("messages[1].content", {"text": "hi"}), ("messages[1].content[0]", 5), ("messages[1].content[0].type", MISSING),
        ("messages[1].content[0].type", "hologram"), ("messages[1].content[0].text", MISSING), ("messages[1].content[0].text", 5),
        ("messages[1].content[1].image_url", 5), ("messages[1].content[1].image_url.url", 5), ("messages[1].content[1].image_url.url", f"data:image/png;base64,{NO_BASE64}"),
        ("messages[1].content[1].image_url.url", f"data:image/png;base64,{NO_IMAGE}"),
        ("messages[2].tool_calls", 5), ("messages[2].tool_calls[0]", 5), ("messages[2].tool_calls[0].id", 5), ("messages[2].tool_calls[0].type", "magic"),
        ("messages[2].tool_calls[0].function", 5), ("messages[2].tool_calls[0].function.name", 5), ("messages[2].tool_calls[0].function.name", MISSING),
        ("messages[3].tool_call_id", MISSING), ("messages[3].tool_call_id", 5),
        ("tools", 5), ("tools[0]", 5), ("tools[0].type", "magic"), ("tools[0].function", MISSING), ("tools[0].function.name", MISSING), ("tools[0].function.name", 5),
        ("tools[0].function.parameters", 5), ("tool_choice", "whatever"), ("tool_choice", 5), ("max_tokens", "many"), ("max_completion_tokens", -1),
        ("temperature", "hot"), ("top_p", []), ("stop", 5), ("stop", [5]), ("n", "two"), ("n", 0), ("seed", "lucky"), ("response_format", 5), ("response_format.type", "poem"),
        ("reasoning_effort", 5), ("reasoning_effort", "heroic"), ("parallel_tool_calls", "yes"), ("metadata", 5),
    ],
    "openai_responses": [
        ("model", MISSING), ("model", 5), ("stream", "yes"), ("input", 5), ("input", {}), ("input[0]", 5), ("input[0].type", "hologram"), ("input[0].role", "wizard"),
        ("input[0].role", 5), ("input[0].content", 5), ("input[0].content[0]", 5), ("input[0].content[0].type", "hologram"), ("input[0].content[0].text", 5),
        ("input[0].content[0].text", MISSING), ("input[0].content[1].image_url", 5), ("input[0].content[1].image_url", f"data:image/png;base64,{NO_BASE64}"),
        ("input[0].content[1].image_url", f"data:image/png;base64,{NO_IMAGE}"),
        ("input[1].call_id", MISSING), ("input[1].call_id", 5), ("input[1].name", MISSING), ("input[1].name", 5), ("input[1].arguments", 5),
        ("input[2].call_id", MISSING), ("input[2].output", 5), ("instructions", 5),
        ("tools", 5), ("tools[0]", 5), ("tools[0].type", MISSING), ("tools[0].name", MISSING), ("tools[0].name", 5), ("tools[0].parameters", 5), ("tool_choice", "whatever"),
        ("tool_choice", 5), ("max_output_tokens", "many"), ("temperature", "hot"), ("top_p", []), ("text", 5), ("text.format", 5), ("text.format.type", "poem"), ("reasoning", 5),
        ("reasoning.effort", "heroic"), ("parallel_tool_calls", "yes"),
    ],
    "anthropic_messages": [
        ("model", MISSING), ("model", 5), ("stream", "yes"), ("max_tokens", MISSING), ("max_tokens", "many"), ("max_tokens", 0), ("messages", MISSING), ("messages", []), ("messages", {}),
        ("messages", "hi"), ("messages[0]", 5), ("messages[0].role", MISSING), ("messages[0].role", "wizard"), ("messages[0].content", 5), ("messages[0].content", MISSING),
        ("messages[0].content[0]", 5), ("messages[0].content[0].type", MISSING), ("messages[0].content[0].type", "hologram"), ("messages[0].content[0].text", MISSING),
        ("messages[0].content[0].text", 5), ("messages[0].content[1].source", 5), ("messages[0].content[1].source", MISSING), ("messages[0].content[1].source.type", "telepathy"),
        ("messages[0].content[1].source.data", NO_BASE64), ("messages[0].content[1].source.data", NO_IMAGE), ("messages[0].content[1].source.data", 5),
        ("messages[1].content[0].id", MISSING), ("messages[1].content[0].id", 5), ("messages[1].content[0].name", MISSING), ("messages[1].content[0].input", 5),
        ("messages[2].content[0].tool_use_id", MISSING), ("messages[2].content[0].tool_use_id", 5), ("messages[2].content[0].content", 5), ("messages[2].content[0].content", [5]),
        ("system", 5), ("system[0]", 5), ("system[0].text", 5), ("tools", 5), ("tools[0]", 5), ("tools[0].name", MISSING), ("tools[0].name", 5), ("tools[0].input_schema", 5),
        ("tool_choice", 5), ("tool_choice.type", "whatever"), ("temperature", "hot"), ("top_p", []), ("top_k", "few"), ("stop_sequences", 5), ("stop_sequences", [5]),
        ("thinking", 5), ("thinking.type", "deep"), ("metadata", 5),
    ],
    "gemini": [
        ("contents", MISSING), ("contents", 5), ("contents[0]", 5), ("contents[0].role", "wizard"), ("contents[0].role", 5), ("contents[0].parts", 5), ("contents[0].parts[0]", 5),
        ("contents[0].parts[0].text", 5), ("contents[0].parts[1].inlineData", 5), ("contents[0].parts[1].inlineData.data", 5), ("contents[0].parts[1].inlineData.data", NO_BASE64),
        ("contents[0].parts[1].inlineData.data", NO_IMAGE), ("contents[1].parts[0].functionCall", 5), ("contents[1].parts[0].functionCall.name", MISSING),
        ("contents[1].parts[0].functionCall.args", 5), ("contents[2].parts[0].functionResponse", 5), ("contents[2].parts[0].functionResponse.response", 5),
        ("systemInstruction", 5), ("tools", 5), ("tools[0]", 5), ("tools[0].functionDeclarations", 5), ("tools[0].functionDeclarations[0]", 5), ("tools[0].functionDeclarations[0].name", MISSING),
        ("tools[0].functionDeclarations[0].name", 5), ("toolConfig", 5), ("toolConfig.functionCallingConfig.mode", "WHATEVER"), ("generationConfig", 5),
        ("generationConfig.temperature", "hot"), ("generationConfig.maxOutputTokens", "many"), ("generationConfig.stopSequences", 5), ("generationConfig.thinkingConfig", 5),
        ("generationConfig.thinkingConfig.thinkingLevel", "HEROIC"),
    ],
    "ollama": [
        ("model", MISSING), ("model", 5), ("stream", "yes"), ("messages", 5), ("messages[1]", 5), ("messages[1].role", "wizard"), ("messages[1].role", MISSING), ("messages[1].content", 5),
        ("messages[1].images", 5), ("messages[1].images[0]", 5), ("messages[1].images[0]", NO_BASE64), ("messages[1].images[0]", NO_IMAGE), ("messages[2].tool_calls", 5),
        ("messages[2].tool_calls[0]", 5), ("messages[2].tool_calls[0].function.name", MISSING), ("tools", 5), ("tools[0]", 5), ("tools[0].function.name", 5), ("options", 5),
        ("options.temperature", "hot"), ("options.num_predict", "many"),
    ],
}  # fmt: skip
"""Place → what stands there instead; MISSING takes it away."""

NO_REQUEST = {
    "empty": b"",
    "null": b"null",
    "array": b"[]",
    "string": b'"hi"',
    "number": b"1",
    "cut": b'{"model":"m","messages":[{"role":"us',
    "not_utf8": b'{"model":"m\xff","messages":[],"contents":[]}',
    "two_values": b"{}{}",
    "trailing_comma": b'{"model":"m",}',
    "nan": b'{"model":"m","temperature":NaN}',
    "binary": bytes(range(256)),
}


def arrival_for(dialect: str) -> Arrival:
    return Arrival(model="m", is_stream=False) if dialect == "gemini" else Arrival()


def refusal(dialect: str, body: bytes) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        check_calls(CALLERS[dialect].decode_request(body, arrival_for(dialect), ENVELOPES))  # type: ignore[index]
    return caught.value


def spoilt(dialect: str, place: str, value: Any) -> bytes:
    body = copy.deepcopy(GOOD[dialect])
    *steps, last = [
        int(step[:-1]) if step.endswith("]") else step
        for step in place.replace("[", ".[").replace(".[", ".").split(".")
    ]
    at: Any = body
    for step in steps:
        if isinstance(at, dict) and step not in at:
            at[step] = {}
        at = at[step]
    if value is MISSING:
        del at[last]
    else:
        at[last] = value
    return json.dumps(body).encode()


callers = pytest.mark.parametrize("dialect", CALLERS)


@callers
def test_the_good_request_is_good(dialect: str) -> None:
    request = CALLERS[dialect].decode_request(json.dumps(GOOD[dialect]).encode(), arrival_for(dialect), ENVELOPES)  # type: ignore[index]
    check_calls(request)
    assert request.turns


@pytest.mark.parametrize(
    ("dialect", "place", "value"),
    [
        pytest.param(
            dialect, place, value, id=f"{dialect}-{place}-{'missing' if value is MISSING else str(value)[:20]}"
        )
        for dialect in CALLERS
        for place, value in WRONG[dialect]
    ],
)
def test_the_place_of_the_fault_is_named(dialect: str, place: str, value: Any) -> None:
    error = refusal(dialect, spoilt(dialect, place, value))
    assert error.code
    assert error.param is not None
    assert error.param.startswith(place) or place.startswith(error.param)
    assert len(error.param) > len(place) // 2, "the place is named, not only its neighbourhood"


@callers
@pytest.mark.parametrize("body", NO_REQUEST.values(), ids=NO_REQUEST)
def test_what_is_no_request_is_refused(dialect: str, body: bytes) -> None:
    assert refusal(dialect, body).code
    if dialect != "gemini":
        with pytest.raises(BadRequest):
            CALLERS[dialect].read_head(body, arrival_for(dialect))  # type: ignore[index]


# -- calls and their results --------------------------------------------------------------------------------------------

CALLS: dict[str, dict[str, Any]] = {
    "openai_chat": {
        "turns": "messages", "call": ("messages", 2, "tool_calls"), "result_turn": 3, "result_id": ("messages", 3, "tool_call_id"),
    },
    "openai_responses": {"turns": "input", "call": ("input",), "result_turn": 2, "result_id": ("input", 2, "call_id")},
    "anthropic_messages": {
        "turns": "messages", "call": ("messages", 1, "content"), "result_turn": 2, "result_id": ("messages", 2, "content", 0, "tool_use_id"),
    },
    "gemini": {
        "turns": "contents", "call": ("contents", 1, "parts"), "result_turn": 2, "result_id": ("contents", 2, "parts", 0, "functionResponse", "id"),
    },
}  # fmt: skip
"""Where each dialect keeps its turns, its calls and the id of a result. Ollama has no ids."""

with_ids = pytest.mark.parametrize("dialect", [dialect for dialect in CALLERS if dialect in CALLS])


def at(body: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        body = body[step]
    return body


def good(dialect: str) -> Json:
    return copy.deepcopy(GOOD[dialect])


@with_ids
def test_a_result_needs_its_call(dialect: str) -> None:
    body = good(dialect)
    *path, last = CALLS[dialect]["result_id"]
    at(body, tuple(path))[last] = "c2"
    error = refusal(dialect, json.dumps(body).encode())
    assert error.code == "tool_result_without_call"
    assert "c2" in error.message


@with_ids
def test_a_call_needs_its_result_before_the_conversation_goes_on(dialect: str) -> None:
    body = good(dialect)
    turns = body[CALLS[dialect]["turns"]]
    if dialect == "anthropic_messages":
        del turns[2]["content"][0]
    else:
        del turns[CALLS[dialect]["result_turn"]]
    error = refusal(dialect, json.dumps(body).encode())
    assert error.code == "tool_call_without_result"
    assert "c1" in error.message


@with_ids
def test_two_calls_of_one_turn_have_ids_of_their_own(dialect: str) -> None:
    body = good(dialect)
    calls = at(body, CALLS[dialect]["call"])
    place = 1 if dialect == "openai_responses" else 0
    calls.insert(place, copy.deepcopy(calls[place]))
    error = refusal(dialect, json.dumps(body).encode())
    assert error.code == "duplicate_tool_call_id"
    assert "c1" in error.message


@with_ids
def test_a_call_is_answered_once(dialect: str) -> None:
    body = good(dialect)
    turns = body[CALLS[dialect]["turns"]]
    place = CALLS[dialect]["result_turn"]
    turns.insert(place, copy.deepcopy(turns[place]))
    assert refusal(dialect, json.dumps(body).encode()).code == "duplicate_tool_call_id"


@callers
def test_a_call_at_the_end_needs_no_result_yet(dialect: str) -> None:
    body = good(dialect)
    turns = body["contents" if dialect == "gemini" else "input" if dialect == "openai_responses" else "messages"]
    last_call = next(place for place, turn in enumerate(turns) if '"f"' in json.dumps(turn))
    del turns[last_call + 1 :]
    check_calls(CALLERS[dialect].decode_request(json.dumps(body).encode(), arrival_for(dialect), ENVELOPES))  # type: ignore[index]


# -- depth, size, empty things -------------------------------------------------------------------------------------------

DEEP = {
    "openai_chat": ("tools", 0, "function", "parameters"),
    "openai_responses": ("tools", 0, "parameters"),
    "anthropic_messages": ("tools", 0, "input_schema"),
    "gemini": ("tools", 0, "functionDeclarations", 0, "parametersJsonSchema"),
    "ollama": ("tools", 0, "function", "parameters"),
}


@callers
@pytest.mark.parametrize("depth", [10_000, 1_000_000])
@pytest.mark.parametrize("pair", [("[", "]"), ('{"a":', "}")], ids=["arrays", "objects"])
@pytest.mark.parametrize("is_known", [True, False], ids=["in a schema", "in an unknown field"])
def test_nesting_without_end_is_refused_or_skipped(
    dialect: str, depth: int, pair: tuple[str, str], is_known: bool
) -> None:
    deep = pair[0] * depth + ("1" if "a" in pair[0] else "") + pair[1] * depth
    body = good(dialect)
    if is_known:
        at(body, DEEP[dialect])["deep"] = "@deep@"
    else:
        body["nobody_knows_this"] = "@deep@"
    written = json.dumps(body).replace('"@deep@"', deep).encode()
    try:
        request = CALLERS[dialect].decode_request(written, arrival_for(dialect), ENVELOPES)  # type: ignore[index]
    except BadRequest as error:
        assert error.code  # noqa: PT017
    else:
        assert not is_known
        assert request.turns


@callers
def test_arguments_nested_without_end_are_text_or_refused(dialect: str) -> None:
    deep = '{"a":' * 10_000 + "1" + "}" * 10_000
    written = json.dumps(GOOD[dialect]).encode()
    for empty in (b'"arguments": "{}"', b'"input": {}', b'"args": {}', b'"arguments": {}'):
        filled = json.dumps(deep).encode() if b'"{}"' in empty else deep.encode()
        written = written.replace(empty, empty.partition(b":")[0] + b":" + filled)
    try:
        CALLERS[dialect].decode_request(written, arrival_for(dialect), ENVELOPES)  # type: ignore[index]
    except BadRequest as error:
        assert error.code  # noqa: PT017


@callers
def test_a_field_nobody_knows_is_noted(dialect: str) -> None:
    body = good(dialect) | {"nobody_knows_this": 1}
    request = CALLERS[dialect].decode_request(json.dumps(body).encode(), arrival_for(dialect), ENVELOPES)  # type: ignore[index]
    assert any("nobody_knows_this" in note for note in request.notes)


# -- how a refusal is written --------------------------------------------------------------------------------------------


@callers
def test_a_refusal_is_written_in_the_dialect_with_its_words(dialect: str) -> None:
    written = json.loads(
        CALLERS[dialect].encode_error(400, "invalid_type", "messages[0] is no “object”", "messages[0]")
    )  # type: ignore[index]
    error = written["error"]
    text = error if isinstance(error, str) else error["message"]
    assert "messages[0] is no “object”" in text
    match dialect:
        case "openai_chat" | "openai_responses":
            assert (error["code"], error["param"], error["type"]) == (
                "invalid_type",
                "messages[0]",
                "invalid_request_error",
            )
        case "anthropic_messages":
            assert (written["type"], error["type"]) == ("error", "invalid_request_error")
        case "gemini":
            assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize("dialect", sorted({"anthropic_messages", "gemini", "ollama"} & set(CALLERS)))
def test_where_there_is_no_field_for_the_place_the_words_name_it(dialect: str) -> None:
    place, value = WRONG[dialect][12]
    error = refusal(dialect, spoilt(dialect, place, value))
    assert error.param is not None
    assert error.param in error.message
