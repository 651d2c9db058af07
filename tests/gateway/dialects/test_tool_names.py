"""Names go to a wire format and come back as they were, each its own."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.codec import ToolName
from gateway.dialects.tool_names import (
    ANTHROPIC_NAMES,
    GEMINI_NAMES,
    OPENAI_NAMES,
    WRAPPED_SCHEMA,
    NameRestorer,
    NameRule,
    WireNames,
    legal_id,
    restored_answer,
    unwrapped,
    wrapped,
)
from gateway.domain.chat import Answer, ChatRequest, Text, Tool, ToolCall, ToolChoice, ToolKind, Turn
from gateway.domain.events import Event, Finished, Started, TextDelta, ToolCallDelta, ToolCallDone, ToolCallStarted

CALM = settings(deadline=None, database=None, max_examples=200)
LEGAL = {
    OPENAI_NAMES: re.compile(r"[a-zA-Z0-9_-]{1,64}"),
    ANTHROPIC_NAMES: re.compile(r"[a-zA-Z0-9_-]{1,128}"),
    GEMINI_NAMES: re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}"),
}


def names_of(
    *tools: Tool,
    history: tuple[ToolCall, ...] = (),
    choice: tuple[str, ...] = (),
    rule: NameRule = OPENAI_NAMES,
    keeps_namespaces: bool = False,
    keeps_custom: bool = False,
) -> WireNames:
    request = ChatRequest(
        model="m",
        turns=(Turn("assistant", history),),
        tools=tools,
        tool_choice=ToolChoice("tool", choice) if choice else None,
    )
    return WireNames(request, rule, keeps_namespaces=keeps_namespaces, keeps_custom=keeps_custom)


class TestWireNames:
    @pytest.mark.parametrize("rule", LEGAL)
    def test_a_legal_name_stays_and_needs_no_restoring(self, rule: NameRule) -> None:
        names = names_of(Tool(name="look_up-2"), rule=rule)
        assert (names.of("look_up-2"), names.restore) == ("look_up-2", {})

    @pytest.mark.parametrize(
        ("rule", "name"),
        [
            (OPENAI_NAMES, "mcp.server/look up"),
            (OPENAI_NAMES, "ünï"),
            (OPENAI_NAMES, ""),
            (OPENAI_NAMES, "a" * 65),
            (ANTHROPIC_NAMES, "a" * 129),
            (GEMINI_NAMES, "1st"),
            (GEMINI_NAMES, "-a"),
            (GEMINI_NAMES, "a" * 65),
            (GEMINI_NAMES, "a/b"),
            (OPENAI_NAMES, "a\n"),
            (OPENAI_NAMES, "\ud83d"),
        ],
    )
    def test_an_illegal_name_is_made_legal_and_is_restored(self, rule: NameRule, name: str) -> None:
        names = names_of(Tool(name=name), rule=rule)
        wire = names.of(name)
        assert LEGAL[rule].fullmatch(wire)
        assert names.restore == {wire: ToolName(name)}

    def test_what_one_format_refuses_another_takes(self) -> None:
        assert names_of(Tool(name="a.b:c"), rule=GEMINI_NAMES).restore == {}
        assert names_of(Tool(name="1a"), rule=ANTHROPIC_NAMES).restore == {}
        assert names_of(Tool(name="a" * 128), rule=ANTHROPIC_NAMES).restore == {}

    def test_history_and_choice_have_the_names_of_the_tools(self) -> None:
        names = names_of(Tool(name="a.b"), history=(ToolCall(id="1", name="a.b"),), choice=("a.b",))
        assert len(names.restore) == 1

    def test_tools_that_are_only_called_or_chosen_get_names_too(self) -> None:
        names = names_of(history=(ToolCall(id="1", name="old.tool"),), choice=("chosen.tool",))
        assert {name.name for name in names.restore.values()} == {"old.tool", "chosen.tool"}
        assert names.of("never seen") == "never seen"

    def test_a_namespace_is_joined_and_taken_apart_again(self) -> None:
        names = names_of(Tool(name="list", namespace="mail"), Tool(name="list", namespace="files"), choice=("list",))
        assert names.of("list", "mail") == "mail__list"
        assert names.of("list", "files") == "files__list"
        assert names.of("list") == "mail__list"
        assert names.restore == {"mail__list": ToolName("list", "mail"), "files__list": ToolName("list", "files")}

    def test_a_joined_name_that_is_taken_becomes_another(self) -> None:
        tools = (Tool(name="mail__list"), Tool(name="list", namespace="mail"))
        names = names_of(*tools)
        assert names.of("mail__list") == "mail__list"
        assert names.of("list", "mail") not in ("mail__list", "list")
        assert names.restore == {names.of("list", "mail"): ToolName("list", "mail")}

    def test_a_name_made_to_look_like_a_changed_one_is_told_apart(self) -> None:
        changed = names_of(Tool(name="a.b")).of("a.b")
        names = names_of(Tool(name=changed), Tool(name="a.b"))
        assert names.of("a.b") != names.of(changed) == changed

    def test_where_namespaces_are_kept_names_stay_and_so_do_the_answers_namespaces(self) -> None:
        tools = [Tool(name="a.b", namespace=namespace) for namespace in ("mail", "files", "")]
        names = names_of(*tools, keeps_namespaces=True)
        wires = {names.of("a.b", tool.namespace) for tool in tools}
        assert len(wires) == 1
        calls = tuple(ToolCall(id=tool.namespace, name=wires.copy().pop(), namespace=tool.namespace) for tool in tools)
        restored = restored_answer(Answer(calls, "tool_calls"), names.restore)
        assert [(call.name, call.namespace) for call in restored.parts if isinstance(call, ToolCall)] == [
            ("a.b", "mail"), ("a.b", "files"), ("a.b", ""),
        ]  # fmt: skip

    def test_a_custom_tool_is_wrapped_where_there_are_none(self) -> None:
        patch = Tool(name="apply_patch", kind="custom")
        assert names_of(patch).restore == {"apply_patch": ToolName("apply_patch", "", is_wrapped=True)}
        assert names_of(patch, keeps_custom=True).restore == {}


TOOLS = st.lists(
    st.builds(
        Tool,
        name=st.text(max_size=5) | st.text("a._", max_size=70) | st.sampled_from(["a__b", "b"]),
        namespace=st.sampled_from(["", "a", "b.c"]),
        kind=st.sampled_from(["function", "custom"]),
    ),
    max_size=12,
)


@CALM
@given(TOOLS, st.sampled_from(list(LEGAL)))
def test_any_tools_get_legal_names_of_their_own_that_are_restored(tools: list[Tool], rule: NameRule) -> None:
    names = names_of(*tools, rule=rule)
    known = {(tool.namespace, tool.name) for tool in tools}
    wires = {key: names.of(key[1], key[0]) for key in known}
    assert all(LEGAL[rule].fullmatch(wire) for wire in wires.values())
    assert len(set(wires.values())) == len(known)
    for (namespace, name), wire in wires.items():
        restored = names.restore.get(wire, ToolName(wire))
        assert (restored.name, restored.namespace) == (name, namespace)


@CALM
@given(TOOLS, st.sampled_from(list(LEGAL)))
def test_the_same_tools_get_the_same_names_in_every_turn(tools: list[Tool], rule: NameRule) -> None:
    again = names_of(
        *tools, rule=rule, history=tuple(ToolCall(id="1", name=t.name, namespace=t.namespace) for t in tools)
    )
    assert names_of(*tools, rule=rule).restore.keys() == again.restore.keys()


@pytest.mark.parametrize("call_id", ["call_abc-1", "toolu_01", "a" * 64])
def test_a_legal_id_stays(call_id: str) -> None:
    assert legal_id(call_id) == call_id


@CALM
@given(
    st.lists(st.text(max_size=80) | st.text("a.:", min_size=60, max_size=80), unique=True, max_size=8),
    st.integers(16, 64),
)
def test_ids_become_legal_and_stay_different(call_ids: list[str], max_chars: int) -> None:
    made = [legal_id(call_id, max_chars=max_chars) for call_id in call_ids]
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]+", one) and len(one) <= max_chars for one in made)
    assert len(set(made)) == len(call_ids)
    assert made == [legal_id(call_id, max_chars=max_chars) for call_id in call_ids]


NAMES = {
    "a_b_1": ToolName("a.b"),
    "mail__list": ToolName("list", "mail"),
    "patch": ToolName("patch", "", is_wrapped=True),
}


def test_an_answer_gets_the_callers_names() -> None:
    answer = Answer(
        (
            Text(text="a_b_1"),
            ToolCall(id="1", name="a_b_1", arguments='{"a":1}'),
            ToolCall(id="2", name="mail__list"),
            ToolCall(id="3", name="patch", arguments='{"input":"*** Begin"}'),
            ToolCall(id="4", name="other"),
        ),
        "tool_calls",
    )
    assert restored_answer(answer, NAMES).parts == (
        Text(text="a_b_1"),
        ToolCall(id="1", name="a.b", arguments='{"a":1}'),
        ToolCall(id="2", name="list", namespace="mail"),
        ToolCall(id="3", name="patch", arguments="*** Begin", kind="custom"),
        ToolCall(id="4", name="other"),
    )


def test_an_answer_without_such_calls_is_the_same_one() -> None:
    answer = Answer((Text(text="a"), ToolCall(id="1", name="other")), "stop")
    assert restored_answer(answer, NAMES) is answer
    assert restored_answer(answer, {}) is answer


def test_a_stream_gets_the_callers_names() -> None:
    events: list[Event] = [
        Started(),
        TextDelta("a_b_1"),
        ToolCallStarted(0, "1", "a_b_1"),
        ToolCallStarted(1, "2", "mail__list"),
        ToolCallDelta(0, '{"a":'),
        ToolCallDelta(1, "{}"),
        ToolCallDelta(0, "1}"),
        ToolCallDone(0),
        ToolCallDone(1),
        Finished("tool_calls"),
    ]
    expected = list(events)
    expected[2] = ToolCallStarted(0, "1", "a.b")
    expected[3] = ToolCallStarted(1, "2", "list", namespace="mail")
    assert NameRestorer(NAMES).feed(events) == expected


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_wrapped_text_comes_in_one_piece_for_any_split(size: int) -> None:
    arguments = wrapped('*** Begin "Patch"\né\\n')
    restorer = NameRestorer(NAMES)
    events = restorer.feed([ToolCallStarted(0, "1", "patch"), ToolCallStarted(1, "2", "other")])
    for start in range(0, len(arguments), size):
        events += restorer.feed([ToolCallDelta(0, arguments[start : start + size]), ToolCallDelta(1, "x")])
    events += restorer.feed([ToolCallDone(0), ToolCallDone(1)])
    assert [event for event in events if event.index == 0] == [  # type: ignore[union-attr]  # all are of calls
        ToolCallStarted(0, "1", "patch", kind="custom"),
        ToolCallDelta(0, '*** Begin "Patch"\né\\n'),
        ToolCallDone(0),
    ]


@CALM
@given(st.text())
def test_any_text_can_be_wrapped_and_unwrapped(text: str) -> None:
    assert unwrapped(wrapped(text)) == text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("{}", ""),
        ('{"input": ""}', ""),
        ("", ""),
        ("plain", "plain"),
        ('{"input": 3}', '{"input": 3}'),
        ('{"patch": "a"}', '{"patch": "a"}'),
        ('{"input": "a', '{"input": "a'),
        ('["input"]', '["input"]'),
        ("\ud83d", "\ud83d"),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_what_was_not_wrapped_is_the_text_itself(arguments: str, text: str) -> None:
    assert unwrapped(arguments) == text


def test_half_a_character_can_be_wrapped() -> None:
    assert unwrapped(wrapped("a\ud83d")) == "a?"


def test_the_schema_of_a_wrapped_tool_is_what_wrapping_writes() -> None:
    kind: ToolKind = "custom"
    assert names_of(Tool(name="a", kind=kind)).restore["a"].is_wrapped
    assert WRAPPED_SCHEMA["required"] == ["input"]
