"""Requests of callers: the fields of routing, every kind of item, and what is refused or noted."""

import json
from typing import Any

import pytest

from gateway.dialects.codec import Arrival, Head
from gateway.dialects.openai_responses.request import decode_request, pass_on, read_head
from gateway.domain.chat import (
    ChatRequest,
    Citation,
    File,
    Image,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from gateway.domain.errors import BadRequest
from tests.support.traffic import ENVELOPES, EXCHANGES

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"


def asked(**fields: Any) -> ChatRequest:
    return decode_request(json.dumps({"model": "m", "input": "Hi"} | fields).encode(), Arrival(), ENVELOPES)


def turns(*items: Any) -> tuple[Turn, ...]:
    return asked(input=list(items)).turns


def parts(*items: Any) -> tuple[Part, ...]:
    (turn,) = turns(*items)
    return turn.parts


def head(**fields: Any) -> Head:
    return read_head(json.dumps({"model": "m", "input": "Hi"} | fields).encode(), Arrival())


# -- the head -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"model": ""}, "model"),
        ({"model": 5}, "model"),
        ({"model": "a\nb"}, "model"),
        ({"input": None}, "input"),
        ({"input": 5}, "input"),
        ({"input": {}}, "input"),
        ({"stream": "yes"}, "stream"),
    ],
)
def test_a_head_names_what_is_wrong(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        head(**fields)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("reasoning", "expected"),
    [(None, False), ({}, False), ({"effort": "none"}, False), ({"effort": "high"}, True), ({"summary": "auto"}, True)],
)
def test_a_head_says_whether_the_model_is_to_think(reasoning: Any, expected: bool) -> None:
    assert head(reasoning=reasoning).is_reasoning is expected


def test_no_stream_is_no_stream() -> None:
    assert (head().is_stream, head(stream=None).is_stream, head(stream=True).is_stream) == (False, False, True)


def test_a_body_passes_with_its_model_alone_changed_and_named_fields_dropped() -> None:
    body = b'{ "input":"the \\"model\\": m", "model" :"m", "user":"u" }'
    first = read_head(body, Arrival())
    assert pass_on(body, first, "n", asks_usage=True) == body.replace(b':"m"', b':"n"')
    assert json.loads(pass_on(body, first, "n", drop_fields=("user",))) == {"input": 'the "model": m', "model": "n"}


# -- items ----------------------------------------------------------------------------------------------------------------


def test_a_string_is_one_user_message_below_the_instructions() -> None:
    assert asked(instructions="Be brief.").turns == (
        Turn("system", (Text(text="Be brief."),)),
        Turn("user", (Text(text="Hi"),)),
    )


