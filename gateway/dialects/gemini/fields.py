"""Reading a Gemini request: protobuf's JSON takes camelCase and snake_case names, and one thing where a list is due.

`Place` is an object of the request with its path, so that every complaint names the field as the caller spelled it.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from gateway.dialects.fields import wrong_type


class Place:
    """One JSON object of a request. Names are asked for in camelCase; either spelling is found, null means absent."""

    __slots__ = ("at", "value")

    def __init__(self, value: dict[str, Any], at: str) -> None:
        self.value = value
        self.at = at

    def get(self, name: str) -> Any:
        found = self.value.get(name)
        return found if found is not None else self.value.get(snake(name))

    def path(self, name: str) -> str:
        spelled = name if name in self.value or snake(name) not in self.value else snake(name)
        return f"{self.at}.{spelled}" if self.at else spelled

    def text(self, name: str) -> str:
        found = self.get(name)
        if found is not None and not isinstance(found, str):
            raise wrong_type(self.path(name), "a string")
        return found or ""

    def number(self, name: str) -> float | None:
        found = self.get(name)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise wrong_type(self.path(name), "a number")
        return float(found)

    def whole(self, name: str) -> int | None:
        """An integer; `40.0` and `"40"` are integers in protobuf's JSON."""
        found = self.get(name)
        if isinstance(found, str) and found.removeprefix("-").isascii() and found.removeprefix("-").isdigit():
            return int(found[:20])
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int | float) or found != found // 1:
            raise wrong_type(self.path(name), "an integer")
        return int(found)

    def flag(self, name: str) -> bool | None:
        found = self.get(name)
        if found is not None and not isinstance(found, bool):
            raise wrong_type(self.path(name), "true or false")
        return found

    def object(self, name: str) -> "Place | None":
        found = self.get(name)
        if found is None:
            return None
        if not isinstance(found, dict):
            raise wrong_type(self.path(name), "an object")
        return Place(found, self.path(name))

    def objects(self, name: str) -> Iterator["Place"]:
        """The objects of a list, or the one that stands in its place."""
        for number, found in enumerate(self.listed(name)):
            at = f"{self.path(name)}[{number}]"
            if not isinstance(found, dict):
                raise wrong_type(at, "an object")
            yield Place(found, at)

    def texts(self, name: str) -> tuple[str, ...]:
        found = self.listed(name)
        for number, text in enumerate(found):
            if not isinstance(text, str):
                raise wrong_type(f"{self.path(name)}[{number}]", "a string")
        return tuple(found)

    def listed(self, name: str) -> list[Any]:
        found = self.get(name)
        if found is None:
            return []
        return found if isinstance(found, list) else [found]

    def names(self) -> Iterator[str]:
        """The names that are present with a value, in camelCase."""
        for name, value in self.value.items():
            if value is not None:
                yield camel(name)


@lru_cache(512)
def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


@lru_cache(512)
def camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in others)
