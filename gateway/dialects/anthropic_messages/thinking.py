"""How much a provider of this dialect may think, and the limits that follow from it. All of it is decided here, purely.

Anthropic refuses a budget below 1,024 or not below `max_tokens`, thinking beside a forced tool choice, beside a prefilled
answer, and a tool turn without signed thinking. What cannot be had is left out with a note, and thinking goes first.
"""

from typing import Any

import msgspec

from gateway.dialects.codec import Destination
from gateway.dialects.reasoning import budget_of, effort_of
from gateway.domain.chat import Effort, Reasoning, ToolCall, ToolResult, Turn
from gateway.domain.chat import Thinking as ThinkingPart

DEFAULT_MAX_TOKENS = 8192
"""When neither the caller nor the catalogue says a limit."""

LEAST_BUDGET = 1024
_LEAST_TOP_P = 0.95
ADAPTIVE = "adaptive_thinking"
BY_DEFAULT = "thinks_by_default"
ALWAYS = "always_thinks"
NO_SAMPLING = "no_sampling"

_EFFORTS: dict[Effort, str] = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
}


class Limits(msgspec.Struct, frozen=True):
    """`thinking` as it is written, None = not at all; `effort` empty = not written. `is_unasked`: it thinks all the same."""

    max_tokens: int
    thinking: dict[str, Any] | None = None
    effort: str = ""
    is_unasked: bool = False

    @property
    def thinks(self) -> bool:
        return self.is_unasked or (self.thinking is not None and self.thinking["type"] != "disabled")


def wants_thinking(reasoning: Reasoning | None) -> bool:
    return reasoning is not None and reasoning.effort != "none" and reasoning.budget != 0 and not is_empty(reasoning)


def is_empty(reasoning: Reasoning) -> bool:
    return reasoning.effort is None and reasoning.budget is None and not reasoning.is_adaptive


def limits_of(
    reasoning: Reasoning | None, max_tokens: int | None, destination: Destination, obstacle: str, notes: list[str]
) -> Limits:
    """`obstacle` is why there can be no thinking with this request; empty = none."""
    most = destination.max_output
    tokens = max_tokens if max_tokens is not None else most or DEFAULT_MAX_TOKENS
    if most and tokens > most:
        notes.append(f"max_tokens: lowered to the model's {most}")
        tokens = most
    is_adaptive = ADAPTIVE in destination.quirks
    if reasoning is None or is_empty(reasoning):
        return Limits(tokens, is_unasked=bool({BY_DEFAULT, ALWAYS} & destination.quirks))
    effort = _effort(reasoning) if is_adaptive else ""
    if ALWAYS in destination.quirks and (not wants_thinking(reasoning) or obstacle):
        notes.append("thinking: this model always thinks")
        return Limits(tokens, effort=effort or _EFFORTS["low"], is_unasked=True)
    if not wants_thinking(reasoning) or obstacle:
        if obstacle and wants_thinking(reasoning):
            notes.append(f"thinking: {obstacle}")
        return Limits(tokens, {"type": "disabled"} if is_adaptive else None, effort)
    if is_adaptive:
        return Limits(tokens, _adaptive(reasoning), effort)
    return _with_budget(_budget(reasoning), tokens, max_tokens, most, notes)


def sampling(
    temperature: float | None, top_p: float | None, top_k: int | None, *, thinks: bool, is_taken: bool, notes: list[str]
) -> dict[str, Any]:
    """What of it Anthropic takes: a temperature up to 1, and with thinking hardly any of it; never both of the first two.

    Newer models take nothing of it (`is_taken`).
    """
    if not is_taken:
        given = {"temperature": temperature, "top_p": top_p, "top_k": top_k}
        notes += [f"{name}: not taken by this model" for name, value in given.items() if value is not None]
        return {}
    written: dict[str, Any] = {}
    if temperature is not None:
        clamped = min(max(temperature, 0.0), 1.0)
        if thinks and clamped != 1.0:
            notes.append("temperature: it must be 1 while thinking")
        else:
            if clamped != temperature:
                notes.append("temperature: lowered to 1" if temperature > 1 else "temperature: raised to 0")
            written["temperature"] = clamped
    if top_p is not None:
        if "temperature" in written:
            notes.append("top_p: only one of temperature and top_p is taken")
        elif thinks and not _LEAST_TOP_P <= top_p <= 1:
            notes.append("top_p: it must be at least 0.95 while thinking")
        else:
            written["top_p"] = top_p
    if top_k is not None:
        if thinks:
            notes.append("top_k: not taken while thinking")
        else:
            written["top_k"] = top_k
    return written


def lacks_signed_thinking(turns: tuple[Turn, ...]) -> bool:
    """The last turns are rounds of tools, and none of their ends begins with thinking that may go back.

    Only the rounds since the caller's last words count: Anthropic forgets the thoughts of earlier ones. Within a round
    either the first or the last answer must begin with thoughts. `turns` are merged and hold what is to be sent.
    """
    rounds: list[Turn] = []
    for turn in reversed(turns):
        if turn.role == "assistant":
            rounds.append(turn)
        elif not any(isinstance(part, ToolResult) for part in turn.parts):
            break
    calling = [turn for turn in rounds if any(isinstance(part, ToolCall) for part in turn.parts)]
    return bool(calling) and not any(isinstance(turn.parts[0], ThinkingPart) for turn in (calling[0], calling[-1]))


def _with_budget(budget: int, tokens: int, asked: int | None, most: int, notes: list[str]) -> Limits:
    """Room for the thoughts is added to the answer's; else they get what is left; else there are none."""
    if budget < LEAST_BUDGET:
        notes.append(f"thinking: budget raised to {LEAST_BUDGET}")
        budget = LEAST_BUDGET
    if budget < tokens:
        return Limits(tokens, _enabled(budget))
    if not most or tokens + budget <= most:
        notes.append("max_tokens: raised by the budget of thinking")
        return Limits(tokens + budget, _enabled(budget))
    answer = tokens if asked is not None else DEFAULT_MAX_TOKENS
    left = most - min(answer, most - 1)
    if left < LEAST_BUDGET:
        left = min(budget, most // 2)
    if left < LEAST_BUDGET or left >= most:
        notes.append("thinking: no room within the model's limit")
        return Limits(tokens)
    notes.append("thinking: budget lowered to the model's limit")
    return Limits(most, _enabled(left))


def _enabled(budget: int) -> dict[str, Any]:
    return {"type": "enabled", "budget_tokens": budget}


def _adaptive(reasoning: Reasoning) -> dict[str, Any]:
    if reasoning.shows is None:
        return {"type": "adaptive"}
    return {"type": "adaptive", "display": "summarized" if reasoning.shows else "omitted"}


def _effort(reasoning: Reasoning) -> str:
    """Empty = the model decides."""
    if reasoning.effort is not None:
        return _EFFORTS.get(reasoning.effort, "")
    if reasoning.budget is not None and reasoning.budget > 0:
        return _EFFORTS.get(effort_of(reasoning.budget), "")
    return ""


def _budget(reasoning: Reasoning) -> int:
    if reasoning.budget is not None and reasoning.budget > 0:
        return reasoning.budget
    return budget_of(reasoning.effort or "medium")
