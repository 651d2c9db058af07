"""Requests for providers: items in order, state only to who made it, and every loss refused or noted."""

import json
from typing import Any

import pytest

from gateway.dialects.codec import Arrival, Destination, Unsupported
from gateway.dialects.openai_responses.provider_request import encode_request
from gateway.dialects.openai_responses.request import decode_request
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
from gateway.domain.errors import BadRequest
from tests.support.traffic import ENVELOPES

OURS = Signature("openai_responses", "gAAA", "acme", "rs_1")


def turn(role: Role, *parts: Part) -> Turn:
    return Turn(role, parts)


HI = turn("user", Text(text="Hi"))


def body(*turns: Turn, quirks: tuple[str, ...] = (), **fields: Any) -> dict[str, Any]:
    return encoded(*turns, quirks=quirks, **fields)[0]


def encoded(*turns: Turn, quirks: tuple[str, ...] = (), **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    there = Destination(model="there", provider="acme", max_output=1000, quirks=frozenset(quirks))
    found = encode_request(ChatRequest(model="m", turns=turns or (HI,), **fields), there)
    return json.loads(found.body), found.notes


def test_an_assistants_text_is_output_even_where_a_client_sent_it_as_input() -> None:
    sent = {"model": "m", "input": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": [{"type": "input_text", "text": "Yes."}]}]}  # fmt: skip
    request = decode_request(json.dumps(sent).encode(), Arrival(), ENVELOPES)
    written = json.loads(encode_request(request, Destination(model="m")).body)
    assert written["input"][1]["content"] == [{"type": "output_text", "text": "Yes.", "annotations": []}]


def test_nothing_is_ever_stored() -> None:
    assert body() == {
        "model": "there",
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
        "stream": False,
        "store": False,
    }


def test_the_first_system_turn_is_instructions_and_later_ones_keep_their_place() -> None:
    found = body(
        turn("system", Text(text="a"), Text(text="b")),
        turn("system", Text(text="c")),
        HI,
        turn("system", Text(text="d")),
    )
    assert found["instructions"] == "a\n\nb"
    assert [(item["role"], item["content"][0]["text"]) for item in found["input"]] == [
        ("developer", "c"),
        ("user", "Hi"),
        ("developer", "d"),
    ]


def test_the_input_is_never_empty() -> None:
    found = body(turn("system", Text(text="a")))
    assert "instructions" not in found
    assert found["input"] == [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "a"}]}
    ]
    assert body(turn("user", Text(text="")))["input"][0]["role"] == "user"


def test_an_assistants_turn_keeps_the_order_of_its_parts() -> None:
    found = body(
        HI,
        turn(
            "assistant",
            Thinking(text="hm", signature=OURS),
            Text(text="Let me look."),
            Refusal(text="No."),
            ToolCall(id="c1", name="f", arguments='{"a":1}'),
            ToolCall(id="c2", name="p", arguments="free", kind="custom"),
            Text(text="Wait."),
        ),
        turn("user", ToolResult(call_id="c1", content=(Text(text="1"),)), ToolResult(call_id="c2"), Text(text="Go on")),
        quirks=("custom_tools",),
    )
    assert found["input"][1:] == [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "gAAA"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me look.", "annotations": []}, {"type": "refusal", "refusal": "No."}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'},
        {"type": "custom_tool_call", "call_id": "c2", "name": "p", "input": "free"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Wait.", "annotations": []}]},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": ""},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Go on"}]},
    ]  # fmt: skip
    assert found["include"] == ["reasoning.encrypted_content"]


@pytest.mark.parametrize(
    "signature",
    [None, Signature("anthropic_messages", "EqQB", "acme"), Signature("openai_responses", "gAAA", "someone else")],
)
def test_reasoning_goes_to_nobody_but_who_signed_it(signature: Signature | None) -> None:
    found, notes = encoded(HI, turn("assistant", Thinking(text="hm", signature=signature), Text(text="Yes.")))
    assert [item["type"] for item in found["input"]] == ["message", "message"]
    assert "hm" not in json.dumps(found)
    assert notes == ("reasoning of another provider",)


def test_a_native_signature_of_an_unknown_provider_is_tried() -> None:
    found = body(HI, turn("assistant", Thinking(signature=Signature("openai_responses", "gAAA")), Text(text="Yes.")))
    assert found["input"][1] == {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}


