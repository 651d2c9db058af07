"""Calls and results belong together, and turns are joined and taken apart without losing anything."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.turns import check_calls, merged, split_leading_system, unique_calls
from gateway.domain.chat import ChatRequest, Part, Role, Text, ToolCall, ToolResult, Turn
from gateway.domain.errors import BadRequest

CALM = settings(deadline=None, database=None, max_examples=200)


def text(words: str) -> Text:
    return Text(text=words)


def call(call_id: str, name: str = "look") -> ToolCall:
    return ToolCall(id=call_id, name=name)


def result(call_id: str) -> ToolResult:
    return ToolResult(call_id=call_id, content=(text("found"),))


def user(*parts: Part) -> Turn:
    return Turn("user", parts)


def assistant(*parts: Part) -> Turn:
    return Turn("assistant", parts)


def system(words: str) -> Turn:
    return Turn("system", (text(words),))


GOOD = {
    "no calls": (user(text("hi")), assistant(text("ho")), user(text("hi"))),
    "an answered call": (user(text("hi")), assistant(call("a")), user(result("a"))),
    "calls at the end": (user(text("hi")), assistant(call("a"), call("b"))),
    "text before the result": (assistant(call("a")), user(text("here")), user(result("a"))),
    "calls in two turns, then both results": (assistant(call("a")), assistant(call("b")), user(result("b"), result("a"))),
    "a system turn between": (assistant(call("a")), system("be quick"), user(result("a"))),
    "a system turn after calls at the end": (assistant(call("a")), system("be quick")),
    "an id used again after its answer": (assistant(call("a")), user(result("a")), assistant(call("a")), user(result("a"))),
}  # fmt: skip


@pytest.mark.parametrize("turns", GOOD.values(), ids=GOOD.keys())
def test_matching_calls_and_results_are_taken(turns: tuple[Turn, ...]) -> None:
    check_calls(ChatRequest(model="m", turns=turns))


BAD = {
    "a result first": ("tool_result_without_call", (user(result("lost")),)),
    "a result for another id": ("tool_result_without_call", (assistant(call("a")), user(result("a"), result("lost")))),
    "a result of an earlier round": (
        "tool_result_without_call",
        (assistant(call("lost")), user(result("lost")), assistant(text("so")), user(result("lost"))),
    ),
    "the user speaks instead": ("tool_call_without_result", (assistant(call("lost")), user(text("never mind")))),
    "one of two": ("tool_call_without_result", (assistant(call("a"), call("lost")), user(result("a")))),
    "the conversation goes on": (
        "tool_call_without_result",
        (assistant(call("lost")), user(text("well")), assistant(text("yes")), user(text("ok"))),
    ),
    "one id twice in a turn": ("duplicate_tool_call_id", (assistant(call("lost"), call("lost")), user(result("lost")))),
    "one id in two turns running": ("duplicate_tool_call_id", (assistant(call("lost")), assistant(call("lost")))),
    "two results": ("duplicate_tool_call_id", (assistant(call("lost")), user(result("lost")), user(result("lost")))),
}


@pytest.mark.parametrize(("code", "turns"), BAD.values(), ids=BAD.keys())
def test_what_does_not_match_is_refused_by_its_id(code: str, turns: tuple[Turn, ...]) -> None:
    with pytest.raises(BadRequest) as error:
        check_calls(ChatRequest(model="m", turns=turns))
    assert error.value.code == code
    assert "`lost`" in error.value.message


def test_turns_of_one_role_become_one() -> None:
    turns = (system("a"), user(text("b")), user(text("c")), assistant(text("d")), assistant(call("e")))
    assert merged(turns) == (system("a"), user(text("b"), text("c")), assistant(text("d"), call("e")))


def test_results_come_before_what_else_a_user_turn_holds() -> None:
    turns = (assistant(call("a"), call("b")), user(result("a")), user(text("and"), result("b")))
    assert merged(turns)[1] == user(result("a"), result("b"), text("and"))


ROLES: st.SearchStrategy[Role] = st.sampled_from(["system", "user", "assistant"])
TURNS = st.lists(st.builds(Turn, ROLES, st.lists(st.text(max_size=3).map(text), max_size=3).map(tuple)), max_size=9).map(tuple)  # fmt: skip


@CALM
@given(TURNS)
def test_merging_keeps_every_part_in_order_and_leaves_no_neighbours_of_one_role(turns: tuple[Turn, ...]) -> None:
    joined = merged(turns)
    assert [part for turn in joined for part in turn.parts] == [part for turn in turns for part in turn.parts]
    assert all(one.role != other.role for one, other in itertools.pairwise(joined))
    assert merged(joined) == joined


def test_only_the_system_turns_at_the_front_are_split_off() -> None:
    turns = (system("a"), system("b"), user(text("c")), system("d"))
    assert split_leading_system(turns) == ((text("a"), text("b")), (user(text("c")), system("d")))
    assert split_leading_system((system("a"),)) == ((text("a"),), ())
    assert split_leading_system((user(text("c")),)) == ((), (user(text("c")),))


def test_an_id_used_again_becomes_another_with_its_result() -> None:
    turns = (
        assistant(call("a"), call("a_2")),
        user(result("a"), result("a_2")),
        assistant(call("a")),
        user(result("a")),
    )
    told_apart = unique_calls(turns)
    assert told_apart[:2] == turns[:2]
    assert told_apart[2:] == (assistant(call("a_3")), user(result("a_3")))


def test_ids_that_differ_stay_as_they_are() -> None:
    turns = (assistant(call("a"), call("b")), user(result("a")))
    assert unique_calls(turns) is turns
