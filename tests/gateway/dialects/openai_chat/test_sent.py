"""A request as providers of this dialect are asked: what nearly all of them take, and the rest by quirk or with a note."""

import json
from typing import Any

import pytest

from gateway.dialects.codec import Destination, Encoded, Unsupported
from gateway.dialects.openai_chat.sent import encode_request
from gateway.dialects.openai_chat.sent_turns import FOREIGN_REASONING, SEE_NEXT
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

SHELL = Tool("shell", "Runs.", {"type": "object", "properties": {"command": {"type": "string"}}})


def encode(*turns: Turn, quirks: str = "", max_output: int = 0, **fields: Any) -> Encoded:
    destination = Destination("there", "acme", max_output, frozenset(quirks.split()))
    return encode_request(ChatRequest("asked", turns or (user("hi"),), **fields), destination)


def body(*turns: Turn, quirks: str = "", **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(encode(*turns, quirks=quirks, **fields).body)
    return found


def messages(*turns: Turn, quirks: str = "", **fields: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body(*turns, quirks=quirks, **fields)["messages"]
    return found


def turn(role: Role, *parts: Part) -> Turn:
    return Turn(role, parts)


def user(*texts: str) -> Turn:
    return Turn("user", tuple(map(Text, texts)))


def result(call_id: str, *content: Text | Image | File, is_error: bool = False) -> ToolResult:
    return ToolResult(call_id=call_id, content=content, is_error=is_error)


# -- messages ---------------------------------------------------------------------------------------------------------


def test_system_turns_stay_in_place_and_never_are_developer() -> None:
    sent = messages(turn("system", Text("a"), Text("b")), user("hi"), turn("system", Text("c")))
    assert sent == [
        {"role": "system", "content": "a\nb"},
        {"role": "user", "content": "hi"},
        {"role": "system", "content": "c"},
    ]


def test_texts_are_one_string_and_pictures_stand_in_order() -> None:
    assert messages(user("a", "b"))[0]["content"] == "a\nb"
    parts = (Image(url="https://x", detail="low"), Text("what?"), Image(media_type="image/png", data="AAAA"))
    assert messages(turn("user", *parts))[0]["content"] == [
        {"type": "image_url", "image_url": {"url": "https://x", "detail": "low"}},
        {"type": "text", "text": "what?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]


@pytest.mark.parametrize(
    ("file", "part"),
    [
        (File(media_type="audio/wav", data="AAAA"), {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}),
        (File(media_type="application/pdf", data="AAAA", name="a.pdf"), {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}}),
        (File(file_id="file-1"), {"type": "file", "file": {"file_id": "file-1"}}),
        (File(text="words", name="a.txt"), {"type": "text", "text": "a.txt:\nwords"}),
        (File(media_type="video/mp4", url="https://x"), {"type": "video_url", "video_url": {"url": "https://x"}}),
    ],
    ids=["sound", "document", "id", "text", "video"],
)  # fmt: skip
def test_files_have_their_parts(file: File, part: dict[str, Any]) -> None:
    assert messages(turn("user", file))[0]["content"] == [part]


def test_a_document_by_its_url_is_refused() -> None:
    with pytest.raises(Unsupported, match="URL"):
        encode(turn("user", File(media_type="application/pdf", url="https://x")))


def test_results_follow_their_calls_and_all_else_waits() -> None:
    calls = turn("assistant", Text("look"), ToolCall("a", "f", '{"x":1}'), ToolCall("b", "g"))
    picture = Image(url="https://x")
    sent = messages(
        calls,
        turn("system", Text("be quick")),
        turn("user", result("a", Text("1"), picture)),
        turn("user", result("b", is_error=True), Text("and?")),
    )
    assert [message["role"] for message in sent] == ["assistant", "tool", "tool", "system", "user", "user"]
    assert sent[0]["content"] == "look"
    assert [call["function"] for call in sent[0]["tool_calls"]] == [
        {"name": "f", "arguments": '{"x":1}'},
        {"name": "g", "arguments": "{}"},
    ]
    assert sent[1] == {"role": "tool", "tool_call_id": "a", "content": f"1\n{SEE_NEXT}"}
    assert sent[2] == {"role": "tool", "tool_call_id": "b", "content": "Error: "}
    assert sent[4]["content"] == [{"type": "image_url", "image_url": {"url": "https://x"}}]
    assert sent[5] == {"role": "user", "content": "and?"}


def test_an_error_is_not_called_one_twice() -> None:
    sent = messages(turn("assistant", ToolCall("a", "f")), turn("user", result("a", Text("error: no"), is_error=True)))
    assert sent[1]["content"] == "error: no"


def test_content_beside_calls_is_empty_and_not_null() -> None:
    assert messages(turn("assistant", ToolCall("a", "f")))[0]["content"] == ""


def test_an_assistant_turn_of_nothing_is_left_out() -> None:
    sent = messages(user("hi"), turn("assistant", Thinking("hm")), user("go on"))
    assert [message["role"] for message in sent] == ["user", "user"]


def test_texts_of_one_answer_join_without_a_gap_but_around_other_parts() -> None:
    said = turn("assistant", Text("a"), Text("b"), ToolCall("x", "f"), Text("c"))
    assert messages(said)[0]["content"] == "ab\n\nc"


def test_a_refusal_goes_back_as_words() -> None:
    assert messages(turn("assistant", Refusal("no")))[0]["content"] == "no"


def test_a_call_id_used_again_becomes_another() -> None:
    again = (turn("assistant", ToolCall("x", "f")), turn("user", result("x", Text("1"))))
    sent = messages(*again, *again)
    ids = [message["tool_calls"][0]["id"] for message in sent if message["role"] == "assistant"]
    assert len(set(ids)) == 2
    assert [message["tool_call_id"] for message in sent if message["role"] == "tool"] == ids


def test_foreign_call_ids_are_made_legal_on_both_sides() -> None:
    odd = (turn("assistant", ToolCall("tool/1:é", "f")), turn("user", result("tool/1:é", Text("1"))))
    call_id = messages(*odd)[0]["tool_calls"][0]["id"]
    assert call_id.replace("_", "").replace("-", "").isalnum()
    assert call_id.isascii()
    assert messages(*odd)[1]["tool_call_id"] == call_id
    short = messages(*odd, quirks="nine_char_ids")
    assert len(short[0]["tool_calls"][0]["id"]) == 9
    assert short[1]["tool_call_id"] == short[0]["tool_calls"][0]["id"]


# -- reasoning --------------------------------------------------------------------------------------------------------


def test_reasoning_of_earlier_turns_goes_back_only_where_it_is_wanted() -> None:
    said = turn("assistant", Thinking("one"), Thinking("two"), Text("a"))
    encoded = encode(said)
    assert "reasoning_content" not in json.loads(encoded.body)["messages"][0]
    assert encoded.notes == ("reasoning of earlier turns",)
    assert messages(said, quirks="replays_reasoning")[0]["reasoning_content"] == "one\n\ntwo"


@pytest.mark.parametrize(
    ("signature", "is_kept"),
    [
        (Signature("openai_chat", "sig", "acme"), True),
        (Signature("openai_chat", "sig"), True),
        (Signature("openai_chat", "sig", "another"), False),
        (Signature("gemini", "sig", "acme"), False),
    ],
)
def test_a_calls_signature_goes_back_to_who_signed_it_alone(signature: Signature, is_kept: bool) -> None:
    encoded = encode(turn("assistant", ToolCall("a", "f", signature=signature)))
    assert (b'"thought_signature":"sig"' in encoded.body) is is_kept
    assert (FOREIGN_REASONING in encoded.notes) is not is_kept


def test_reasoning_details_go_back_as_they_came() -> None:
    details = [{"type": "reasoning.text", "text": None, "signature": "s", "format": "anthropic-claude-v1", "index": 0}]
    signature = Signature("openai_chat", json.dumps(details), "acme")
    sent = messages(turn("assistant", Thinking("hm", signature), Text("a")))
    assert sent[0]["reasoning_details"] == [{**details[0], "text": "hm"}]
    other = Signature("openai_chat", json.dumps(details), "another")
    assert "reasoning_details" not in messages(turn("assistant", Thinking("hm", other), Text("a")))[0]


@pytest.mark.parametrize(
    ("reasoning", "quirks", "effort"),
    [
        (Reasoning(effort="xhigh"), "every_effort", "xhigh"),
        (Reasoning(budget=8192), "", "medium"),
        (Reasoning(budget=9000), "", "medium"),
        (Reasoning(budget=0), "every_effort", "none"),
        (Reasoning(budget=-1), "", None),
        (Reasoning(is_adaptive=True), "", None),
        (Reasoning(effort="max"), "", "high"),
        (Reasoning(effort="minimal"), "", "low"),
        (Reasoning(effort="none"), "", None),
        (None, "", None),
    ],
    ids=range(10),
)
def test_how_much_to_think_is_an_effort(reasoning: Reasoning | None, quirks: str, effort: str | None) -> None:
    assert body(quirks=quirks, reasoning=reasoning).get("reasoning_effort") == effort


# -- tools ------------------------------------------------------------------------------------------------------------


def test_tools_are_functions_with_an_object_for_a_schema() -> None:
    sent = body(tools=(SHELL, Tool("none"), Tool("empty", schema={"type": "object"}, strict=True)))["tools"]
    assert sent == [
        {"type": "function", "function": {"name": "shell", "description": "Runs.", "parameters": SHELL.schema}},
        {"type": "function", "function": {"name": "none", "parameters": {"type": "object", "properties": {}}}},
        {"type": "function", "function": {"name": "empty", "parameters": {"type": "object", "properties": {}}, "strict": True}},
    ]  # fmt: skip


def test_names_are_made_legal_everywhere_and_can_be_restored() -> None:
    name = "mcp.server/" + "long" * 20
    encoded = encode(
        turn("assistant", ToolCall("a", name)), turn("user", result("a")), tools=(Tool(name),),
        tool_choice=ToolChoice("tool", (name,)),
    )  # fmt: skip
    sent = json.loads(encoded.body)
    wire = sent["tools"][0]["function"]["name"]
    assert len(wire) <= 64
    assert sent["tool_choice"] == {"type": "function", "function": {"name": wire}}
    assert sent["messages"][0]["tool_calls"][0]["function"]["name"] == wire
    assert encoded.names[wire].name == name


def test_a_custom_tool_is_wrapped_unless_it_is_known() -> None:
    patch = Tool(
        "patch", "Edits.", kind="custom", format={"type": "grammar", "syntax": "lark", "definition": "start: x"}
    )
    call = turn("assistant", ToolCall("a", "patch", "*** x", kind="custom"))
    sent = body(call, tools=(patch,))
    assert sent["tools"][0]["function"]["parameters"]["required"] == ["input"]
    assert "start: x" in sent["tools"][0]["function"]["description"]
    assert sent["messages"][0]["tool_calls"][0]["function"] == {"name": "patch", "arguments": '{"input":"*** x"}'}
    native = body(call, tools=(patch,), quirks="custom_tools", tool_choice=ToolChoice("tool", ("patch",)))
    assert native["tools"][0]["custom"] == {"name": "patch", "description": "Edits.", "format": patch.format}
    assert native["messages"][0]["tool_calls"][0]["custom"] == {"name": "patch", "input": "*** x"}
    assert native["tool_choice"] == {"type": "custom", "custom": {"name": "patch"}}


@pytest.mark.parametrize(
    ("choice", "quirks", "wire", "count"),
    [
        (ToolChoice("auto"), "", "auto", 2),
        (ToolChoice("none"), "", "none", 2),
        (ToolChoice("required"), "", "required", 2),
        (ToolChoice("allowed", ("shell",)), "", "auto", 1),
        (ToolChoice("allowed", ("shell",), is_required=True), "", "required", 1),
        (
            ToolChoice("allowed", ("shell",)),
            "openai_fields",
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "shell"}}]}},
            2,
        ),
    ],
    ids=range(6),
)  # fmt: skip
def test_the_choice_of_a_tool_is_kept(choice: ToolChoice, quirks: str, wire: object, count: int) -> None:
    sent = body(tools=(SHELL, Tool("other")), tool_choice=choice, quirks=quirks)
    assert sent["tool_choice"] == wire
    assert len(sent["tools"]) == count


