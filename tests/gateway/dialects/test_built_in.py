"""Tools that another provider runs itself are refused by name, or left out for a client that gets along without."""

import pytest

from gateway.dialects.built_in import own_tools
from gateway.dialects.codec import Unsupported
from gateway.domain.chat import BuiltInTool, ChatRequest


def asked(*kinds: str, does_without_tools: bool = False) -> ChatRequest:
    built_in = tuple(BuiltInTool(kind, "openai_responses") for kind in kinds)
    return ChatRequest(model="m", turns=(), built_in_tools=built_in, does_without_tools=does_without_tools)


@pytest.mark.parametrize("does_without_tools", [False, True])
def test_a_dialects_own_tools_are_kept(does_without_tools: bool) -> None:
    notes: list[str] = []
    request = asked("web_search", "code_interpreter", does_without_tools=does_without_tools)
    kept = own_tools(request, "openai_responses", notes)
    assert [tool.type for tool in kept] == ["web_search", "code_interpreter"]
    assert notes == []


@pytest.mark.parametrize("kind", ["web_search", "code_interpreter", "computer_use_preview"])
def test_another_dialects_tool_is_refused_by_its_name(kind: str) -> None:
    with pytest.raises(Unsupported, match=kind):
        own_tools(asked(kind), "gemini", [])


def test_a_client_that_does_without_is_told_what_was_left_out() -> None:
    notes: list[str] = []
    assert own_tools(asked("web_search", "code_interpreter", does_without_tools=True), "gemini", notes) == ()
    assert notes == ["tool web_search", "tool code_interpreter"]
