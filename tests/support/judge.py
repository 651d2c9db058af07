"""What arrived at the fake provider, and whether limits were kept: counted there, not in the product.

A request says who asked in its `user` field, {"key": "...", "chunks": n}; which connection carried it is told by the
provider's key that it came with. It must not import the product.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tests.support.fake_behaviours import CHUNKS, PROMPT_TOKENS
from tests.support.fake_http import RequestRecord


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request at the provider. Times are monotonic seconds; `end` is None while it runs."""

    at: float
    end: float | None
    key: str
    connection: str
    output: int

    @property
    def tokens(self) -> int:
        return PROMPT_TOKENS + self.output


def arrivals(records: Iterable[RequestRecord]) -> list[Arrival]:
    """In order of arrival."""
    found = []
    for record in records:
        asked = record.json()
        said = _said(asked)
        ends = [end for end in (record.finished_at, record.closed_at) if end is not None]
        found.append(
            Arrival(
                at=record.received_at,
                end=min(ends, default=None),
                key=str(said.get("key", "")),
                connection=(record.header("authorization") or "").removeprefix("Bearer "),
                output=int(str(said.get("chunks", CHUNKS))),
            )
        )
    return sorted(found, key=lambda one: one.at)


def most_in(window_s: float, asked: Sequence[Arrival], weigh: Callable[[Arrival], int] = lambda _: 1) -> int:
    """The most that arrived in any rolling window of that length."""
    most = total = first = 0
    for arrival in asked:
        total += weigh(arrival)
        while asked[first].at < arrival.at - window_s:
            total -= weigh(asked[first])
            first += 1
        most = max(most, total)
    return most


def most_open(asked: Iterable[Arrival]) -> int:
    """The most that ran at the same time."""
    changes = [change for one in asked for change in ((one.at, 1), (one.end or float("inf"), -1))]
    most = running = 0
    for _, change in sorted(changes):
        running += change
        most = max(most, running)
    return most


def _said(asked: dict[str, object]) -> dict[str, object]:
    user = asked.get("user")
    said: dict[str, object] = json.loads(user) if isinstance(user, str) and user.startswith("{") else {}
    return said
