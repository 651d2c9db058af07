"""Default parameters of models, where the caller said nothing."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from gateway.domain.shaping import ModelDefaults
from gateway.routing.patterns import compile_pattern
from gateway.shaping.access import Access, Json

COMPLETION_LIMIT = "max_completion_tokens"
"""The name that some providers want for `max_tokens`; the quirk of connections is called the same."""

Compiled = tuple[tuple[re.Pattern[str], dict[str, Any]], ...]


def compile_defaults(entries: Iterable[ModelDefaults]) -> Compiled:
    """Patterns, and what each sets."""
    return tuple(
        (
            compile_pattern(entry.model),
            {
                name: list(value) if isinstance(value, tuple) else value
                for name, value in msgspec.structs.asdict(entry).items()
                if name != "model" and value is not None
            },
        )
        for entry in entries
    )


def set_defaults(
    access: Access, body: Json, defaults: Compiled, model: str, *, has_completion_limit: bool = False
) -> bool:
    """Whether something was changed. Of several entries that match, the first that says a parameter counts."""
    known = {name: value for name, value in _wanted(defaults, model).items() if name in access.parameters}
    holder = access.parameter_holder(body) if known else None
    if holder is None:
        return False
    is_changed = False
    for name, value in known.items():
        fields: Sequence[str] = access.parameters[name]
        if all(holder.get(field) is None for field in fields):
            holder[COMPLETION_LIMIT if has_completion_limit and COMPLETION_LIMIT in fields else fields[0]] = value
            is_changed = True
    return is_changed


def _wanted(defaults: Compiled, model: str) -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    for pattern, values in defaults:
        if pattern.fullmatch(model):
            wanted = {**values, **wanted}
    return wanted
