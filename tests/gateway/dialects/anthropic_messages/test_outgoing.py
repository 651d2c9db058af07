"""What a provider of this dialect gets: legal by its rules, and a note for all that it cannot be told."""

import json
from typing import Any

import pytest
from msgspec import structs

from gateway.dialects.anthropic_messages.codec import PROVIDER
from gateway.dialects.anthropic_messages.messages import PLACEHOLDER
from gateway.dialects.codec import Destination, Encoded, Unsupported
from gateway.domain.chat import (
    BuiltInTool,
    ChatRequest,
    Citation,
    File,
    Image,
    OutputFormat,
    Part,
    Reasoning,
    Signature,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)

HERE = Destination(model="there", provider="acme", max_output=64_000)
UNKNOWN = Destination(model="there", provider="acme")
ADAPTIVE = Destination(model="there", provider="acme", max_output=64_000, quirks=frozenset({"adaptive_thinking"}))
NO_FORMAT = Destination(model="there", provider="acme", quirks=frozenset({"no_structured_output"}))
OWN = Signature("anthropic_messages", "c2lnbmVk", "acme")
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
LOOK = Tool(name="look", schema={"type": "object", "properties": {"where": {"type": "string"}}})


def user(*parts: Part | str) -> Turn:
    return Turn("user", tuple(Text(text=part) if isinstance(part, str) else part for part in parts))


def said(*parts: Part | str) -> Turn:
    return Turn("assistant", user(*parts).parts)


def system(*parts: Part | str) -> Turn:
    return Turn("system", user(*parts).parts)


def encode(*turns: Turn, to: Destination = HERE, **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    encoded = encoded_of(*turns, to=to, **fields)
    return json.loads(encoded.body), encoded.notes


def encoded_of(*turns: Turn, to: Destination = HERE, **fields: Any) -> Encoded:
    return PROVIDER.encode_request(ChatRequest(model="m", turns=turns or (user("Hi"),), **fields), to)


def about(notes: tuple[str, ...], word: str) -> bool:
    return any(note.startswith(word) for note in notes)


def call(call_id: str, name: str = "look", arguments: str = "{}") -> ToolCall:
    return ToolCall(id=call_id, name=name, arguments=arguments)


def result(call_id: str, text: str = "found") -> ToolResult:
    return ToolResult(call_id=call_id, content=(Text(text=text),))


# -- turns ---------------------------------------------------------------------------------------------------------------


def test_leading_system_texts_are_blocks_of_their_own() -> None:
    body, _ = encode(system("a", Text(text="b", cache="1h")), system("c", " "), user("Hi"))
    assert body["system"] == [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "text", "text": "c"},
    ]


def test_a_later_system_text_is_the_users_and_stands_after_the_results() -> None:
    body, notes = encode(user("x"), said(call("a")), system("Be quick."), user(result("a"), "and?"), tools=(LOOK,))
    kinds = [block["type"] for block in body["messages"][2]["content"]]
    assert kinds == ["tool_result", "text", "text"]
    assert [block.get("text") for block in body["messages"][2]["content"]] == [None, "Be quick.", "and?"]
    assert about(notes, "system")


def test_turns_of_one_role_are_merged_with_results_first() -> None:
    body, _ = encode(
        user("x"),
        said("I look."),
        said(call("a"), call("b")),
        user(result("a")),
        user("so", result("b")),
        tools=(LOOK,),
    )
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    assert [block["type"] for block in body["messages"][2]["content"]] == ["tool_result", "tool_result", "text"]


def test_empty_texts_and_turns_are_left_out() -> None:
    body, _ = encode(user("x"), said("", "\n "), user("", "y"))
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]}
    ]


@pytest.mark.parametrize("turns", [(system("Be a poet."),), (said("Hello, I am"),), (user(" "),)])
def test_a_users_turn_comes_first_always(turns: tuple[Turn, ...]) -> None:
    body, notes = encode(*turns)
    assert body["messages"][0] == {"role": "user", "content": [{"type": "text", "text": PLACEHOLDER}]}
    assert about(notes, "messages")


def test_a_begun_answer_does_not_end_in_white_space() -> None:
    body, _ = encode(user("x"), said("It is: \n"))
    assert body["messages"][-1]["content"] == [{"type": "text", "text": "It is:"}]


