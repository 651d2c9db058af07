"""Arguments that come in pieces, each with the JSON path of its place (Vertex, `streamFunctionCallArguments`).

`{"jsonPath": "$.items[0].name", "stringValue": "a", "willContinue": true}`: strings at one path are joined while they
continue; numbers, booleans and null come whole. Places come in the order in which the model writes them.
"""

import re
from typing import Any

import msgspec

MAX_STEPS = 64
MAX_ITEMS = 10_000
"""A deeper path or a longer list is no argument but a fault."""

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d{1,6})\]|\[(['\"])((?:[^\\]|\\.)*?)\3\]")


class StreamedArguments:
    """One call's arguments, assembled."""

    __slots__ = ("_chars", "_open", "value")

    def __init__(self) -> None:
        self.value: dict[str, Any] = {}
        self._open = ""
        self._chars = 0

    @property
    def chars(self) -> int:
        """How much text is held, about."""
        return self._chars

    def add(self, piece: object) -> bool:
        """Take one of `partialArgs`. False when it cannot be placed."""
        if not isinstance(piece, dict) or not isinstance(piece.get("jsonPath"), str):
            return False
        path = piece["jsonPath"]
        steps = steps_of(path)
        if not steps:
            return False
        value = _value(piece)
        goes_on = self._open == path and isinstance(value, str)
        self._open = path if piece.get("willContinue") is True else ""
        self._chars += len(path) + (len(value) if isinstance(value, str) else 8)
        self._chars += sum(step for step in steps if isinstance(step, int))  # a far index fills what lies before it
        return _put(self.value, steps, value, joins=goes_on)

    def text(self) -> str:
        return msgspec.json.encode(self.value).decode()


def steps_of(path: str) -> list[str | int]:
    """`$.a[0]['b c']` → a, 0, b c. Empty for what is no such path."""
    if not path.startswith("$"):
        return []
    steps: list[str | int] = []
    at = 1
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None or len(steps) >= MAX_STEPS:
            return []
        name, number, _, quoted = step.groups()
        steps.append(int(number) if number is not None else name if name is not None else quoted)
        at = step.end()
    return steps if steps and isinstance(steps[0], str) else []


def _value(piece: dict[str, Any]) -> Any:
    for name in ("stringValue", "numberValue", "boolValue"):
        if name in piece:
            value = piece[name]
            is_whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**53
            return int(value) if is_whole else value
    return None


def _put(root: dict[str, Any], steps: list[str | int], value: Any, *, joins: bool) -> bool:
    place: Any = root
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        empty: Any = value if following is None else [] if isinstance(following, int) else {}
        if isinstance(step, int):
            if not isinstance(place, list) or step >= MAX_ITEMS:
                return False
            place.extend([None] * (step + 1 - len(place)))
            found = place[step]
        elif isinstance(place, dict):
            found = place.get(step)
        else:
            return False
        if following is None:
            place[step] = found + value if joins and isinstance(found, str) else value
        elif isinstance(found, dict | list):
            place = found
        else:
            place[step] = empty
            place = empty
    return True
