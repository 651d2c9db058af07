"""What a combo may be: its name, its entries, and no circle among combos and aliases."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.http.errors import bad_request
from admin_api.services.plane import Plane
from admin_api.store.combos import ComboRow, combos
from admin_api.store.connections import connections
from admin_api.store.names import AliasRow, aliases
from admin_api.store.nodes import nodes
from gateway.config.combo_config import OPTIONS, config_problems
from gateway.config.file_rules import may_exist

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


def options_problems(config: Mapping[str, object]) -> list[str]:
    """Why these options of a combo are refused: what nothing obeys is told here, as nobody would notice it otherwise."""
    unknown = sorted(set(config) - OPTIONS)
    return [f"`{name}` is no option of this version" for name in unknown] + config_problems(config)


def nesting_problem(combos: Mapping[str, Sequence[str]]) -> str:
    """Why these combos (name → models) do not resolve: a circle, or nested too deep. Empty when they do."""
    heights: dict[str, int] = {}
    try:
        for name in combos:
            _height(name, combos, (), heights)
    except _BadNesting as problem:
        return str(problem)
    return ""


def through_aliases(model: str, aliases: Mapping[str, str]) -> str:
    """What a model's name stands for once exact aliases are followed. Raises ValueError when they go in a circle."""
    seen = [model]
    while (target := aliases.get(seen[-1])) is not None:
        if target in seen:
            raise ValueError(f"aliases would go in a circle: {' → '.join((*seen, target))}")
        seen.append(target)
    return seen[-1]


async def check_names(plane: Plane, connection: AsyncConnection, changed: ComboRow | AliasRow) -> None:
    """That combos and aliases, with the changed one among them, make no circle, and that its models lead somewhere.

    A bare name may be offered one day; `prefix/model` needs a provider, a node, a combo or an alias, as in the config
    file. Raises 400.
    """
    rows = {row.id: row for row in await combos.load_all(connection)}
    targets = {row.pattern: row.target for row in await aliases.load_all(connection)}
    if isinstance(changed, ComboRow):
        rows[changed.id] = changed
        await _check_known(plane, connection, changed, rows.values(), targets)
    else:
        targets[changed.pattern] = changed.target
    field = "models" if isinstance(changed, ComboRow) else "model"
    names = {row.name for row in rows.values()}
    exact = {pattern: target for pattern, target in targets.items() if pattern not in names}
    try:
        for pattern in exact:
            through_aliases(pattern, exact)
        problem = nesting_problem(
            {row.name: [through_aliases(entry["model"], exact) for entry in row.models] for row in rows.values()}
        )
    except ValueError as error:
        problem = str(error)
    if problem:
        raise bad_request((field, problem))


async def _check_known(
    plane: Plane,
    connection: AsyncConnection,
    changed: ComboRow,
    rows: Iterable[ComboRow],
    targets: Mapping[str, str],
) -> None:
    names = {*(row.name for row in rows), *targets}
    prefixes = {word for spec in plane.specs.values() for word in (spec.id, *spec.prefixes)}
    prefixes |= {word for row in await nodes.load_all(connection) for word in (row.id, row.prefix)}
    listed = {model.id for spec in plane.specs.values() for model in spec.models}
    listed |= {model for row in await connections.load_all(connection) for model in row.models}
    wildcards = [pattern for pattern in targets if "*" in pattern or "?" in pattern]
    problems = [
        (f"models[{index}]", f"{entry['model']!r} names neither a provider nor a node nor a combo: make it first")
        for index, entry in enumerate(changed.models)
        if not may_exist(entry["model"], names, prefixes, listed, wildcards)
    ]
    if problems:
        raise bad_request(*problems)


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