def test_without_tools_nothing_is_said_of_them() -> None:
    sent = body(tool_choice=ToolChoice("auto"), is_parallel=False)
    assert not sent.keys() & {"tools", "tool_choice", "parallel_tool_calls"}


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 2},
        {"built_in_tools": (BuiltInTool("computer_use", "openai_responses"),), "tools": (SHELL,)},
        {"tool_choice": ToolChoice("required")},
    ],
)
def test_what_cannot_be_asked_in_good_faith_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(Unsupported):
        encode(**fields)


# -- fields -----------------------------------------------------------------------------------------------------------


def test_a_stream_asks_for_its_usage() -> None:
    assert body(is_stream=True)["stream_options"] == {"include_usage": True}
    assert "stream_options" not in body(is_stream=True, quirks="refuse_stream_options")
    assert not body().keys() & {"stream", "stream_options"}


def test_the_limit_has_the_name_that_the_provider_knows_and_its_size() -> None:
    assert body(max_tokens=9)["max_tokens"] == 9
    assert body(max_tokens=9, quirks="max_completion_tokens")["max_completion_tokens"] == 9
    assert "max_tokens" not in body()
    encoded = encode(max_tokens=900, max_output=100)
    assert json.loads(encoded.body)["max_tokens"] == 100
    assert encoded.notes == ("max_tokens",)


