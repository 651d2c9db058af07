"""How much to think, as a word and as tokens: one table, for wire formats that have only the other one."""

from bisect import bisect_right

from gateway.domain.chat import Effort

BUDGETS: dict[Effort, int] = {
    "none": 0,
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 24576,
    "xhigh": 32768,
    "max": 65536,
}
"""Tokens of reasoning for each step, rising. 1,024 is the least that Anthropic takes, 24,576 the most of Gemini 2.5 Flash."""

_STEPS: tuple[Effort, ...] = tuple(BUDGETS)
_TOKENS = tuple(BUDGETS.values())


def budget_of(effort: Effort) -> int:
    """Tokens for a step; 0 = do not think."""
    return BUDGETS[effort]


def effort_of(budget: int) -> Effort:
    """The nearest lower step. Fewer tokens than the least step are still thinking (`minimal`); -1 = the model decides."""
    if budget < 0:
        return "medium"
    return _STEPS[bisect_right(_TOKENS, budget) - 1] if budget == 0 or budget >= BUDGETS["minimal"] else "minimal"
