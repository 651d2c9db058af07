"""An outline says what a body is built like, and nothing that somebody wrote."""

import json

import pytest

from gateway.shaping.outline import MAX_BYTES, MAX_VALUES, outline

CANARY = "the canary sings"
ASKED = {
    "model": "gpt-5",
    "stream": True,
    "max_tokens": 64,
    "user": CANARY,
    "messages": [
        {"role": "system", "content": CANARY},
        {"role": "user", "content": [{"type": "text", "text": CANARY}, {"type": "image_url", "image_url": {"url": CANARY}}]},
        {"role": "assistant", "tool_calls": [{"id": CANARY, "type": "function", "function": {"name": "look_up", "arguments": CANARY}}]},
        {"role": "tool", "tool_call_id": CANARY, "name": CANARY, "content": CANARY},
    ],
    "tools": [{"type": "function", "function": {"name": "look_up", "description": CANARY, "parameters": {CANARY: {"default": CANARY}}}}],
    "metadata": {CANARY: CANARY},
    CANARY: 4711,
}  # fmt: skip


def test_structure_stays_and_texts_and_numbers_of_callers_go() -> None:
    shown = json.loads(outline(json.dumps(ASKED).encode()))
    assert shown["model"] == "gpt-5"
    assert (shown["stream"], shown["max_tokens"]) == (True, 64)
    assert [one["role"] for one in shown["messages"]] == ["system", "user", "assistant", "tool"]
    assert shown["messages"][0]["content"] == f"<{len(CANARY)}>"
    assert [one["type"] for one in shown["messages"][1]["content"]] == ["text", "image_url"]
    assert shown["tools"][0]["function"]["parameters"] == "{<1>}"
    assert shown["metadata"] == "{<1>}"
    assert shown[f"<{len(CANARY)}>"] == "<#>"
    assert CANARY not in outline(json.dumps(ASKED).encode())


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"content": [{"type": "tool_use", "name": "f", "input": {CANARY: CANARY}}]}]},
        {"contents": [{"parts": [{"functionCall": {"name": "f", "args": {CANARY: 1}}}]}]},
        {"contents": [{"parts": [{"functionResponse": {"name": "f", "response": {CANARY: CANARY}}}]}]},
        {"message": {"tool_calls": [{"function": {"name": "f", "arguments": {CANARY: CANARY}}}]}},
        {"tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {CANARY: 1}}]}]},
        {"role": CANARY, "type": CANARY, "model": CANARY, "format": {"type": "object", "properties": {CANARY: {}}}},
    ],
    ids=["anthropic", "gemini-call", "gemini-result", "ollama", "gemini-tool", "odd-words"],
)
def test_what_a_caller_may_fill_as_it_likes_is_not_shown(body: dict[str, object]) -> None:
    assert CANARY not in outline(json.dumps(body).encode())


def test_a_stream_is_shown_by_its_first_and_last_events() -> None:
    events = [{"choices": [{"delta": {"content": f"{CANARY} {number}"}, "index": 0}]} for number in range(50)]
    for written in ("data: %s\n\n", "%s\n"):
        shown = outline("".join(written % json.dumps(event) for event in events).encode() + b"data: [DONE]\n\n")
        found = json.loads(shown)
        assert found[5] == "<+42>"
        assert len(found) == 9
        assert CANARY not in shown


def test_an_outline_is_bounded() -> None:
    wide = {"messages": [{f"field{at}": [1] * 50 for at in range(200)} for _ in range(50)]}
    assert len(outline(json.dumps(wide).encode())) < MAX_VALUES * 80
    deep = b'{"content":' * 5000 + b"1" + b"}" * 5000
    assert len(outline(deep)) < 1000
    assert outline(b"x" * (MAX_BYTES + 1)) == f"<{MAX_BYTES + 1}>"
    assert outline(b"\xff no json") == "<9>"
    assert outline(b"") == ""