def test_empty_text_in_a_result_is_left_out() -> None:
    body, _ = encode(user("x"), said(call("a")), user(result("a", "")), tools=(LOOK,))
    assert body["messages"][2]["content"] == [{"type": "tool_result", "tool_use_id": "a"}]


def test_a_failed_result_says_so_and_may_hold_pictures() -> None:
    failed = ToolResult(call_id="a", content=(Text(text="no"), Image(data=PNG)), is_error=True)
    body, _ = encode(user("x"), said(call("a")), user(failed), tools=(LOOK,))
    block = body["messages"][2]["content"][0]
    assert block["is_error"] is True
    assert [inner["type"] for inner in block["content"]] == ["text", "image"]


def test_foreign_ids_are_made_legal_and_stay_apart() -> None:
    body, _ = encode(user("x"), said(call("f:0"), call("f.0")), user(result("f:0"), result("f.0")), tools=(LOOK,))
    ids = [block["id"] for block in body["messages"][1]["content"]]
    assert len(set(ids)) == 2
    assert all(
        set(call_id) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") for call_id in ids
    )
    assert [block["tool_use_id"] for block in body["messages"][2]["content"]] == ids


def test_an_id_used_again_becomes_another() -> None:
    turns = (user("x"), said(call("a")), user(result("a")), said(call("a")), user(result("a")))
    body, _ = encode(*turns, tools=(LOOK,))
    ids = [block["id"] for message in body["messages"] for block in message["content"] if block["type"] == "tool_use"]
    assert len(set(ids)) == 2


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        ('{"n": 1.0, "big": 123456789012345678901234567890}', '{"n": 1.0, "big": 123456789012345678901234567890}'),
        ("", "{}"),
        ('"{\\"a\\": 1}"', '{"a": 1}'),
        ('{"cut": ', '{"input":"{\\"cut\\": "}'),
        ("[1]", '{"input":"[1]"}'),
        ('{"a": "\\ud83d"}', '{"a": "\ufffd"}'),
    ],
)
def test_arguments_go_as_an_object(arguments: str, written: str) -> None:
    encoded = encoded_of(user("x"), said(call("a", arguments=arguments)), user(result("a")), tools=(LOOK,))
    assert f'"input":{written}'.encode() in encoded.body


# -- parts ---------------------------------------------------------------------------------------------------------------


def test_a_picture_has_the_type_of_its_bytes() -> None:
    body, notes = encode(user(Image(media_type="image/jpg", data=PNG, detail="low"), Image(url="https://e.org/a.png")))
    assert [block["source"] for block in body["messages"][0]["content"]] == [
        {"type": "base64", "media_type": "image/png", "data": PNG},
        {"type": "url", "url": "https://e.org/a.png"},
    ]
    assert "detail" in notes


@pytest.mark.parametrize(
    ("file", "source"),
    [
        (File(media_type="application/pdf", data="JVBERg=="), {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}),
        (File(media_type="text/csv", data="YSxi"), {"type": "text", "media_type": "text/plain", "data": "a,b"}),
        (File(text="plain"), {"type": "text", "media_type": "text/plain", "data": "plain"}),
        (File(media_type="application/pdf", url="https://e.org/a.pdf"), {"type": "url", "url": "https://e.org/a.pdf"}),
        (File(file_id="file_011"), {"type": "file", "file_id": "file_011"}),
    ],
)  # fmt: skip
def test_files_become_documents(file: File, source: dict[str, Any]) -> None:
    body, _ = encode(user(structs.replace(file, name="N"), "what?"))
    assert body["messages"][0]["content"][0] == {"type": "document", "source": source, "title": "N"}


@pytest.mark.parametrize(
    "part",
    [
        File(media_type="audio/wav", data="eA=="),
        File(media_type="video/mp4", url="https://e.org/a.mp4"),
        File(file_id="file-abc"),
        Image(media_type="image/bmp", data="Qk0AAAAAAAAAAA=="),
    ],
)
def test_what_has_no_place_is_refused_and_not_dropped(part: Part) -> None:
    with pytest.raises(Unsupported):
        encode(user(part))


def test_citations_of_the_history_are_left_out_with_a_note() -> None:
    body, notes = encode(user("x"), said(Text(text="So.", citations=(Citation(url="https://e.org"),))), user("y"))
    assert body["messages"][1]["content"] == [{"type": "text", "text": "So."}]
    assert "citations" in notes