def test_reasoning_that_led_to_nothing_is_left_out() -> None:
    found, notes = encoded(HI, turn("assistant", Thinking(text="hm", signature=OURS)), HI)
    assert [item["type"] for item in found["input"]] == ["message", "message"]
    assert notes == ("reasoning without what it led to",)


def test_a_custom_tool_is_a_function_where_the_provider_knows_no_other() -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: x"}
    found = encode_request(
        ChatRequest(
            model="m",
            turns=(
                HI,
                turn("assistant", ToolCall(id="c", name="p", arguments="free", kind="custom")),
                turn("user", ToolResult(call_id="c")),
            ),
            tools=(Tool(name="p", kind="custom", description="Patch", format=grammar),),
            tool_choice=ToolChoice("tool", ("p",)),
        ),
        Destination(model="there"),
    )
    written = json.loads(found.body)
    assert [item["type"] for item in written["input"]] == ["message", "function_call", "function_call_output"]
    assert written["input"][1]["arguments"] == '{"input":"free"}'
    assert (written["tools"][0]["type"], written["tool_choice"]["type"]) == ("function", "function")
    assert "start: x" in written["tools"][0]["description"]
    assert found.names["p"].is_wrapped


def test_a_schema_is_noted_where_the_model_has_none() -> None:
    found, notes = encoded(quirks=("no_structured_output",), output_format=OutputFormat(schema={"type": "object"}))
    assert "text" not in found
    assert notes == ("structured output",)


def test_pictures_in_results_are_parts() -> None:
    result = ToolResult(call_id="c1", content=(Text(text="see"), Image(media_type="image/png", data="iVBO")))
    found = body(HI, turn("assistant", ToolCall(id="c1", name="f")), turn("user", result))
    assert found["input"][2]["output"] == [
        {"type": "input_text", "text": "see"},
        {"type": "input_image", "image_url": "data:image/png;base64,iVBO"},
    ]


def test_a_failed_result_says_so_in_its_text() -> None:
    result = ToolResult(call_id="c1", content=(Text(text="no such file"),), is_error=True)
    found, notes = encoded(HI, turn("assistant", ToolCall(id="c1", name="f")), turn("user", result))
    assert found["input"][2]["output"] == "Error: no such file"
    assert notes == ("is_error (as text)",)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (Image(url="https://x/a", detail="low"), {"type": "input_image", "image_url": "https://x/a", "detail": "low"}),
        (File(media_type="application/pdf", data="aGk=", name="a.pdf"), {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}),
        (File(url="https://x/a.pdf"), {"type": "input_file", "file_url": "https://x/a.pdf"}),
        (File(file_id="file_1"), {"type": "input_file", "file_id": "file_1"}),
        (File(text="plain", name="a.txt"), {"type": "input_text", "text": "a.txt\n\nplain"}),
        (File(media_type="audio/mpeg", data="aGk="), {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}}),
    ],
)  # fmt: skip
def test_every_part_of_a_user_has_a_form(part: Part, expected: dict[str, Any]) -> None:
    assert body(turn("user", part))["input"][0]["content"] == [expected]


def test_a_video_has_none() -> None:
    with pytest.raises(Unsupported, match="video/mp4"):
        body(turn("user", File(media_type="video/mp4", data="aGk=")))


def test_call_ids_are_legal_and_their_results_find_them() -> None:
    found = body(HI, turn("assistant", ToolCall(id="a b", name="f")), turn("user", ToolResult(call_id="a b")))
    assert found["input"][1]["call_id"] == found["input"][2]["call_id"]
    assert " " not in found["input"][1]["call_id"]


def test_a_result_without_its_call_is_refused() -> None:
    with pytest.raises(BadRequest):
        body(HI, turn("user", ToolResult(call_id="c9")))


def test_namespaces_are_written_where_the_provider_has_them() -> None:
    turns = (HI, turn("assistant", ToolCall(id="c", name="list", namespace="n")), turn("user", ToolResult(call_id="c")))
    tools = (Tool(name="list", namespace="n"),)
    assert body(*turns, tools=tools)["input"][1]["name"] == "n__list"
    kept = body(*turns, tools=tools, quirks=("namespaces",))["input"][1]
    assert (kept["name"], kept["namespace"]) == ("list", "n")


