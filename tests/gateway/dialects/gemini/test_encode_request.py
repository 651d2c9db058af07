"""What a Gemini provider is sent: what it would refuse is put right, what cannot be said is noted or refused."""

import json
from typing import Any

import pytest

from gateway.dialects.codec import Destination, Encoded, Unsupported
from gateway.dialects.gemini.codec import PROVIDER
from gateway.dialects.gemini.signatures import DUMMY
from gateway.domain.chat import (
    BuiltInTool,
    ChatRequest,
    File,
    Image,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Role,
    Signature,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
HELLO = Turn("user", (Text("hi"),))
OWN = Signature(dialect="gemini", data="own", provider="acme")


def encoded(*turns: Turn, quirks: tuple[str, ...] = (), max_output: int = 0, **fields: Any) -> Encoded:
    request = ChatRequest(model="m", turns=turns or (HELLO,), **fields)
    target = Destination(model="m", provider="acme", max_output=max_output, quirks=frozenset(quirks))
    return PROVIDER.encode_request(request, target)


def body(*turns: Turn, quirks: tuple[str, ...] = (), **fields: Any) -> Any:
    return json.loads(encoded(*turns, quirks=quirks, **fields).body)


def turn(role: Role, *parts: Part | str) -> Turn:
    return Turn(role, tuple(Text(part) if isinstance(part, str) else part for part in parts))


def call(call_id: str = "c1", name: str = "f", arguments: str = "{}", **fields: Any) -> ToolCall:
    return ToolCall(id=call_id, name=name, arguments=arguments, **fields)


def result(call_id: str = "c1", text: str = "r", **fields: Any) -> ToolResult:
    return ToolResult(call_id=call_id, content=(Text(text),), **fields)


# -- turns ---------------------------------------------------------------------------------------------------------------


def test_leading_system_turns_are_all_kept_in_order() -> None:
    sent = body(turn("system", "one", ""), turn("system", "two"), HELLO)
    assert sent["systemInstruction"] == {"parts": [{"text": "one"}, {"text": "two"}]}
    assert sent["contents"] == [{"role": "user", "parts": [{"text": "hi"}]}]


def test_later_system_text_becomes_the_users_and_stands_after_results() -> None:
    sent = body(HELLO, turn("assistant", call()), turn("system", "now brief"), turn("user", result()))
    assert "systemInstruction" not in sent
    assert [list(part) for part in sent["contents"][2]["parts"]] == [["functionResponse"], ["text"]]
    assert sent["contents"][2]["parts"][1] == {"text": "now brief"}


def test_a_request_of_system_text_alone_says_it_as_the_user() -> None:
    sent = encoded(turn("system", "Rules."))
    assert json.loads(sent.body) == {"contents": [{"role": "user", "parts": [{"text": "Rules."}]}]}
    assert sent.notes


def test_user_and_model_take_turns() -> None:
    sent = body(
        HELLO,
        turn("user", "more"),
        turn("assistant", "a"),
        turn("assistant", ""),
        turn("assistant", "b"),
        turn("user", "c"),
    )
    assert [(one["role"], [part["text"] for part in one["parts"]]) for one in sent["contents"]] == [
        ("user", ["hi", "more"]), ("model", ["a", "b"]), ("user", ["c"]),
    ]  # fmt: skip


def test_the_model_never_begins() -> None:
    sent = body(turn("assistant", "before", call()), turn("user", result()))
    assert [one["role"] for one in sent["contents"]] == ["user", "model", "user"]


def test_results_stand_in_one_content_in_the_order_of_the_calls_with_their_names() -> None:
    sent = body(
        HELLO,
        turn("assistant", call("toolu_1", "a"), call("toolu_2", "b")),
        turn("user", result("toolu_2", "B")),
        turn("user", result("toolu_1", "A", is_error=True), "and?"),
    )
    assert sent["contents"][2]["parts"] == [
        {"functionResponse": {"id": "toolu_1", "name": "a", "response": {"error": "A"}}},
        {"functionResponse": {"id": "toolu_2", "name": "b", "response": {"result": "B"}}},
        {"text": "and?"},
    ]


@pytest.mark.parametrize("call_id", ["call_at_1", "call_0198c0de000070008000_3"])
def test_an_id_that_was_made_up_is_not_told(call_id: str) -> None:
    sent = body(HELLO, turn("assistant", call(call_id)), turn("user", result(call_id)))
    assert "id" not in sent["contents"][1]["parts"][0]["functionCall"]
    assert "id" not in sent["contents"][2]["parts"][0]["functionResponse"]


def test_an_id_used_again_is_told_apart() -> None:
    sent = body(
        HELLO,
        turn("assistant", call()),
        turn("user", result()),
        turn("assistant", call()),
        turn("user", result(text="2")),
    )
    ids = [part[kind]["id"] for one in sent["contents"] for part in one["parts"] for kind in part if "function" in kind]
    assert ids[0] == ids[1] != ids[2] == ids[3]


@pytest.mark.parametrize(
    ("arguments", "args"),
    [
        ("", {}),
        ("{}", {}),
        ("null", {}),
        ('{"a": 1.0}', {"a": 1.0}),
        ('"{\\"a\\":1}"', {"a": 1}),
        ("[1]", {"input": [1]}),
        ("free", {"input": "free"}),
    ],
)
def test_arguments_are_always_an_object(arguments: str, args: Any) -> None:
    sent = body(HELLO, turn("assistant", call(arguments=arguments)), turn("user", result()))
    assert sent["contents"][1]["parts"][0]["functionCall"]["args"] == args


def test_numbers_in_arguments_keep_their_form() -> None:
    sent = encoded(
        HELLO, turn("assistant", call(arguments='{"a":1.0,"b":12345678901234567890123}')), turn("user", result())
    )
    assert b'"args":{"a":1.0,"b":12345678901234567890123}' in sent.body


def test_refusals_are_text_and_half_characters_do_no_harm() -> None:
    sent = body(HELLO, turn("assistant", Refusal("no"), "x\ud83d"), HELLO)
    assert sent["contents"][1]["parts"] == [{"text": "no"}, {"text": "x\ufffd"}]


# -- parts -----------------------------------------------------------------------------------------------------------------


def test_media_is_sent_inline() -> None:
    sent = body(
        turn(
            "user",
            Image(media_type="image/jpeg", data=PNG),
            Image(url=f"data:image/png;base64,{PNG}"),
            File(media_type="application/pdf", data="JVBERi0="),
            File(media_type="audio/mp3", data="SUQz"),
            File(text="words", name="a.txt"),
            File(media_type="video/mp4", url="gs://bucket/v.mp4"),
        )
    )
    assert sent["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": PNG}},
        {"inlineData": {"mimeType": "image/png", "data": PNG}},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}},
        {"inlineData": {"mimeType": "audio/mpeg", "data": "SUQz"}},
        {"text": "a.txt:\nwords"},
        {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://bucket/v.mp4"}},
    ]


