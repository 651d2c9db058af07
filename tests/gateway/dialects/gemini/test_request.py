"""What Gemini callers send, in every spelling, becomes a request of the hub; what is wrong is named with its place."""

import json
from typing import Any

import pytest

from gateway.dialects.codec import Arrival
from gateway.dialects.gemini.codec import CALLER, PROVIDER, path, stream_type
from gateway.dialects.gemini.signatures import DUMMY, write_signature
from gateway.domain.chat import (
    BuiltInTool,
    ChatRequest,
    File,
    Image,
    OutputFormat,
    Reasoning,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from gateway.domain.errors import BadRequest
from tests.support.traffic import ENVELOPES

ARRIVAL = Arrival(model="models/google/gemini-x", is_stream=True, session="s1")
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
HELLO = {"role": "user", "parts": [{"text": "hi"}]}


def decode(body: Any) -> ChatRequest:
    return CALLER.decode_request(json.dumps(body).encode(), ARRIVAL, ENVELOPES)


def turns(*contents: Any) -> tuple[Turn, ...]:
    return decode({"contents": list(contents)}).turns


def config(**fields: Any) -> ChatRequest:
    return decode({"contents": [HELLO], "generationConfig": fields})


# -- head and path ----------------------------------------------------------------------------------------------------


def test_model_and_stream_come_from_the_path() -> None:
    head = CALLER.read_head(b'{"contents":[]}', ARRIVAL)
    assert (head.model, head.is_stream, head.is_reasoning) == ("google/gemini-x", True, False)
    assert not CALLER.read_head(b'{"contents":[]}', Arrival(model="m")).is_stream


@pytest.mark.parametrize(
    ("thinking", "is_reasoning"),
    [
        ({"thinkingBudget": 0}, False), ({"thinkingBudget": -1}, True), ({"thinking_budget": 512}, True),
        ({"thinkingLevel": "minimal"}, False), ({"thinking_level": "HIGH"}, True), ({"includeThoughts": True}, True),
        ({"includeThoughts": False}, False), ({}, False), (5, False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("names", [("generationConfig", "thinkingConfig"), ("generation_config", "thinking_config")])
def test_the_head_tells_thinking(thinking: Any, is_reasoning: bool, names: tuple[str, str]) -> None:
    body = json.dumps({"contents": [HELLO], names[0]: {names[1]: thinking}}).encode()
    assert CALLER.read_head(body, ARRIVAL).is_reasoning is is_reasoning


@pytest.mark.parametrize(
    ("body", "model", "code"),
    [
        (b"{}", "m", "missing_contents"), (b'{"contents":null}', "m", "missing_contents"),
        (b'{"contents":"hi"}', "m", "invalid_contents"), (b"[]", "m", "invalid_request_body"), (b"{", "m", "invalid_json"),
        (b'{"contents":[]}', "", "missing_model"), (b'{"contents":[]}', "a\nb", "invalid_model"),
        (b'{"contents":[]}', "x" * 600, "invalid_model"),
    ],
)  # fmt: skip
def test_a_head_that_cannot_be_read_is_refused(body: bytes, model: str, code: str) -> None:
    with pytest.raises(BadRequest) as caught:
        CALLER.read_head(body, Arrival(model=model))
    assert caught.value.code == code


def test_the_body_goes_on_as_it_came() -> None:
    body = b'{ "contents" : [ ], "labels":{"a":"b"} }'
    head = CALLER.read_head(body, ARRIVAL)
    assert PROVIDER.pass_on(body, head, "other", asks_usage=True) is body
    dropped = PROVIDER.pass_on(body, head, "other", asks_usage=False, drop_fields=("labels",))
    assert json.loads(dropped) == {"contents": []}


@pytest.mark.parametrize(
    ("model", "is_stream", "expected"),
    [
        ("gemini-x", False, "/models/gemini-x:generateContent"),
        ("gemini-x", True, "/models/gemini-x:streamGenerateContent?alt=sse"),
        ("models/gemini-x", False, "/models/gemini-x:generateContent"),
        ("a/b:c?d", False, "/models/a%2Fb%3Ac%3Fd:generateContent"),
    ],
)
def test_the_path_names_model_and_method(model: str, is_stream: bool, expected: str) -> None:
    assert path(model, is_stream) == expected


def test_the_type_of_a_stream_is_events_or_an_array() -> None:
    assert stream_type(Arrival()).startswith(b"text/event-stream")
    assert stream_type(Arrival(wants_array=True)).startswith(b"application/json")
    assert CALLER.keep_alive == b""


# -- contents -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "instruction",
    [
        "Be brief.",
        {"text": "Be brief."},
        {"role": "user", "parts": [{"text": "Be brief."}]},
        {"parts": {"text": "Be brief."}},
    ],
)
@pytest.mark.parametrize("name", ["systemInstruction", "system_instruction"])
def test_system_instructions_of_any_shape(name: str, instruction: Any) -> None:
    request = decode({name: instruction, "contents": HELLO})
    assert request.turns == (Turn("system", (Text("Be brief."),)), Turn("user", (Text("hi"),)))


@pytest.mark.parametrize(
    "part",
    [
        {"inlineData": {"mimeType": "image/png", "data": PNG}},
        {"inline_data": {"mime_type": "image/png", "data": PNG}},
        {"inlineData": {"mime_type": "image/PNG; x=y", "data": PNG.replace("+", "-").replace("/", "_").rstrip("=")}},
        {"inline_data": {"mimeType": "image/jpg", "data": PNG}},
    ],
)
def test_a_picture_in_any_spelling(part: Any) -> None:
    """Url-safe base64 and missing padding are what the Python SDK sends; a wrong type is put right by the bytes."""
    assert turns({"parts": [part]}) == (Turn("user", (Image(media_type="image/png", data=PNG),)),)


def test_files_and_addresses() -> None:
    assert turns(
        {
            "parts": [
                {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0=", "displayName": "a.pdf"}},
                {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://b/v.mp4"}, "videoMetadata": {"fps": 1}},
                {"file_data": {"mime_type": "image/png", "file_uri": "https://h/a.png"}},
            ]
        }
    )[0].parts == (
        File(media_type="application/pdf", data="JVBERi0=", name="a.pdf"),
        File(media_type="video/mp4", url="gs://b/v.mp4"),
        Image(media_type="image/png", url="https://h/a.png"),
    )


def test_calls_without_ids_are_paired_by_name_and_order_and_keep_their_ids_from_turn_to_turn() -> None:
    contents = [
        HELLO,
        {"role": "model", "parts": [{"functionCall": {"name": "a"}}, {"functionCall": {"name": "b", "args": {"x": 1.5}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "b", "response": {"result": "B"}}}, {"functionResponse": {"name": "a", "response": {"x": [1]}}}]},
        {"role": "model", "parts": [{"functionCall": {"name": "a", "args": {}}}]},
        {"role": "function", "parts": [{"functionResponse": {"name": "a", "response": {"output": "A2"}}}]},
    ]  # fmt: skip
    found = turns(*contents)
    first, second = [part for part in found[1].parts if isinstance(part, ToolCall)]
    assert (first.arguments, second.arguments) == ("{}", '{"x":1.5}')
    assert len({first.id, second.id}) == 2
    assert found[2].parts == (
        ToolResult(call_id=second.id, name="b", content=(Text("B"),)),
        ToolResult(call_id=first.id, name="a", content=(Text('{"x":[1]}'),)),
    )
    third = found[3].parts[0]
    assert isinstance(third, ToolCall)
    assert third.id not in (first.id, second.id)
    assert found[4].parts == (ToolResult(call_id=third.id, name="a", content=(Text("A2"),)),)
    assert turns(*contents[:3])[1:] == found[1:3]


def test_a_response_may_have_an_id_though_its_call_had_none() -> None:
    call = {"role": "model", "parts": [{"functionCall": {"name": "a"}}]}
    result = {"role": "user", "parts": [{"functionResponse": {"id": "mine", "name": "a", "response": {"result": "r"}}}]}
    found = turns(HELLO, call, result)
    assert found[2].parts[0].call_id == found[1].parts[0].id  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("response", "text", "is_error"),
    [
        ({"result": "r"}, "r", False), ({"output": {"a": 1}}, '{"a":1}', False), ({"error": "e"}, "e", True),
        ({"error": {"code": 1}}, '{"code":1}', True), ({"a": 1, "b": None}, '{"a":1,"b":null}', False),
        ({"content": "c"}, '{"content":"c"}', False),
    ],
)  # fmt: skip
def test_a_response_is_its_text(response: Any, text: str, is_error: bool) -> None:
    call = {"role": "model", "parts": [{"functionCall": {"id": "c", "name": "a"}}]}
    result = {"parts": [{"functionResponse": {"id": "c", "name": "a", "response": response}}]}
    found = turns(HELLO, call, result)[2].parts[0]
    assert found == ToolResult(call_id="c", name="a", content=(Text(text),), is_error=is_error)


def test_a_response_may_hold_pictures() -> None:
    call = {"role": "model", "parts": [{"functionCall": {"id": "c", "name": "a"}}]}
    parts = [{"inlineData": {"mimeType": "image/png", "data": PNG}}]
    result = {"parts": [{"functionResponse": {"id": "c", "name": "a", "response": {"result": "r"}, "parts": parts}}]}
    found = turns(HELLO, call, result)[2].parts[0]
    assert isinstance(found, ToolResult)
    assert found.content == (Text("r"), Image(media_type="image/png", data=PNG))


def test_results_come_first_in_a_user_turn() -> None:
    call = {"role": "model", "parts": [{"functionCall": {"id": "c", "name": "a"}}]}
    result = {"parts": [{"text": "see"}, {"functionResponse": {"id": "c", "name": "a", "response": {"result": "r"}}}]}
    assert [type(part) for part in turns(HELLO, call, result)[2].parts] == [ToolResult, Text]


def test_a_response_that_is_there_twice_counts_once() -> None:
    """Gemini CLI 0.61 sends every response of the history twice when it takes up an old session."""
    call = {"role": "model", "parts": [{"functionCall": {"id": "c", "name": "a"}}]}
    response = {"functionResponse": {"id": "c", "name": "a", "response": {"result": "r"}}}
    picture = {"inlineData": {"mimeType": "image/png", "data": PNG}}
    request = decode({"contents": [HELLO, call, {"role": "user", "parts": [response, picture, response, picture]}]})
    answered = [part for part in request.turns[-1].parts if isinstance(part, ToolResult)]
    assert answered == [ToolResult(call_id="c", content=(Text("r"),), name="a")]
    assert "a function response that is there twice" in request.notes


def test_two_different_responses_to_one_call_are_refused() -> None:
    call = {"role": "model", "parts": [{"functionCall": {"id": "c", "name": "a"}}]}
    parts = [{"functionResponse": {"id": "c", "name": "a", "response": {"result": text}}} for text in ("r", "s")]
    with pytest.raises(BadRequest) as caught:
        turns(HELLO, call, {"role": "user", "parts": parts})
    assert caught.value.code == "duplicate_tool_call_id"


def test_empty_parts_and_code_and_built_in_calls_of_a_history() -> None:
    request = decode(
        {
            "contents": [
                HELLO,
                {
                    "role": "model",
                    "parts": [
                        {}, {"toolCall": {"id": "x"}}, {"executableCode": {"language": "PYTHON", "code": "1"}},
                        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}}, {"text": "so 2"},
                    ],
                },
            ]
        }
    )  # fmt: skip
    assert [part.text for part in request.turns[1].parts] == ["\n```python\n1\n```\n", "\n```\n2\n```\n", "so 2"]  # type: ignore[union-attr]
    assert any("code execution" in note for note in request.notes)
    assert any("built-in" in note for note in request.notes)


# -- thoughts and signatures -----------------------------------------------------------------------------------------------

OTHER = Signature(dialect="anthropic_messages", data="opaque", provider="acme")


def model(*parts: Any) -> tuple[Any, ...]:
    return turns(HELLO, {"role": "model", "parts": list(parts)})[1].parts


def test_native_signatures_stay_on_their_part() -> None:
    own = Signature(dialect="gemini", data="CikB_-w=")
    assert model(
        {"text": "hm", "thought": True},
        {"functionCall": {"id": "c", "name": "f"}, "thought_signature": "CikB_-w="},
        {"text": "", "thoughtSignature": "CikB_-w="},
    ) == (Thinking("hm"), ToolCall(id="c", name="f", signature=own), Text("", signature=own))


@pytest.mark.parametrize(
    "dummy", [DUMMY, "context_engineering_is_the_way_to_go", "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I", ""]
)
def test_the_documented_dummies_are_no_signatures(dummy: str) -> None:
    assert model({"functionCall": {"id": "c", "name": "f"}, "thoughtSignature": dummy}) == (ToolCall(id="c", name="f"),)


@pytest.mark.parametrize("url_safe", [False, True])
def test_the_reasoning_of_another_provider_comes_home(url_safe: bool) -> None:
    carried = write_signature(OTHER, "thinking", ENVELOPES)
    if url_safe:
        carried = carried.replace("+", "-").replace("/", "_").rstrip("=")
    call = {"functionCall": {"id": "c", "name": "f"}, "thoughtSignature": carried}
    assert model({"text": "first ", "thought": True}, {"text": "thought", "thought": True}, call) == (
        Thinking("first thought", OTHER),
        ToolCall(id="c", name="f"),
    )
    assert model({"text": "said"}, call) == (Text("said"), Thinking("", OTHER), ToolCall(id="c", name="f"))


def test_hidden_reasoning_comes_home_hidden() -> None:
    carried = write_signature(OTHER, "redacted", ENVELOPES)
    assert model({"text": "", "thoughtSignature": carried}) == (Thinking("", OTHER, is_redacted=True),)


def test_a_forged_envelope_is_dropped_with_a_note() -> None:
    carried = write_signature(OTHER, "thinking", type(ENVELOPES)(b"another key"))
    request = decode({"contents": [HELLO, {"role": "model", "parts": [{"text": "a", "thoughtSignature": carried}]}]})
    assert request.turns[1].parts == (Text("a"),)
    assert any("signature" in note for note in request.notes)


# -- tools ----------------------------------------------------------------------------------------------------------------


def test_tools_in_any_spelling() -> None:
    schema = {"type": "OBJECT", "properties": {"type": {"type": "STRING", "nullable": True}}, "required": ["type"]}
    request = decode(
        {
            "contents": [HELLO],
            "tools": [
                {"functionDeclarations": [{"name": "a", "description": "A", "parameters": schema}]},
                {"function_declarations": {"name": "b", "parameters_json_schema": {"type": "object"}, "behavior": "BLOCKING"}},
                {"functionDeclarations": [{"name": " "}, {"name": "c", "description": None}]},
                {"googleSearch": {}, "code_execution": {}}, {"urlContext": {}},
            ],
        }
    )  # fmt: skip
    assert [(tool.name, tool.description, tool.schema) for tool in request.tools] == [
        ("a", "A", {"type": "object", "properties": {"type": {"type": ["string", "null"]}}, "required": ["type"]}),
        ("b", "", {"type": "object"}),
        ("c", "", None),
    ]
    assert request.built_in_tools == tuple(
        BuiltInTool(name, "gemini") for name in ("googleSearch", "codeExecution", "urlContext")
    )
    assert "a tool without a name" in request.notes


@pytest.mark.parametrize(
    ("calling", "choice"),
    [
        ({"mode": "AUTO"}, ToolChoice("auto")), ({"mode": "NONE"}, ToolChoice("none")), ({"mode": "any"}, ToolChoice("required")),
        ({"mode": 2}, ToolChoice("required")), ({"mode": "ANY", "allowedFunctionNames": ["a"]}, ToolChoice("tool", ("a",))),
        ({"mode": "ANY", "allowed_function_names": ["a", "b"]}, ToolChoice("allowed", ("a", "b"), is_required=True)),
        ({"mode": "VALIDATED", "allowedFunctionNames": ["a"]}, ToolChoice("allowed", ("a",))),
        ({"mode": "VALIDATED"}, ToolChoice("auto")), ({}, None),
    ],
)  # fmt: skip
def test_the_choice_of_tools(calling: Any, choice: ToolChoice | None) -> None:
    body = {"contents": [HELLO], "toolConfig": {"functionCallingConfig": calling}}
    assert decode(body).tool_choice == choice
    assert decode({"contents": [HELLO], "tool_config": {"function_calling_config": calling}}).tool_choice == choice


# -- generationConfig -----------------------------------------------------------------------------------------------------


def test_settings_are_read() -> None:
    request = config(
        temperature=1, top_p=0.5, topK=40.0, maxOutputTokens="256", stopSequences="END", candidate_count=2, seed=7,
        presencePenalty=0.1, frequency_penalty=0.2, responseLogprobs=True, logprobs=3,
    )  # fmt: skip
    assert (request.temperature, request.top_p, request.top_k, request.max_tokens) == (1.0, 0.5, 40, 256)
    assert (request.stop, request.n, request.seed, request.logprobs) == (("END",), 2, 7, 3)
    assert (request.presence_penalty, request.frequency_penalty) == (0.1, 0.2)
    assert (request.is_stream, request.session, request.model) == (True, "s1", "google/gemini-x")


@pytest.mark.parametrize(
    ("thinking", "reasoning"),
    [
        ({"thinkingBudget": 0}, Reasoning(budget=0)), ({"thinking_budget": -1, "include_thoughts": True}, Reasoning(budget=-1, shows=True)),
        ({"thinkingLevel": "low"}, Reasoning(effort="low")), ({"thinkingLevel": "HIGH", "thinkingBudget": 5}, Reasoning(effort="high")),
        ({"includeThoughts": False}, Reasoning(shows=False)), ({}, Reasoning()),
    ],
)  # fmt: skip
def test_thinking_is_read(thinking: Any, reasoning: Reasoning) -> None:
    assert config(thinkingConfig=thinking).reasoning == reasoning


def test_structured_output_is_read() -> None:
    json_schema = {
        "type": "OBJECT",
        "properties": {"a": {"type": "INTEGER", "minimum": "1"}},
        "propertyOrdering": ["a"],
    }
    expected = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}
    for name in ("responseSchema", "response_schema", "responseJsonSchema"):
        assert config(responseMimeType="application/json", **{name: json_schema}).output_format == OutputFormat(
            schema=expected
        )
    assert config(response_mime_type="application/json").output_format == OutputFormat()
    assert config(responseMimeType="text/plain").output_format is None
    assert config(responseMimeType="text/x.enum", responseSchema={"type": "STRING"}).notes


def test_what_the_hub_has_no_word_for_is_noted() -> None:
    request = decode(
        {
            "contents": [HELLO], "safetySettings": [], "cachedContent": "c", "labels": {"a": "b"}, "brand_new": 1,
            "generationConfig": {"speechConfig": {}, "mediaResolution": "LOW", "responseModalities": ["TEXT", "IMAGE"], "responseLogprobs": False},
            "toolConfig": {"retrievalConfig": {}},
        }
    )  # fmt: skip
    assert set(request.notes) == {
        "safetySettings", "cachedContent", "labels", "brand_new", "generationConfig.speechConfig",
        "generationConfig.mediaResolution", "generationConfig.responseModalities", "toolConfig.retrievalConfig",
    }  # fmt: skip
    assert config(responseModalities=["TEXT"]).notes == ()


# -- refusals --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "missing_contents", "contents"),
        ({"contents": [], "systemInstruction": "s"}, "missing_contents", "contents"),
        ({"contents": [HELLO, {"role": "assistant"}]}, "invalid_role", "contents[1].role"),
        ({"contents": [{"role": "user", "parts": [{"hologram": {}}]}]}, "unknown_part", "contents[0].parts[0].hologram"),
        ({"contents": [{"parts": [{"inline_data": {"mime_type": "image/png", "data": "?"}}]}]}, "invalid_base64", "contents[0].parts[0].inline_data.data"),
        ({"contents": [{"parts": [{"fileData": {}}]}]}, "missing_file_uri", "contents[0].parts[0].fileData.fileUri"),
        ({"contents": [{"role": "user", "parts": [{"functionCall": {"name": "f"}}]}]}, "misplaced_part", "contents[0].role"),
        ({"contents": [{"role": "model", "parts": [{"functionResponse": {"name": "f"}}]}]}, "misplaced_part", "contents[0].role"),
        ({"contents": [{"role": "user", "parts": [{"functionResponse": {"name": "f"}}]}]}, "tool_result_without_call", None),
        ({"contents": [HELLO], "generationConfig": {"candidateCount": 0}}, "invalid_value", "generationConfig.candidateCount"),
        ({"contents": [HELLO], "generation_config": {"stop_sequences": [1]}}, "invalid_type", "generation_config.stop_sequences[0]"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(body: Any, code: str, param: str | None) -> None:
    with pytest.raises(BadRequest) as caught:
        decode(body)
    assert (caught.value.code, caught.value.param) == (code, param)


def test_endless_nesting_is_refused() -> None:
    deep = b'{"contents":[{"parts":[{"text":"x"}]}],"tools":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
    with pytest.raises(BadRequest):
        CALLER.decode_request(deep, ARRIVAL, ENVELOPES)
