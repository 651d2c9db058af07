"""How much a model thinks, by the operator's rule. Levels and names that end in `-thinking` are read before any mode.

`auto` leaves it to the model, `custom` gives all the same budget, `adaptive` gives more to what looks like more work.
"""

from collections.abc import Iterable

from gateway.domain.shaping import MOST_BUDGET, ThinkingRule
from gateway.shaping.access import Access, Json, Measures

LEVELS = {"none": 0, "low": 1024, "medium": 10_240, "high": 131_072}
BY_NAME = 10_240
"""For a model whose name ends in `-thinking`."""

_LEVEL_NAMES = ("thinkingLevel", "thinking_level")


def set_thinking(
    access: Access, body: Json, rule: ThinkingRule, model: str, providers: Iterable[str], most_output: int
) -> bool:
    """Whether something was changed. `providers` are where the name may lead: the lowest of their caps holds."""
    most = min([MOST_BUDGET, *(rule.caps[one] for one in providers if one in rule.caps)])
    is_changed = _read_level(access, body, most, most_output)
    if not is_changed and model.endswith("-thinking") and not access.has_thinking(body):
        access.set_thinking(body, min(BY_NAME, most), most_output)
        is_changed = True
    if rule.mode == "auto":
        had = access.has_thinking(body)
        access.drop_thinking(body)
        return is_changed or had
    if rule.mode in ("custom", "adaptive"):
        budget = rule.budget if rule.mode == "custom" else adapted(rule.effort, access.measures(body))
        access.set_thinking(body, min(budget, most), most_output)
        return True
    return is_changed


def adapted(effort: str, task: Measures) -> int:
    """Half as much again for more than 10 messages, for more than 3 tools; a third for a long last text."""
    factor = 1 + 0.5 * (task.messages > 10) + 0.5 * (task.tools > 3) + 0.3 * (task.last_user_chars > 2000)
    return min(round(LEVELS[effort] * factor), MOST_BUDGET)


def _read_level(access: Access, body: Json, most: int, most_output: int) -> bool:
    """`thinkingLevel` of the body itself, which no provider knows, or a small word in Gemini's own place for it."""
    for holder in _level_holders(body):
        for name in _LEVEL_NAMES:
            level = holder.get(name)
            if isinstance(level, str) and level in LEVELS:
                del holder[name]
                access.set_thinking(body, min(LEVELS[level], most), most_output)
                return True
    return False


def _level_holders(body: Json) -> list[Json]:
    holders: list[object] = [body]
    for name in ("generationConfig", "generation_config"):
        config = body.get(name)
        if isinstance(config, dict):
            holders += [config.get("thinkingConfig"), config.get("thinking_config")]
    return [one for one in holders if isinstance(one, dict)]