@pytest.mark.parametrize(
    ("part", "param"),
    [
        (Image(url="https://h/a.png"), "image_url"),
        (File(url="https://h/a.pdf"), "file_url"),
        (File(file_id="file-1"), "file_id"),
    ],
)
def test_what_would_have_to_be_fetched_is_refused_never_dropped(part: Part, param: str) -> None:
    with pytest.raises(Unsupported) as caught:
        encoded(turn("user", part))
    assert caught.value.param == param


def test_pictures_in_results_follow_them_or_stand_inside_by_quirk() -> None:
    history = (
        HELLO,
        turn("assistant", call()),
        turn(
            "user", ToolResult(call_id="c1", content=(Text("20C"), Image(media_type="image/png", data=PNG))), "Thanks"
        ),
    )
    picture = {"inlineData": {"mimeType": "image/png", "data": PNG}}
    after = body(*history)["contents"][2]["parts"]
    assert after[0]["functionResponse"]["response"] == {"result": "20C"}
    assert after[2] == picture
    assert after[-1] == {"text": "Thanks"}
    inside = body(*history, quirks=("multimodal_results",))["contents"][2]["parts"]
    assert inside[0]["functionResponse"]["parts"] == [picture]
    assert inside[1:] == [{"text": "Thanks"}]


# -- reasoning ---------------------------------------------------------------------------------------------------------------


def test_signatures_go_back_on_the_very_part_they_came_with() -> None:
    parts = (Thinking("hm", OWN), Text("a", signature=OWN), call(signature=OWN), call("c2"), Text("", signature=OWN))
    sent = body(HELLO, turn("assistant", *parts), turn("user", result(), result("c2")))
    assert [part.get("thoughtSignature") for part in sent["contents"][1]["parts"]] == ["own", "own", "own", None, "own"]
    assert sent["contents"][1]["parts"][0]["thought"] is True