# -- tools ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        (None, {"type": "object"}),
        ({}, {"type": "object"}),
        ({"properties": {}}, {"properties": {}, "type": "object"}),
        ({"type": "null"}, {"type": "object"}),
        ({"type": "object", "properties": {"pattern": {"minLength": 3}}}, {"type": "object", "properties": {"pattern": {"minLength": 3}}}),
        ({"anyOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}, {"type": "object", "properties": {"a": {}, "b": {}}}),
    ],
)  # fmt: skip
def test_a_tools_schema_is_an_object(schema: dict[str, Any] | None, written: dict[str, Any]) -> None:
    body, _ = encode(tools=(Tool(name="f", schema=schema),))
    assert body["tools"] == [{"name": "f", "input_schema": written}]


def test_only_a_strict_schema_is_made_to_fit_the_strict_subset() -> None:
    schema = {
        "type": "object",
        "properties": {
            "format": {"type": "string", "minLength": 2, "format": "email"},
            "n": {"oneOf": [{"minimum": 1}]},
        },
        "additionalProperties": True,
    }
    body, notes = encode(
        tools=(Tool(name="f", schema=schema, strict=True), Tool(name="g", schema=schema, strict=False))
    )
    strict, loose = body["tools"]
    assert strict["strict"] is True
    assert strict["input_schema"] == {
        "type": "object",
        "properties": {"format": {"type": "string", "format": "email"}, "n": {"anyOf": [{}]}},
        "additionalProperties": False,
    }
    assert loose == {"name": "g", "input_schema": schema}
    assert about(notes, "tools: keywords")


def test_long_and_odd_names_come_back() -> None:
    encoded = encoded_of(tools=(Tool(name="odd.name", namespace="box"), Tool(name="look")))
    wire = [tool["name"] for tool in json.loads(encoded.body)["tools"]]
    assert wire[1] == "look"
    assert (encoded.names[wire[0]].name, encoded.names[wire[0]].namespace) == ("odd.name", "box")


def test_a_custom_tool_is_wrapped_and_so_are_its_calls() -> None:
    tool = Tool(name="patch", kind="custom")
    old = ToolCall(id="a", name="patch", arguments="*** free text", kind="custom")
    encoded = encoded_of(user("x"), said(old), user(result("a")), tools=(tool,))
    body = json.loads(encoded.body)
    assert body["tools"][0]["input_schema"]["required"] == ["input"]
    assert body["messages"][1]["content"][0]["input"] == {"input": "*** free text"}
    assert encoded.names["patch"].is_wrapped


@pytest.mark.parametrize(
    ("choice", "is_parallel", "written"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice("auto"), None, {"type": "auto"}),
        (ToolChoice("required"), False, {"type": "any", "disable_parallel_tool_use": True}),
        (ToolChoice("none"), False, {"type": "none"}),
        (ToolChoice("tool", ("look",)), None, {"type": "tool", "name": "look"}),
        (ToolChoice("allowed", ("look",), is_required=True), None, {"type": "any"}),
        (ToolChoice("allowed", ("look",)), None, {"type": "auto"}),
    ],
)
def test_the_choice_of_tools(choice: ToolChoice | None, is_parallel: bool | None, written: dict[str, Any]) -> None:
    body, _ = encode(tools=(LOOK, Tool(name="other")), tool_choice=choice, is_parallel=is_parallel)
    assert body.get("tool_choice") == written
    is_narrowed = choice is not None and choice.mode == "allowed"
    assert [tool["name"] for tool in body["tools"]] == (["look"] if is_narrowed else ["look", "other"])


def test_a_choice_without_tools_is_left_out_with_a_note() -> None:
    body, notes = encode(tool_choice=ToolChoice("required"))
    assert "tool_choice" not in body
    assert about(notes, "tool_choice")


def test_tools_that_only_the_history_calls_are_declared_and_not_to_be_used() -> None:
    body, notes = encode(user("x"), said(call("a")), user(result("a")))
    assert body["tools"] == [{"name": "look", "input_schema": {"type": "object"}}]
    assert body["tool_choice"] == {"type": "none"}
    assert about(notes, "tools")


