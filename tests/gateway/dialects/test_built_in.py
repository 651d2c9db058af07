"""Tools that another provider runs itself: a search beside other tools is left out, all else is refused by name."""

import pytest

from gateway.dialects.built_in import own_tools
from gateway.dialects.codec import Unsupported
from gateway.domain.chat import BuiltInTool, ChatRequest, Tool, ToolChoice

SHELL = (Tool(name="shell"),)


def asked(*kinds: str, tools: tuple[Tool, ...] = SHELL, choice: ToolChoice | None = None) -> ChatRequest:
    built_in = tuple(BuiltInTool(kind, "openai_responses") for kind in kinds)
    return ChatRequest(model="m", turns=(), tools=tools, built_in_tools=built_in, tool_choice=choice)


def test_a_dialects_own_tools_are_kept() -> None:
    notes: list[str] = []
    kept = own_tools(asked("web_search", "code_interpreter"), "openai_responses", notes)
    assert [tool.type for tool in kept] == ["web_search", "code_interpreter"]
    assert notes == []


@pytest.mark.parametrize(
    "kind", ["web_search", "web_search_preview", "web_search_20250305", "google_search", "googleSearch"]
)
def test_a_search_beside_other_tools_is_left_out_with_a_note(kind: str) -> None:
    notes: list[str] = []
    assert own_tools(asked(kind), "gemini", notes) == ()
    assert notes == [f"tool {kind}"]


@pytest.mark.parametrize(
    "request_",
    [
        asked("web_search", tools=()),
        asked("web_search", choice=ToolChoice("tool", ("web_search",))),
        asked("web_search", "code_interpreter"),
        asked("computer_use_preview"),
    ],
    ids=["nothing else", "chosen", "beside another", "no search"],
)
def test_any_other_tool_is_refused_by_its_name(request_: ChatRequest) -> None:
    with pytest.raises(Unsupported, match=r"web_search|code_interpreter|computer_use_preview"):
        own_tools(request_, "gemini", [])
