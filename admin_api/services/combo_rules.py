"""What a combo may be: its name, its entries, and no circle among combos. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

MAX_DEPTH = 5
MAX_MODELS = 100
_NAME = re.compile(r"[A-Za-z0-9_/.-]{1,100}")


class _BadNesting(ValueError):
    """A circle, or too deep."""


def name_problem(name: str) -> str:
    """Why this name is refused; empty when it is fine."""
    return "" if _NAME.fullmatch(name) else "must be 1 to 100 letters, digits, or one of _ / . -"


def read_models(models: Sequence[Any]) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """Entries as strings or `{model, weight}` → stored entries, and the problems found."""
    entries: list[dict[str, Any]] = []
    problems: list[tuple[str, str]] = []
    if not models or len(models) > MAX_MODELS:
        problems.append(("models", f"must hold 1 to {MAX_MODELS} models"))
    for index, given in enumerate(models[:MAX_MODELS]):
        entry = {"model": given} if isinstance(given, str) else given
        problem = _entry_problem(entry)
        if problem:
            problems.append((f"models[{index}]", problem))
        else:
            entries.append({"model": entry["model"], "weight": entry.get("weight", 0)})
    return entries, problems


def nesting_problem(combos: Mapping[str, Sequence[str]]) -> str:
    """Why these combos (name → models) do not resolve: a circle, or nested too deep. Empty when they do."""
    heights: dict[str, int] = {}
    try:
        for name in combos:
            _height(name, combos, (), heights)
    except _BadNesting as problem:
        return str(problem)
    return ""


def _entry_problem(entry: Any) -> str:
    if not isinstance(entry, dict) or not isinstance(entry.get("model"), str) or not entry["model"].strip():
        return "must be a model's name, or {model, weight}"
    if unknown := set(entry) - {"model", "weight"}:
        return f"has unknown fields: {', '.join(sorted(map(str, unknown)))}"
    weight = entry.get("weight", 0)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= 100:
        return "weight must be a number from 0 to 100"
    return ""


def _height(name: str, combos: Mapping[str, Sequence[str]], above: tuple[str, ...], heights: dict[str, int]) -> int:
    """How many combos stand on the longest way down from `name`. Each is walked once."""
    if name in above:
        raise _BadNesting(f"combos would go in a circle: {' → '.join((*above, name))}")
    if name not in heights:
        below = [_height(model, combos, (*above, name), heights) for model in combos[name] if model in combos]
        heights[name] = 1 + max(below, default=0)
    if len(above) + heights[name] > MAX_DEPTH:
        raise _BadNesting(f"combos may be nested {MAX_DEPTH} deep, and {name!r} would be deeper")
    return heights[name]