def test_a_built_in_tool_of_another_dialect_is_refused_by_name() -> None:
    with pytest.raises(Unsupported, match="web_search_preview"):
        encode(built_in_tools=(BuiltInTool("web_search_preview", "openai_responses"),))
    body, notes = encode(
        built_in_tools=(BuiltInTool("web_search_preview", "openai_responses"),), does_without_tools=True
    )
    assert "tools" not in body
    assert about(notes, "tool web_search_preview")
    body, _ = encode(built_in_tools=(BuiltInTool("web_search_20250305", "anthropic_messages"),))
    assert body["tools"] == [{"type": "web_search_20250305", "name": "web_search"}]


def test_several_answers_are_refused() -> None:
    with pytest.raises(Unsupported) as caught:
        encode(n=2)
    assert caught.value.param == "n"


# -- limits and thinking -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "to", "written"),
    [(None, HERE, 64_000), (None, UNKNOWN, 8192), (1, HERE, 1), (100_000, HERE, 64_000), (100_000, UNKNOWN, 100_000)],
)
def test_there_is_always_a_limit_that_the_model_takes(asked: int | None, to: Destination, written: int) -> None:
    assert encode(to=to, max_tokens=asked)[0]["max_tokens"] == written


@pytest.mark.parametrize(
    ("reasoning", "asked", "to", "thinking", "max_tokens"),
    [
        (Reasoning(effort="low"), 10_000, HERE, {"type": "enabled", "budget_tokens": 2048}, 10_000),
        (Reasoning(effort="high"), 1000, HERE, {"type": "enabled", "budget_tokens": 24_576}, 25_576),
        (Reasoning(budget=500), 10_000, HERE, {"type": "enabled", "budget_tokens": 1024}, 10_000),
        (Reasoning(budget=10_000), 10_000, HERE, {"type": "enabled", "budget_tokens": 10_000}, 20_000),
        (Reasoning(effort="max"), 4000, HERE, {"type": "enabled", "budget_tokens": 60_000}, 64_000),
        (Reasoning(effort="max"), None, HERE, {"type": "enabled", "budget_tokens": 55_808}, 64_000),
        (Reasoning(effort="high"), None, UNKNOWN, {"type": "enabled", "budget_tokens": 24_576}, 32_768),
        (Reasoning(is_adaptive=True), 9000, HERE, {"type": "enabled", "budget_tokens": 8192}, 9000),
        (Reasoning(budget=-1), 9000, HERE, {"type": "enabled", "budget_tokens": 8192}, 9000),
        (Reasoning(effort="none"), 9000, HERE, None, 9000),
        (Reasoning(budget=0), 9000, HERE, None, 9000),
        (Reasoning(summary="auto"), 9000, HERE, None, 9000),
        (Reasoning(effort="low"), 500, Destination(model="m", max_output=1000), None, 500),
        (None, 9000, HERE, None, 9000),
    ],
)
def test_a_budget_is_at_least_1024_and_below_the_limit(
    reasoning: Reasoning | None, asked: int | None, to: Destination, thinking: dict[str, Any] | None, max_tokens: int
) -> None:
    body, _ = encode(to=to, reasoning=reasoning, max_tokens=asked)
    assert (body.get("thinking"), body["max_tokens"]) == (thinking, max_tokens)


@pytest.mark.parametrize(
    ("reasoning", "thinking", "effort"),
    [
        (Reasoning(effort="high"), {"type": "adaptive"}, "high"),
        (Reasoning(effort="minimal", shows=True), {"type": "adaptive", "display": "summarized"}, "low"),
        (Reasoning(budget=10_000, shows=False), {"type": "adaptive", "display": "omitted"}, "medium"),
        (Reasoning(is_adaptive=True), {"type": "adaptive"}, None),
        (Reasoning(budget=-1), {"type": "adaptive"}, None),
        (Reasoning(effort="none"), {"type": "disabled"}, None),
        (Reasoning(budget=0), {"type": "disabled"}, None),
    ],
)
def test_newer_models_get_an_effort(reasoning: Reasoning, thinking: dict[str, Any], effort: str | None) -> None:
    body, _ = encode(to=ADAPTIVE, reasoning=reasoning, max_tokens=9000)
    assert body["thinking"] == thinking
    assert body.get("output_config", {}).get("effort") == effort
    assert body["max_tokens"] == 9000