def test_what_cannot_be_said_is_noted() -> None:
    encoded = encode(
        turn("user", Text("a", cache="5m")), top_k=3, stop=("a", "b", "c", "d", "e"), logprobs=2, metadata={"a": 1},
        verbosity="low", cache_key="k", notes=("logit_bias",),
    )  # fmt: skip
    assert set(encoded.notes) == {
        "top_k", "stop", "logprobs", "metadata", "verbosity", "prompt_cache_key", "cache_control", "logit_bias",
    }  # fmt: skip
    assert json.loads(encoded.body)["stop"] == ["a", "b", "c", "d"]


def test_cache_marks_go_where_they_are_known() -> None:
    turns = (
        turn("system", Text("s", cache="1h")), turn("assistant", Text("a", cache="5m"), ToolCall("x", "f")),
        turn("user", result("x", Text("r", cache="5m")), Text("u", cache="5m")),
    )  # fmt: skip
    sent = body(*turns, quirks="cache_control", tools=(Tool("f", cache="5m"),))
    short = {"type": "ephemeral"}
    assert sent["messages"][0]["content"] == [{"type": "text", "text": "s", "cache_control": {**short, "ttl": "1h"}}]
    for message in sent["messages"][1:]:
        assert message["content"][0]["cache_control"] == short
    assert sent["tools"][0]["cache_control"] == short
    assert "cache_control" not in json.dumps(body(*turns))


def test_structured_output_is_kept_with_the_name_that_the_wire_needs() -> None:
    shape = OutputFormat({"type": "object"}, strict=True)
    assert body(output_format=shape)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
    }
    assert body(output_format=OutputFormat())["response_format"] == {"type": "json_object"}
    encoded = encode(output_format=shape, quirks="no_structured_output")
    assert b"response_format" not in encoded.body
    assert encoded.notes == ("structured output",)


def test_the_same_conversation_gives_the_same_beginning() -> None:
    turns = (user("hi"), turn("assistant", ToolCall("a", "shell")), turn("user", result("a", Text("1"))))
    shorter, longer = encode(*turns, tools=(SHELL,)), encode(*turns, user("go on"), tools=(SHELL,))
    end = shorter.body.index(b'],"tools"')
    assert longer.body.startswith(shorter.body[:end])


def test_a_users_id_is_never_too_long_for_openai() -> None:
    """Claude Code's is JSON of 150 characters; equal ones stay equal."""
    long = "u" * 65
    assert body(user="u" * 64)["user"] == "u" * 64
    assert len(body(user=long)["user"]) == 64
    assert body(user=long)["user"] == body(user=long)["user"] != body(user=long + "v")["user"]