@pytest.mark.parametrize(("fields", "param"), [({"n": 2}, "n"), ({"stop": ("x",)}, "stop")])
def test_what_changes_the_meaning_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(Unsupported) as caught:
        body(**fields)
    assert caught.value.param == param
    assert param in caught.value.message


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        ({"top_k": 5}, "top_k"),
        ({"seed": 0}, "seed"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"frequency_penalty": -1.0}, "frequency_penalty"),
        ({"service_tier": "gold"}, "service_tier"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"logprobs": 2}, "logprobs (not in the answer)"),
    ],
)
def test_what_cannot_be_said_is_noted(fields: dict[str, Any], note: str) -> None:
    assert encoded(**fields)[1] == (note,)


def test_a_cache_mark_is_noted() -> None:
    assert encoded(turn("user", Text(text="Hi", cache="5m")))[1] == ("cache_control",)


@pytest.mark.parametrize(("asked", "sent", "notes"), [(1, 16, 1), (16, 16, 0), (500, 500, 0), (5000, 1000, 1)])
def test_output_tokens_stay_within_what_is_taken(asked: int, sent: int, notes: int) -> None:
    found, noted = encoded(max_tokens=asked)
    assert found["max_output_tokens"] == sent
    assert len(noted) == notes


@pytest.mark.parametrize(
    ("reasoning", "written", "includes"),
    [
        (Reasoning(effort="high", summary="detailed"), {"effort": "high", "summary": "detailed"}, True),
        (Reasoning(budget=2048, shows=True), {"effort": "low", "summary": "auto"}, True),
        (Reasoning(budget=0), {"effort": "none"}, False),
        (Reasoning(effort="none"), {"effort": "none"}, False),
        (Reasoning(is_adaptive=True), None, True),
        (None, None, False),
    ],
)
def test_reasoning_is_an_effort_and_its_state_is_asked_for(reasoning: Any, written: Any, includes: bool) -> None:
    found = body(reasoning=reasoning)
    assert found.get("reasoning") == written
    assert ("include" in found) is includes


def test_a_schema_has_a_legal_name() -> None:
    found = body(output_format=OutputFormat(schema={"type": "object"}, name="the city!", strict=True), verbosity="low")
    assert found["text"] == {
        "format": {"type": "json_schema", "name": "the_city_", "schema": {"type": "object"}, "strict": True},
        "verbosity": "low",
    }
    assert body(output_format=OutputFormat())["text"] == {"format": {"type": "json_object"}}


def test_a_choice_without_tools_is_not_sent() -> None:
    assert "tool_choice" not in body(tool_choice=ToolChoice("auto"), is_parallel=True)
    found = body(tools=(Tool(name="f"),), tool_choice=ToolChoice("required"), is_parallel=False)
    assert (found["tool_choice"], found["parallel_tool_calls"]) == ("required", False)


def test_long_keys_are_hashed_and_stay_apart() -> None:
    found, other = body(user="a" * 100, cache_key="b" * 64), body(user="a" * 101)
    assert len(found["safety_identifier"]) == 64
    assert found["safety_identifier"] != other["safety_identifier"]
    assert found["prompt_cache_key"] == "b" * 64
    assert body(session="ses_1")["prompt_cache_key"] == "ses_1"


def test_one_conversation_gives_the_same_bytes_turn_after_turn() -> None:
    first = (HI, turn("assistant", ToolCall(id="c.1", name="a.b")), turn("user", ToolResult(call_id="c.1")))
    short, long = body(*first)["input"], body(*first, turn("assistant", Text(text="Yes.")), HI)["input"]
    assert long[: len(short)] == short


def test_what_is_written_is_read_again() -> None:
    request = ChatRequest(
        model="m",
        turns=(turn("system", Text(text="a")), HI, turn("assistant", Text(text="b"))),
        tools=(Tool(name="f", schema={"type": "object"}, strict=False),),
        built_in_tools=(BuiltInTool("web_search", "openai_responses"),),
        reasoning=Reasoning(effort="low", shows=True, summary="auto"),
        temperature=0.5,
    )
    written = encode_request(request, Destination(model="m"))
    again = decode_request(written.body, Arrival(), ENVELOPES)
    assert again == request