@pytest.mark.parametrize(
    ("fields", "written", "noted"),
    [
        ({"temperature": 1.7}, {"temperature": 1.0}, "temperature"),
        ({"temperature": 0.2, "top_k": 5}, {"temperature": 0.2, "top_k": 5}, ""),
        ({"temperature": 0.2, "top_p": 0.9}, {"temperature": 0.2}, "top_p"),
        ({"top_p": 0.9}, {"top_p": 0.9}, ""),
        ({"temperature": 0.2, "reasoning": Reasoning(effort="low")}, {}, "temperature"),
        ({"temperature": 1, "reasoning": Reasoning(effort="low")}, {"temperature": 1.0}, ""),
        ({"top_k": 5, "top_p": 0.9, "reasoning": Reasoning(effort="low")}, {}, "top_k"),
        ({"top_p": 0.97, "reasoning": Reasoning(effort="low")}, {"top_p": 0.97}, ""),
    ],
)
def test_sampling_is_what_anthropic_takes(fields: dict[str, Any], written: dict[str, Any], noted: str) -> None:
    body, notes = encode(max_tokens=9000, **fields)
    assert {name: body[name] for name in ("temperature", "top_p", "top_k") if name in body} == written
    assert about(notes, noted) if noted else not notes


@pytest.mark.parametrize("to", [HERE, ADAPTIVE])
def test_a_forced_tool_ends_thinking_with_a_note(to: Destination) -> None:
    body, notes = encode(to=to, tools=(LOOK,), tool_choice=ToolChoice("required"), reasoning=Reasoning(effort="high"))
    assert body["tool_choice"] == {"type": "any"}
    assert body.get("thinking") in (None, {"type": "disabled"})
    assert about(notes, "thinking: off")


def test_a_begun_answer_ends_thinking_with_a_note() -> None:
    body, notes = encode(user("x"), said(Thinking(text="t", signature=OWN), "It"), reasoning=Reasoning(effort="high"))
    assert "thinking" not in body
    assert body["messages"][-1]["content"] == [{"type": "text", "text": "It"}]
    assert about(notes, "thinking: off")


def test_a_call_without_signed_thinking_ends_thinking_with_a_note() -> None:
    turns = (user("x"), said(Thinking(text="unsigned"), call("a")), user(result("a")))
    body, notes = encode(*turns, tools=(LOOK,), reasoning=Reasoning(effort="high"))
    assert "thinking" not in body
    assert about(notes, "thinking: off")
    assert "thinking: reasoning of another provider" in notes


def test_newer_models_think_on_after_a_call_without_thinking() -> None:
    """Adaptive thinking does not ask for thoughts at the head of earlier turns."""
    turns = (user("x"), said(call("a")), user(result("a")))
    assert (
        encode(*turns, to=ADAPTIVE, tools=(LOOK,), reasoning=Reasoning(effort="high"))[0]["thinking"]["type"]
        == "adaptive"
    )


def test_a_round_that_is_over_does_not_end_thinking() -> None:
    turns = (user("x"), said(call("a")), user(result("a")), said("So."), user("And now?"))
    assert "thinking" in encode(*turns, tools=(LOOK,), reasoning=Reasoning(effort="high"))[0]


def test_signed_thinking_goes_back_bytewise_and_in_order() -> None:
    thoughts = (Thinking(text=" Ünï \n", signature=OWN), Thinking(signature=OWN, is_redacted=True))
    turns = (user("x"), said(*thoughts, "I look.", Thinking(signature=OWN), call("a")), user(result("a")))
    body, notes = encode(*turns, tools=(LOOK,), reasoning=Reasoning(effort="high"))
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": " Ünï \n", "signature": "c2lnbmVk"},
        {"type": "redacted_thinking", "data": "c2lnbmVk"},
        {"type": "text", "text": "I look."},
        {"type": "thinking", "thinking": "", "signature": "c2lnbmVk"},
        {"type": "tool_use", "id": "a", "name": "look", "input": {}},
    ]
    assert body["thinking"]["type"] == "enabled"
    assert notes == ()


@pytest.mark.parametrize(
    "signature",
    [None, Signature("anthropic_messages", "c2ln", "another"), Signature("gemini", "c2ln", "acme"), Signature("openai_responses", "c2ln")],
)  # fmt: skip
def test_thinking_of_another_provider_is_left_out_with_a_note(signature: Signature | None) -> None:
    body, notes = encode(user("x"), said(Thinking(text="t", signature=signature), "So."), user("y"))
    assert body["messages"][1]["content"] == [{"type": "text", "text": "So."}]
    assert notes == ("thinking: reasoning of another provider",)