def test_the_first_call_of_a_turn_without_a_signature_gets_the_documented_dummy() -> None:
    sent = body(HELLO, turn("assistant", "t", call(), call("c2")), turn("user", result(), result("c2")))
    assert [part.get("thoughtSignature") for part in sent["contents"][1]["parts"]] == [None, DUMMY, None]


@pytest.mark.parametrize(
    "signature",
    [Signature(dialect="anthropic_messages", data="x"), Signature(dialect="gemini", data="x", provider="other")],
)
def test_the_reasoning_of_another_provider_is_left_out_and_noted(signature: Signature) -> None:
    sent = encoded(
        HELLO, turn("assistant", Thinking("hm", signature), call(signature=signature)), turn("user", result())
    )
    parts = json.loads(sent.body)["contents"][1]["parts"]
    assert [part["thoughtSignature"] for part in parts] == [DUMMY]
    assert "reasoning of another provider" in sent.notes


@pytest.mark.parametrize(
    ("reasoning", "quirks", "thinking"),
    [
        (Reasoning(effort="none"), (), {"thinkingBudget": 0}), (Reasoning(budget=0, shows=True), (), {"thinkingBudget": 0}),
        (Reasoning(effort="low"), (), {"thinkingBudget": 2048, "includeThoughts": True}),
        (Reasoning(effort="low", shows=False), (), {"thinkingBudget": 2048}),
        (Reasoning(effort="max"), (), {"thinkingBudget": 24576, "includeThoughts": True}),
        (Reasoning(budget=5000, shows=True), (), {"thinkingBudget": 5000, "includeThoughts": True}),
        (Reasoning(is_adaptive=True), (), {"thinkingBudget": -1}), (Reasoning(budget=-1), ("thinking_level",), None),
        (Reasoning(effort="none"), ("thinking_level",), {"thinkingLevel": "MINIMAL"}),
        (Reasoning(effort="xhigh"), ("thinking_level",), {"thinkingLevel": "HIGH", "includeThoughts": True}),
        (Reasoning(budget=9000), ("thinking_level",), {"thinkingLevel": "MEDIUM"}),
        (Reasoning(summary="auto"), (), {"includeThoughts": True}), (Reasoning(shows=False), (), None),
    ],
)  # fmt: skip
def test_thinking_is_a_budget_or_a_level_never_both(
    reasoning: Reasoning, quirks: tuple[str, ...], thinking: Any
) -> None:
    assert body(reasoning=reasoning, quirks=quirks).get("generationConfig", {}).get("thinkingConfig") == thinking


# -- tools -------------------------------------------------------------------------------------------------------------------

WEATHER = Tool(
    name="weather", description="d", schema={"type": "object", "properties": {"format": {"type": ["string", "null"]}}}
)


def test_schemas_go_as_json_schema_by_default() -> None:
    sent = body(tools=(WEATHER, Tool(name="bare"), Tool(name="odd", schema={"type": None})))
    assert sent["tools"] == [
        {
            "functionDeclarations": [
                {"name": "weather", "description": "d", "parametersJsonSchema": WEATHER.schema},
                {"name": "bare", "description": ""},
                {"name": "odd", "description": "", "parametersJsonSchema": {"type": "object"}},
            ]
        }
    ]


def test_schemas_go_levelled_down_by_quirk() -> None:
    sent = encoded(
        tools=(WEATHER, Tool(name="empty", schema={"type": "object", "properties": {}}), Tool(name="ref", schema={"$ref": "https://x"})),
        output_format=OutputFormat(schema={"type": "object", "properties": {"a": {"const": 1}}}), quirks=("openapi_schemas",),
    )  # fmt: skip
    declared = json.loads(sent.body)["tools"][0]["functionDeclarations"]
    assert declared[0]["parameters"] == {
        "type": "OBJECT",
        "properties": {"format": {"type": "STRING", "nullable": True}},
    }
    assert "parameters" not in declared[1]
    assert "parameters" not in declared[2]
    schema = json.loads(sent.body)["generationConfig"]["responseSchema"]
    assert schema == {"type": "OBJECT", "properties": {"a": {"type": "STRING", "enum": ["1"]}}}
    assert any(note.startswith("tools.ref.") for note in sent.notes)
    assert any(note.startswith("response_format.properties.a") for note in sent.notes)


