"""Cache marks on a request: Anthropic takes four, longer ones first, and none on thoughts."""

from typing import Any

from gateway.domain.chat import CacheTtl

MAX_MARKS = 4


class Marks:
    """Collects the marks of a request in the order of its prefix: tools, system, messages."""

    def __init__(self) -> None:
        self._marks: list[tuple[str, dict[str, Any], CacheTtl]] = []

    def add(self, place: str, block: dict[str, Any], ttl: CacheTtl) -> None:
        """`place` is `tools`, `system` or `messages`."""
        if ttl:
            self._marks.append((place, block, ttl))

    def write(self, notes: list[str]) -> None:
        """Put the marks on their blocks: those of `system` first, then the last ones of the rest.

        A mark of an hour after one of five minutes is refused, so it becomes one of five minutes too.
        """
        kept = self._marks
        if len(kept) > MAX_MARKS:
            notes.append(f"cache_control: {MAX_MARKS} of {len(kept)} marks kept")
            system = [mark for mark in kept if mark[0] == "system"][-MAX_MARKS:]
            rest = [mark for mark in kept if mark[0] != "system"]
            room = MAX_MARKS - len(system)
            chosen = {id(mark[1]) for mark in system + (rest[-room:] if room else [])}
            kept = [mark for mark in kept if id(mark[1]) in chosen]
        is_short = False
        for _, block, ttl in kept:
            if ttl == "1h" and not is_short:
                block["cache_control"] = {"type": "ephemeral", "ttl": "1h"}
                continue
            if ttl == "1h":
                notes.append("cache_control: an hour after five minutes became five minutes")
            is_short = True
            block["cache_control"] = {"type": "ephemeral"}