def test_a_native_signature_without_a_provider_is_taken_for_this_one() -> None:
    body, _ = encode(user("x"), said(Thinking(signature=Signature("anthropic_messages", "c2ln")), "So."), user("y"))
    assert body["messages"][1]["content"][0]["signature"] == "c2ln"


# -- structured output, caching, the rest --------------------------------------------------------------------------------

WANTED = OutputFormat(schema={"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}, name="out")


def test_a_schema_of_the_answer_goes_in_its_field_and_fits_the_subset() -> None:
    body, notes = encode(output_format=WANTED)
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": False}
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": schema}}
    assert about(notes, "output_format: keywords")


@pytest.mark.parametrize(("wanted", "to"), [(WANTED, NO_FORMAT), (OutputFormat(), HERE)])
def test_without_a_field_words_ask_for_the_form(wanted: OutputFormat, to: Destination) -> None:
    body, notes = encode(system("Be brief."), user("x"), output_format=wanted, to=to)
    assert "output_config" not in body
    assert body["system"][0]["text"] == "Be brief."
    assert "JSON" in body["system"][1]["text"]
    assert ('"minimum":1' in body["system"][1]["text"]) is (wanted is WANTED)
    assert about(notes, "output_format")


def test_at_most_four_marks_those_of_the_system_first_then_the_last() -> None:
    body, notes = encode(
        system(Text(text="s", cache="5m")),
        *(user(Text(text=f"u{number}", cache="5m")) for number in range(4)),
        tools=(Tool(name="f", cache="5m"),),
    )
    assert "cache_control" in body["system"][0]
    assert "cache_control" not in body["tools"][0]
    assert ["cache_control" in block for block in body["messages"][0]["content"]] == [False, True, True, True]
    assert about(notes, "cache_control")


def test_an_hour_never_comes_after_five_minutes() -> None:
    body, notes = encode(
        system(Text(text="a", cache="1h"), Text(text="b", cache="5m")), user(Text(text="c", cache="1h"))
    )
    marks = [block["cache_control"] for block in (*body["system"], *body["messages"][0]["content"])]
    assert marks == [{"type": "ephemeral", "ttl": "1h"}, {"type": "ephemeral"}, {"type": "ephemeral"}]
    assert about(notes, "cache_control")


def test_no_mark_stands_on_thoughts() -> None:
    thought = Thinking(text="t", signature=OWN, cache="5m")
    assert b"cache_control" not in encoded_of(user("x"), said(thought, "So."), user("y")).body


@pytest.mark.parametrize(
    ("fields", "written", "noted"),
    [
        ({"stop": ("END", " ")}, {"stop_sequences": ["END"]}, "stop"),
        ({"user": "u-1"}, {"metadata": {"user_id": "u-1"}}, ""),
        ({"user": "a@b.org"}, {}, "user"),
        ({"service_tier": "default"}, {"service_tier": "standard_only"}, ""),
        ({"service_tier": "auto"}, {"service_tier": "auto"}, ""),
        ({"service_tier": "flex"}, {}, "service_tier"),
        ({"seed": 5}, {}, "seed"),
        ({"logprobs": 0}, {}, "logprobs"),
        ({"presence_penalty": 1.0}, {}, "presence_penalty"),
        ({"frequency_penalty": 1.0}, {}, "frequency_penalty"),
        ({"verbosity": "low"}, {}, "verbosity"),
        ({"cache_key": "k"}, {}, "cache_key"),
        ({"metadata": {"a": "b"}}, {}, "metadata"),
        ({"is_stream": True}, {"stream": True}, ""),
    ],
)  # fmt: skip
def test_settings_are_written_or_noted(fields: dict[str, Any], written: dict[str, Any], noted: str) -> None:
    body, notes = encode(**fields)
    assert {name: body[name] for name in body if name not in ("model", "max_tokens", "messages")} == written
    assert about(notes, noted) if noted else not notes


def test_the_same_conversation_gives_the_same_bytes() -> None:
    turns = (user("x"), said(call("a:1", arguments='{"b": 1, "a": 2}')), user(result("a:1")))
    first, again = encoded_of(*turns, tools=(LOOK,)), encoded_of(*turns, said("So."), user("y"), tools=(LOOK,))
    at = first.body.index(b'"messages"')
    prefix = first.body[: first.body.rindex(b"]")]
    assert again.body.startswith(prefix[:at])
    assert prefix[at:-1] in again.body
