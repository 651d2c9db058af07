"""What users saw, counted so that counts of many processes can be added up: histograms of times, answers by second. Pure.

Of the standard library alone (see scenario.py). locust's own percentiles are rounded to two digits; these are within 1.6 %.
"""

import math
from dataclasses import dataclass, field
from typing import Any

_SUB = 64
"""Buckets between a power of two and the next: each is at most 1/64 of its values wide."""
ANSWERED, REFUSED, FAILED = "answered", "refused", "failed"


@dataclass(slots=True)
class Times:
    """A histogram of durations, in whole microseconds, with its largest value and their sum."""

    buckets: dict[int, int] = field(default_factory=dict)
    count: int = 0
    most_us: int = 0
    sum_us: int = 0

    def note(self, seconds: float) -> None:
        us = max(0, int(seconds * 1e6))
        place = _bucket(us)
        self.buckets[place] = self.buckets.get(place, 0) + 1
        self.count += 1
        self.sum_us += us
        self.most_us = max(self.most_us, us)

    def percentile_ms(self, percent: float) -> float:
        """The least duration that so many percent of all do not pass (nearest rank); 0 where there is none."""
        if not self.count:
            return 0.0
        rank, seen = max(1, math.ceil(self.count * percent / 100)), 0
        for place in sorted(self.buckets):
            seen += self.buckets[place]
            if seen >= rank:
                return min(_middle_us(place), self.most_us) / 1000
        raise AssertionError("a histogram counts as many as are in its buckets")

    def add(self, other: "Times") -> None:
        for place, count in other.buckets.items():
            self.buckets[place] = self.buckets.get(place, 0) + count
        self.count += other.count
        self.sum_us += other.sum_us
        self.most_us = max(self.most_us, other.most_us)

    def encode(self) -> dict[str, Any]:
        return {"b": {str(place): count for place, count in self.buckets.items()}, "m": self.most_us, "s": self.sum_us}

    @classmethod
    def decode(cls, data: dict[str, Any]) -> "Times":
        buckets = {int(place): int(count) for place, count in data["b"].items()}
        return cls(buckets, sum(buckets.values()), int(data["m"]), int(data["s"]))


@dataclass(slots=True)
class Tally:
    """Of one process, or of all. `times` is bounded by kinds of users times what is measured, `reasons` by MOST_REASONS."""

    MOST_REASONS = 50

    times: dict[str, Times] = field(default_factory=dict)
    """`kind|measure` → durations; measures are `first token`, `total`, `longest gap`, `refused STATUS`, `failed`."""
    seconds: dict[str, dict[int, int]] = field(default_factory=dict)
    """ANSWERED, REFUSED, FAILED, and the `events` of streams: by unix second of their end."""
    reasons: dict[str, int] = field(default_factory=dict)
    """What failed, by its words."""
    without_retry_after: int = 0
    """Refusals with 429 or 503 that do not say when to come again."""

    def note(self, kind: str, measure: str, seconds: float) -> None:
        self.times.setdefault(f"{kind}|{measure}", Times()).note(seconds)

    def count(self, how: str, at: float, number: int = 1) -> None:
        by_second = self.seconds.setdefault(how, {})
        by_second[int(at)] = by_second.get(int(at), 0) + number

    def fail(self, reason: str) -> None:
        known = reason if reason in self.reasons or len(self.reasons) < self.MOST_REASONS else "other"
        self.reasons[known] = self.reasons.get(known, 0) + 1

    def total(self, how: str) -> int:
        return sum(self.seconds.get(how, {}).values())

    def add(self, other: "Tally") -> None:
        for name, times in other.times.items():
            self.times.setdefault(name, Times()).add(times)
        for how, by_second in other.seconds.items():
            for second, number in by_second.items():
                self.count(how, second, number)
        for reason, number in other.reasons.items():
            self.reasons[reason] = self.reasons.get(reason, 0) + number
        self.without_retry_after += other.without_retry_after

    def encode(self) -> dict[str, Any]:
        return {
            "times": {name: times.encode() for name, times in self.times.items()},
            "seconds": {how: {str(at): number for at, number in one.items()} for how, one in self.seconds.items()},
            "reasons": self.reasons,
            "without_retry_after": self.without_retry_after,
        }

    @classmethod
    def decode(cls, data: dict[str, Any]) -> "Tally":
        return cls(
            {name: Times.decode(one) for name, one in data["times"].items()},
            {how: {int(at): int(number) for at, number in one.items()} for how, one in data["seconds"].items()},
            {reason: int(number) for reason, number in data["reasons"].items()},
            int(data["without_retry_after"]),
        )


def _bucket(us: int) -> int:
    if us < _SUB:
        return us
    power = us.bit_length() - 7
    return (power + 1) * _SUB + (us >> power) - _SUB


def _middle_us(place: int) -> float:
    if place < _SUB:
        return float(place)
    power = place // _SUB - 1
    low = (place % _SUB + _SUB) << power
    return low + ((1 << power) - 1) / 2
