"""Tells reasoning from content by `<think>` tags in a text that comes in pieces."""

_OPEN = "<think>"
_CLOSE = "</think>"


class ThinkTags:
    """`feed` gives (content, reasoning) of a piece; what may be the beginning of a tag waits for the next one."""

    __slots__ = ("_rest", "is_inside")

    def __init__(self) -> None:
        self.is_inside = False
        self._rest = ""

    @property
    def is_idle(self) -> bool:
        """Nothing is held and nothing is open: a text without `<` would come out as it goes in."""
        return not self.is_inside and not self._rest

    def feed(self, text: str) -> tuple[str, str]:
        found: tuple[list[str], list[str]] = ([], [])
        text, self._rest = self._rest + text, ""
        while text:
            tag = _CLOSE if self.is_inside else _OPEN
            before, mark, after = text.partition(tag)
            if not mark:
                held = _held(text, tag)
                before, self._rest = text[: len(text) - held], text[len(text) - held :]
            found[self.is_inside].append(before)
            if mark:
                self.is_inside = not self.is_inside
            text = after
        return "".join(found[0]), "".join(found[1])

    def end(self) -> tuple[str, str]:
        """What waited was no tag."""
        rest, self._rest = self._rest, ""
        return ("", rest) if self.is_inside else (rest, "")


def _held(text: str, tag: str) -> int:
    """How many characters at the end may begin the tag."""
    for count in range(min(len(tag) - 1, len(text)), 0, -1):
        if text.endswith(tag[:count]):
            return count
    return 0