@pytest.mark.parametrize(
    ("role", "turn_role"),
    [("user", "user"), ("system", "system"), ("developer", "system"), ("assistant", "assistant")],
)
def test_items_without_type_are_messages(role: str, turn_role: str) -> None:
    assert turns({"role": role, "content": "Hi"}) == (Turn(turn_role, (Text(text="Hi"),)),)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "input_text", "text": "a"}, Text(text="a")),
        ({"type": "text", "text": "a"}, Text(text="a")),
        ({"type": "output_text", "text": "a", "annotations": []}, Text(text="a")),
        (
            {"type": "output_text", "text": "a", "annotations": [{"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}, {"type": "file_path"}, 5]},
            Text(text="a", citations=(Citation(url="u", title="t", start=0, end=1),)),
        ),
        ({"type": "refusal", "refusal": "no"}, Refusal(text="no")),
        ({"type": "input_image", "image_url": "https://x/a.png", "detail": "low"}, Image(url="https://x/a.png", detail="low")),
        ({"type": "input_image", "image_url": {"url": "https://x/a.png"}}, Image(url="https://x/a.png")),
        ({"type": "input_image", "image_url": f"data:image/jpg;base64,{PNG}"}, Image(media_type="image/png", data=PNG)),
        ({"type": "input_image", "file_id": "file_1"}, File(media_type="image/*", file_id="file_1")),
        ({"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}, File(media_type="application/pdf", data="aGk=", name="a.pdf")),
        ({"type": "input_file", "filename": "a.pdf", "file_data": "aGk"}, File(media_type="application/pdf", data="aGk=", name="a.pdf")),
        ({"type": "input_file", "file_url": "https://x/a.pdf"}, File(url="https://x/a.pdf")),
        ({"type": "input_file", "file_id": "file_1"}, File(file_id="file_1")),
        ({"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}}, File(media_type="audio/mpeg", data="aGk=")),
    ],
)  # fmt: skip
def test_every_part_has_its_place_in_the_hub(part: dict[str, Any], expected: Part) -> None:
    assert parts({"role": "user", "content": [part]}) == (expected,)


def test_what_the_model_did_in_one_go_is_one_turn_and_results_are_the_next() -> None:
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Weigh"}, {"type": "summary_text", "text": "it"}], "encrypted_content": "gAAA"}  # fmt: skip
    assert turns(
        {"role": "user", "content": "Hi"},
        reasoning,
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me look."}]},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": '{"x":1.0}', "namespace": "n"},
        {"type": "custom_tool_call", "call_id": "b", "name": "g", "input": "free"},
        {"type": "function_call_output", "call_id": "a", "output": "1"},
        {"type": "custom_tool_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "2"}]},
        {"role": "user", "content": "Go on"},
    ) == (
        Turn("user", (Text(text="Hi"),)),
        Turn(
            "assistant",
            (
                Thinking(text="Weigh\n\nit", signature=Signature("openai_responses", "gAAA", "", "rs_1")),
                Text(text="Let me look."),
                ToolCall(id="a", name="f", arguments='{"x":1.0}', namespace="n"),
                ToolCall(id="b", name="g", arguments="free", kind="custom"),
            ),
        ),
        Turn("user", (ToolResult(call_id="a", content=(Text(text="1"),)), ToolResult(call_id="b", content=(Text(text="2"),)))),
        Turn("user", (Text(text="Go on"),)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [("", "{}"), (None, "{}"), (" ", "{}"), ({"a": 1}, '{"a":1}'), ('{"n":12345678901234567890.0}', '{"n":12345678901234567890.0}')],
)  # fmt: skip
def test_arguments_are_json_text_as_it_came(arguments: Any, expected: str) -> None:
    (call,) = parts({"type": "function_call", "call_id": "a", "name": "f", "arguments": arguments})
    assert isinstance(call, ToolCall)
    assert call.arguments == expected


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("", ()),
        (None, ()),
        ({"ok": True}, (Text(text='{"ok":true}'),)),
        ([{"row": 1}], (Text(text='[{"row":1}]'),)),
        ([{"type": "input_image", "image_url": "https://x/a"}], (Image(url="https://x/a"),)),
        ({"type": "computer_screenshot", "image_url": "https://x/a"}, (Image(url="https://x/a"),)),
    ],
)
def test_a_result_may_be_text_parts_or_any_object(output: Any, expected: tuple[Any, ...]) -> None:
    (result,) = parts({"type": "function_call_output", "call_id": "a", "output": output})
    assert isinstance(result, ToolResult)
    assert result.content == expected


def test_what_a_client_ran_for_the_provider_is_a_call_and_its_result() -> None:
    call, result = turns(
        {"type": "local_shell_call", "id": "ls_1", "call_id": "c", "action": {"type": "exec", "command": ["ls"]}},
        {"type": "local_shell_call_output", "id": "c", "output": "a.txt"},
    )
    assert call.parts == (ToolCall(id="c", name="local_shell", arguments='{"type":"exec","command":["ls"]}'),)
    assert result.parts == (ToolResult(call_id="c", content=(Text(text="a.txt"),)),)


def test_what_a_provider_ran_itself_is_text_or_a_note() -> None:
    request = asked(
        input=[
            {"role": "user", "content": "Hi"},
            {"type": "web_search_call", "id": "ws_1", "action": {"type": "search"}},
            {"type": "code_interpreter_call", "id": "ci_1", "code": "1+1", "outputs": [{"type": "logs", "logs": "2"}]},
            {"type": "mcp_call", "id": "mcp_1", "name": "roll", "arguments": "{}", "output": "4"},
            {"type": "image_generation_call", "id": "ig_1", "result": PNG},
        ]
    )
    assert request.turns[1].parts == (
        Text(text="1+1\n2"),
        Text(text="roll({})\n4"),
        Image(media_type="image/png", data=PNG),
    )
    assert "input item web_search_call" in request.notes


def test_reasoning_without_anything_to_keep_is_nothing() -> None:
    assert turns({"role": "user", "content": "Hi"}, {"type": "reasoning", "id": "rs_1", "summary": []}) == (
        Turn("user", (Text(text="Hi"),)),
    )


def test_an_envelope_gives_the_signature_that_is_inside() -> None:
    signature = Signature(dialect="anthropic_messages", data="EqQB", provider="acme")
    item = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
    assert parts(item | {"encrypted_content": ENVELOPES.seal(signature)}) == (Thinking(text="hm", signature=signature),)


def test_an_envelope_that_does_not_open_is_noted_and_its_text_kept() -> None:
    item = {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "hm"}],
        "encrypted_content": "OMROMROMROMR1.made.up",
    }
    request = asked(input=[item])
    assert request.turns == (Turn("assistant", (Thinking(text="hm"),)),)
    assert request.notes == ("reasoning in an envelope that is not ours",)


# -- refusals and notes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["previous_response_id", "conversation", "prompt"])
def test_a_stored_conversation_is_refused_with_what_to_do(name: str) -> None:
    with pytest.raises(BadRequest, match="instead") as caught:
        asked(**{name: "some_id"})
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", name)


def test_background_is_refused_and_no_background_is_not() -> None:
    assert asked(background=False).notes == ()
    with pytest.raises(BadRequest):
        asked(background=True)


@pytest.mark.parametrize("item", [{"type": "item_reference", "id": "msg_1"}, {"type": "compaction", "encrypted_content": "g"}])  # fmt: skip
def test_items_that_nobody_here_can_read_are_refused_at_their_place(item: dict[str, Any]) -> None:
    with pytest.raises(BadRequest) as caught:
        asked(input=[{"role": "user", "content": "Hi"}, item])
    assert caught.value.param == "input[1].type"


def test_to_store_is_accepted_and_said_not_to_be_done() -> None:
    assert asked(store=True).notes == ("store (nothing is stored)",)
    assert asked(store=False).notes == ()


def test_unknown_fields_are_noted_and_empty_ones_are_not() -> None:
    assert asked(client_metadata={"a": 1}, max_tool_calls=3, something=None).notes == (
        "client_metadata",
        "max_tool_calls",
    )


def test_depth_without_end_is_refused_and_not_a_fault() -> None:
    body = b'{"model":"m","input":"Hi","metadata":{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}}"
    with pytest.raises(BadRequest):
        decode_request(body, Arrival(), ENVELOPES)


# -- settings -------------------------------------------------------------------------------------------------------------


def test_settings_have_their_place_in_the_hub() -> None:
    request = asked(
        max_output_tokens=400,
        temperature=0.5,
        top_p=0.9,
        parallel_tool_calls=False,
        service_tier="flex",
        prompt_cache_key="key",
        safety_identifier="person",
        user="older",
        metadata={"team": "blue"},
        text={"verbosity": "low", "format": {"type": "json_schema", "name": "city", "schema": {"type": "object"}, "strict": True}},
        reasoning={"effort": "high", "summary": "detailed"},
        top_logprobs=3,
        include=["message.output_text.logprobs", "reasoning.encrypted_content"],
    )  # fmt: skip
    assert (request.max_tokens, request.temperature, request.top_p, request.is_parallel) == (400, 0.5, 0.9, False)
    assert (request.service_tier, request.cache_key, request.user) == ("flex", "key", "person")
    assert (request.metadata, request.verbosity, request.logprobs) == ({"team": "blue"}, "low", 3)
    assert request.output_format == OutputFormat(schema={"type": "object"}, name="city", strict=True)
    assert request.reasoning == Reasoning(effort="high", shows=True, summary="detailed")
    assert request.notes == ()


@pytest.mark.parametrize(
    ("form", "expected"), [({"type": "text"}, None), ({"type": "json_object"}, OutputFormat()), (None, None)]
)
def test_text_is_no_format(form: Any, expected: OutputFormat | None) -> None:
    assert asked(text={"format": form}).output_format == expected


def test_codex_and_opencode_decode_whole() -> None:
    for name in ("codex-first", "codex-second", "opencode-responses-first", "opencode-responses-second"):
        body = json.loads((EXCHANGES / "clients" / f"{name}.json").read_text())["body"]
        request = decode_request(json.dumps(body).encode(), Arrival(), ENVELOPES)
        assert request.is_stream
        assert len(request.tools) >= 3
        assert not {note for note in request.notes if not note.startswith(("client_metadata", "description of"))}
        if name.startswith("codex"):
            assert [tool.type for tool in request.built_in_tools] == ["web_search"]
            assert any(tool.namespace == "multi_agent_v1" for tool in request.tools)
            assert request.reasoning == Reasoning(shows=True, summary="auto")
