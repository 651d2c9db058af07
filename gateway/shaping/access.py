"""The shape of a dialect's access: where texts, prompts, thinking and parameters stand in a decoded body.

Bodies are plain objects, as strangers wrote them: nothing is taken for granted but that the body itself is a JSON object.
An access changes only what it is asked to; fields that it does not know stay.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple, Protocol

Json = dict[str, Any]
Whose = Literal["system", "user", "assistant", "tool", "arguments", "reasoning"]
MAX_DEPTH = 50
"""Of arguments, in which texts are looked for."""


class Spot(NamedTuple):
    """A text: `holder[key]` is a string, and may be written."""

    whose: Whose
    holder: Any
    key: Any

    @property
    def text(self) -> str:
        text: str = self.holder[self.key]
        return text

    def write(self, text: str) -> None:
        self.holder[self.key] = text


class Measures(NamedTuple):
    """How big a task is: messages, tools, characters of the last text of the user."""

    messages: int
    tools: int
    last_user_chars: int


class Access(Protocol):
    """One dialect's requests and whole answers."""

    @property
    def parameters(self) -> Mapping[str, tuple[str, ...]]:
        """Hub word → the fields that say it, the one to write first; a dialect without the word has no entry."""

    def spots(self, body: Json) -> Iterator[Spot]:
        """All texts of a request, in order."""

    def answer_spots(self, answer: Json) -> Iterator[Spot]:
        """All texts of a whole answer."""

    def prepend_system(self, body: Json, prompt: str) -> None: ...

    def measures(self, body: Json) -> Measures: ...

    def parameter_holder(self, body: Json) -> Json | None:
        """Where parameters stand; made if it is missing. None when something else stands there."""

    def has_thinking(self, body: Json) -> bool: ...

    def drop_thinking(self, body: Json) -> None: ...

    def set_thinking(self, body: Json, budget: int, most_output: int) -> None:
        """`budget` tokens; 0 = none at all. `most_output` is what the model writes at most, 0 = not known."""


def effort_for(budget: int) -> str:
    """The word of dialects that count in words."""
    if not budget:
        return "none"
    return "low" if budget <= 1024 else "medium" if budget <= 10_240 else "high"


def objects(value: object) -> Iterator[Json]:
    """The objects of a list; nothing of anything else."""
    if isinstance(value, list):
        for one in value:
            if isinstance(one, dict):
                yield one


def length(value: object) -> int:
    return len(value) if isinstance(value, list) else 0


def text_at(whose: Whose, holder: Json, *keys: str) -> Iterator[Spot]:
    for key in keys:
        if isinstance(holder.get(key), str) and holder[key]:
            yield Spot(whose, holder, key)


def content_at(whose: Whose, holder: Json, key: str) -> Iterator[Spot]:
    """A string, or a list of parts with `text` (nested `content` too)."""
    yield from text_at(whose, holder, key)
    for part in objects(holder.get(key)):
        yield from text_at(whose, part, "text", "refusal")


def strings_in(holder: Any, key: Any, depth: int = 0) -> Iterator[Spot]:
    """All strings of an object, as arguments are."""
    value = holder[key]
    if isinstance(value, str) and value:
        yield Spot("arguments", holder, key)
    elif depth < MAX_DEPTH and isinstance(value, dict):
        for name in value:
            yield from strings_in(value, name, depth + 1)
    elif depth < MAX_DEPTH and isinstance(value, list):
        for index in range(len(value)):
            yield from strings_in(value, index, depth + 1)


def last_user_chars(spots: Iterator[Spot]) -> int:
    chars = 0
    for spot in spots:
        if spot.whose == "user":
            chars = len(spot.text)
    return chars
