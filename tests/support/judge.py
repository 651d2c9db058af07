"""What arrived at the fake provider, and whether limits were kept: judged from outside, without any slack.

A caller notes when it sends a request, the provider when it arrives; admission lies between. So the requests that were
sent after an instant and had arrived by a later one were all admitted between the two, however slow the machine is; what is
counted here is never more than what the product admitted, and a limit that it passes was passed. A request says who it is in
its `user` field, {"id": "...", "key": "...", "chunks": n}; which connection carried it is told by the provider's key that
it came with. It must not import the product.
"""

import json
from bisect import insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.support.fake_behaviours import CHUNKS, PROMPT_TOKENS
from tests.support.fake_http import RequestRecord


@dataclass(slots=True)
class Sent:
    """What the caller knows of a request: unix seconds when it was sent, monotonic ones when its answer had ended."""

    at: float
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request at the provider. It was admitted between `sent` and `arrived` (unix seconds).

    It surely was open from `opened` to `closed` (monotonic seconds): until the last that tells of its end was sent, or it broke.
    """

    id: str
    sent: float
    arrived: float
    opened: float
    closed: float
    key: str
    connection: str
    output: int

    @property
    def tokens(self) -> int:
        return PROMPT_TOKENS + self.output


def arrivals(records: Iterable[RequestRecord], sent: Mapping[str, Sent]) -> list[Arrival]:
    """In order of arrival. Every request must be one that was sent."""
    found = []
    for record in records:
        said = _said(record.json())
        asked = sent[str(said["id"])]
        told_at = record.last_chunk_at or record.finished_at
        ends = [end for end in (told_at, record.closed_at, asked.ended) if end is not None]
        found.append(
            Arrival(
                id=str(said["id"]),
                sent=asked.at,
                arrived=record.arrived_at,
                opened=record.received_at,
                closed=min(ends, default=record.received_at),
                key=str(said.get("key", "")),
                connection=(record.header("authorization") or "").removeprefix("Bearer "),
                output=int(str(said.get("chunks", CHUNKS))),
            )
        )
    return sorted(found, key=lambda one: one.arrived)


def most_in(window_s: float, asked: Sequence[Arrival], weigh: Callable[[Arrival], int] = lambda _: 1) -> int:
    """The most that surely was admitted in any rolling window of that length: a sum of weights."""
    by_arrival = sorted(asked, key=lambda one: one.arrived)
    most = first = 0
    for start in sorted(one.sent for one in asked):
        while by_arrival[first].arrived < start:
            first += 1
        total = 0
        for one in by_arrival[first:]:
            if one.arrived > start + window_s:
                break
            if one.sent >= start:
                total += weigh(one)
        most = max(most, total)
    return most


def least_gap(asked: Sequence[Arrival], within_s: float = 60.0) -> float:
    """What lay between two admissions surely was no more than this, s: of any that had to happen in a span, span ÷ gaps."""
    least = float("inf")
    later: list[float] = []
    for one in sorted(asked, key=lambda one: one.sent, reverse=True):
        insort(later, one.arrived)
        for gaps, arrived in enumerate(later):
            if arrived > one.sent + within_s:
                break
            if gaps:
                least = min(least, (arrived - one.sent) / gaps)
    return least


def most_open(asked: Iterable[Arrival]) -> int:
    """The most that surely were open at the same time."""
    changes = [change for one in asked if one.closed > one.opened for change in ((one.opened, 1), (one.closed, -1))]
    most = running = 0
    for _, change in sorted(changes):
        running += change
        most = max(most, running)
    return most


def _said(asked: dict[str, object]) -> dict[str, object]:
    said: dict[str, object] = json.loads(str(asked["user"]))
    return said
