"""What every encoder must know of a conversation's turns: do calls and results match, and turns joined or taken apart.

A result answers a call of the assistant turns just before it. Some clients use one call id again in a later round: that
is legal as long as the earlier call was answered, and `unique_calls` tells the two apart for wire formats that mind.
"""

from msgspec import structs

from gateway.domain.chat import ChatRequest, Part, Role, Text, ToolCall, ToolResult, Turn
from gateway.domain.errors import BadRequest


def check_calls(request: ChatRequest) -> None:
    """Every call has one result in the user turns that follow it, and every result its call.

    Calls at the end that nobody has answered yet are fine. Raises BadRequest with the code `tool_result_without_call`,
    `tool_call_without_result` or `duplicate_tool_call_id`, and the id in its text.
    """
    is_open: dict[str, bool] = {}  # the calls of the round, True until answered
    is_answering = False
    for turn in request.turns:
        if turn.role == "assistant":
            if is_answering:
                _check_answered(is_open)
                is_open, is_answering = {}, False
            for part in turn.parts:
                if isinstance(part, ToolCall):
                    if part.id in is_open:
                        raise BadRequest(
                            f"two tool calls of one turn have the id {_shown(part.id)}", code="duplicate_tool_call_id"
                        )
                    is_open[part.id] = True
        elif turn.role == "user":
            is_answering = True
            for part in turn.parts:
                if isinstance(part, ToolResult):
                    _answer(part.call_id, is_open)
    if is_answering:
        _check_answered(is_open)


def merged(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """Consecutive turns of one role as one turn; in a user turn the tool results come first. Order stays otherwise."""
    joined: list[tuple[Role, list[Part]]] = []
    for turn in turns:
        if joined and joined[-1][0] == turn.role:
            joined[-1][1].extend(turn.parts)
        else:
            joined.append((turn.role, list(turn.parts)))
    return tuple(Turn(role, _results_first(parts) if role == "user" else tuple(parts)) for role, parts in joined)


def split_leading_system(turns: tuple[Turn, ...]) -> tuple[tuple[Text, ...], tuple[Turn, ...]]:
    """The texts of the system turns that come first, and all other turns (system turns further on among them)."""
    count = next((index for index, turn in enumerate(turns) if turn.role != "system"), len(turns))
    texts = tuple(part for turn in turns[:count] for part in turn.parts if isinstance(part, Text))
    return texts, turns[count:]


def unique_calls(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """Call ids that no other call has: an id used again gets `_2`, `_3` …, and so do its results. Mostly changes nothing."""
    ids = [part.id for turn in turns for part in turn.parts if isinstance(part, ToolCall)]
    if len(set(ids)) == len(ids):
        return turns
    taken, current = set(ids), {}
    seen: set[str] = set()
    renamed: list[Turn] = []
    for turn in turns:
        parts: list[Part] = []
        for part in turn.parts:
            if isinstance(part, ToolCall):
                current[part.id] = _free(part.id, taken) if part.id in seen else part.id
                seen.add(part.id)
                parts.append(structs.replace(part, id=current[part.id]))
            elif isinstance(part, ToolResult):
                parts.append(structs.replace(part, call_id=current.get(part.call_id, part.call_id)))
            else:
                parts.append(part)
        renamed.append(Turn(turn.role, tuple(parts)))
    return tuple(renamed)


def _check_answered(is_open: dict[str, bool]) -> None:
    for call_id, is_waiting in is_open.items():
        if is_waiting:
            raise BadRequest(
                f"the tool call {_shown(call_id)} has no result: each call needs one before the conversation goes on",
                code="tool_call_without_result",
            )


def _answer(call_id: str, is_open: dict[str, bool]) -> None:
    if call_id not in is_open:
        raise BadRequest(
            f"the tool result for {_shown(call_id)} answers no call of the assistant turn before it",
            code="tool_result_without_call",
        )
    if not is_open[call_id]:
        raise BadRequest(f"two tool results answer the call {_shown(call_id)}", code="duplicate_tool_call_id")
    is_open[call_id] = False


def _shown(call_id: str) -> str:
    return f"`{call_id[:128]}`"


def _results_first(parts: list[Part]) -> tuple[Part, ...]:
    return tuple(sorted(parts, key=lambda part: not isinstance(part, ToolResult)))


def _free(call_id: str, taken: set[str]) -> str:
    number = 2
    while f"{call_id}_{number}" in taken:
        number += 1
    taken.add(f"{call_id}_{number}")
    return f"{call_id}_{number}"