def test_names_are_made_legal_and_can_be_restored() -> None:
    long = "mcp__server__" + "x" * 80
    sent = encoded(
        HELLO,
        turn("assistant", call(name=long)),
        turn("user", result()),
        tools=(Tool(name=long), Tool(name="1st tool")),
        tool_choice=ToolChoice("tool", (long,)),
    )
    wire = json.loads(sent.body)
    names = [one["name"] for one in wire["tools"][0]["functionDeclarations"]]
    assert all(len(name) <= 64 and not name[0].isdigit() for name in names)
    assert [sent.names[name].name for name in names] == [long, "1st tool"]
    assert wire["contents"][1]["parts"][0]["functionCall"]["name"] == names[0]
    assert wire["contents"][2]["parts"][0]["functionResponse"]["name"] == names[0]
    assert wire["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"] == [names[0]]


def test_custom_tools_are_wrapped() -> None:
    sent = encoded(
        HELLO,
        turn("assistant", call(name="patch", arguments='*** "x"', kind="custom")),
        turn("user", result()),
        tools=(Tool(name="patch", kind="custom"),),
    )
    wire = json.loads(sent.body)
    assert wire["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"]["required"] == ["input"]
    assert wire["contents"][1]["parts"][0]["functionCall"]["args"] == {"input": '*** "x"'}
    assert sent.names["patch"].is_wrapped


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice("auto"), {"mode": "AUTO"}), (ToolChoice("none"), {"mode": "NONE"}), (ToolChoice("required"), {"mode": "ANY"}),
        (ToolChoice("tool", ("weather",)), {"mode": "ANY", "allowedFunctionNames": ["weather"]}),
        (ToolChoice("allowed", ("weather",), is_required=True), {"mode": "ANY", "allowedFunctionNames": ["weather"]}),
        (ToolChoice("allowed", ("weather",)), {"mode": "VALIDATED", "allowedFunctionNames": ["weather"]}),
    ],
)  # fmt: skip
def test_the_choice_of_tools(choice: ToolChoice, expected: Any) -> None:
    assert body(tools=(WEATHER,), tool_choice=choice)["toolConfig"] == {"functionCallingConfig": expected}
    assert "toolConfig" not in body(tool_choice=choice)


def test_built_in_tools_are_its_own_or_refused() -> None:
    assert body(built_in_tools=(BuiltInTool("google_search", "gemini"),))["tools"] == [{"googleSearch": {}}]
    with pytest.raises(Unsupported) as caught:
        encoded(built_in_tools=(BuiltInTool("code_interpreter", "openai_responses"),))
    assert "code_interpreter" in caught.value.message


# -- settings ------------------------------------------------------------------------------------------------------------------


def test_settings_are_said_and_the_rest_is_noted() -> None:
    sent = encoded(
        max_tokens=1, temperature=0.0, top_p=0.5, top_k=3, stop=("a", "b", "", "c", "d", "e", "f"), seed=1 << 40, presence_penalty=0.1,
        frequency_penalty=0.2, logprobs=2, is_parallel=False, verbosity="low", service_tier="flex", user="u", metadata={"a": "b"},
        output_format=OutputFormat(),
    )  # fmt: skip
    assert json.loads(sent.body)["generationConfig"] == {
        "maxOutputTokens": 1, "temperature": 0.0, "topP": 0.5, "topK": 3, "presencePenalty": 0.1, "frequencyPenalty": 0.2,
        "stopSequences": ["a", "b", "c", "d", "e"], "responseMimeType": "application/json",
    }  # fmt: skip
    assert {note.partition(":")[0] for note in sent.notes} == {
        "seed", "stop", "logprobs", "parallel_tool_calls", "verbosity", "service_tier", "user", "metadata",
    }  # fmt: skip


def test_more_tokens_than_the_model_has_are_lowered() -> None:
    sent = encoded(max_tokens=100_000, max_output=65_536)
    assert json.loads(sent.body)["generationConfig"]["maxOutputTokens"] == 65_536
    assert any(note.startswith("max_tokens") for note in sent.notes)


def test_several_answers_are_refused() -> None:
    with pytest.raises(Unsupported) as caught:
        encoded(n=2)
    assert caught.value.param == "n"


def test_the_same_request_gives_the_same_bytes() -> None:
    """Prompt caches of providers live on equal beginnings."""
    history = (HELLO, turn("assistant", call()), turn("user", result()))
    assert encoded(*history, tools=(WEATHER,)).body == encoded(*history, tools=(WEATHER,)).body
    longer = json.loads(encoded(*history, turn("assistant", "ok"), HELLO, tools=(WEATHER,)).body)
    assert longer["contents"][:3] == json.loads(encoded(*history, tools=(WEATHER,)).body)["contents"]
