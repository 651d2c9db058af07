"""What a soak's samples mean: slopes by least squares, the ledger against what was sent, and what of it is a failure. Pure.

A thing grows when its slope is above its bound *and* the slope makes more, over the time that was watched, than its noise and
than twice its spread around the line: in a short run one page more is a steep slope, and descriptors come and go with the
load. A worker that leaks 100 bytes a request at 100 requests/s gains 600 kB a minute.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

RSS_BOUND_KB_MIN = 256.0
RSS_NOISE_KB = 2048.0
DESCRIPTORS_BOUND_MIN = 0.5
DESCRIPTORS_NOISE = 8.0
PILED_UP = 3.0
"""So many times the usual number of requests under way are a pile."""
MOST_SPOILT = 0.03
"""Share of requests whose caller may see a fault: of 5 % at the provider one in four comes after the first bytes."""


@dataclass(frozen=True, slots=True)
class Trend:
    """How one figure of one process moved. `slope` is per minute, `spread` the standard deviation around it."""

    name: str
    unit: str
    first: float
    last: float
    slope: float
    spread: float
    minutes: float
    bound: float
    noise: float

    @property
    def grows(self) -> bool:
        return self.slope > self.bound and self.slope * self.minutes > max(self.noise, 2 * self.spread)

    def __str__(self) -> str:
        says = "GROWS" if self.grows else "flat"
        return (
            f"{self.name:<28} {self.first:>10.0f} → {self.last:>10.0f} {self.unit:<3} {self.slope:>+9.2f}/min"
            f" ± {self.spread:>7.1f}  (bound {self.bound:g}/min, {self.noise:g} in all)  {says}"
        )


@dataclass(frozen=True, slots=True)
class Books:
    """The ledger against the callers: numbers of requests of which no row, or more than one, was found."""

    sent: int
    rows: int
    unsure: int
    missing: tuple[int, ...]
    doubled: tuple[int, ...]
    strange: int
    """Rows of requests that nobody sent."""
    lost: tuple[int, ...]

    @property
    def balance(self) -> bool:
        return not self.missing and not self.doubled and not self.strange and not self.lost


def trend_of(name: str, unit: str, points: Sequence[tuple[float, float]], bound: float, noise: float) -> Trend:
    """`points` are (seconds, value); at least two with different times."""
    count = len(points)
    mean_t = sum(t for t, _ in points) / count
    mean_v = sum(v for _, v in points) / count
    square = sum((t - mean_t) ** 2 for t, _ in points)
    slope = sum((t - mean_t) * (v - mean_v) for t, v in points) / square if square else 0.0
    rest = sum((v - mean_v - slope * (t - mean_t)) ** 2 for t, v in points) / count
    minutes = (points[-1][0] - points[0][0]) / 60
    return Trend(name, unit, points[0][1], points[-1][1], slope * 60, rest**0.5, minutes, bound, noise)


def trends_of(samples: Sequence[Mapping[str, Any]], from_s: float, to_s: float) -> list[Trend]:
    """Of every process that lived through the whole time between two instants, s since the load began: memory and descriptors."""
    watched = [sample for sample in samples if from_s <= sample["since_s"] <= to_s]
    if len(watched) < 2:
        return []
    steady = set.intersection(*(set(sample["processes"]) for sample in watched))
    found = []
    for name in sorted(steady):
        rss = [(sample["since_s"], float(sample["processes"][name]["rss_kb"])) for sample in watched]
        files = [(sample["since_s"], float(sample["processes"][name]["descriptors"])) for sample in watched]
        found.append(trend_of(f"{name} memory", "kB", rss, RSS_BOUND_KB_MIN, RSS_NOISE_KB))
        found.append(trend_of(f"{name} descriptors", "", files, DESCRIPTORS_BOUND_MIN, DESCRIPTORS_NOISE))
    return found


def come_and_gone(samples: Sequence[Mapping[str, Any]]) -> list[str]:
    """Processes that were not there all the time: one died, or one more was started."""
    always = set.intersection(*(set(sample["processes"]) for sample in samples))
    return sorted({name for sample in samples for name in sample["processes"]} - always)


def pile_of(samples: Sequence[Mapping[str, Any]], from_s: float, to_s: float) -> str:
    """What explains growth that is no leak, in words: far more requests under way for a while than usually; else nothing."""
    under_way = [sample["open"] for sample in samples if from_s <= sample["since_s"] <= to_s]
    if not under_way or max(under_way) < PILED_UP * max(1.0, median(under_way)):
        return ""
    return (
        f"{max(under_way)} requests were under way at once, {median(under_way):.0f} as a rule: the machine was busy with something else, or"
        " more came than it can answer. What was opened for so many stays for a while and looks like growth: longer (S=…), or with less"
        " (ARGS='--share 0.3'), tells"
    )


def books_of(sent: int, unsure: Iterable[int], rows: Iterable[tuple[int, str]]) -> Books:
    """`rows` are (number of the request, state). Of an unsure request there may be a row, of every other one there is."""
    may_miss = set(unsure)
    states = list(rows)
    found = Counter(number for number, _ in states)
    missing = tuple(number for number in range(1, sent + 1) if number not in found and number not in may_miss)
    doubled = tuple(number for number, times in found.items() if times > 1)
    strange = sum(1 for number in found if not 1 <= number <= sent)
    lost = tuple(number for number, state in states if state == "lost")
    return Books(sent, len(states), len(may_miss), missing, doubled, strange, lost)


def faults_of(
    trends: Sequence[Trend], books: Books, counts: Mapping[str, int], gone: Sequence[str], reloads: tuple[int, int]
) -> list[str]:
    """Every reason why this soak failed, in words; none if it held. `reloads` are those asked for and those taken up."""
    faults = [f"{one.name} grows by {one.slope:.1f} {one.unit} a minute" for one in trends if one.grows]
    if not trends:
        faults.append("too short to be judged: nothing was sampled after the warm-up")
    if gone:
        faults.append(f"processes came or went: {', '.join(gone)}")
    if not books.balance:
        faults.append(
            f"the books do not balance: {books.sent} sent, {books.rows} rows, {len(books.missing)} without a row"
            f" {list(books.missing[:5])}, {len(books.doubled)} with more than one {list(books.doubled[:5])},"
            f" {books.strange} of nobody's, {len(books.lost)} noted as lost {list(books.lost[:5])}"
        )
    if counts.get("failed"):
        faults.append(f"{counts['failed']} requests got no answer that HTTP knows")
    spoilt = counts.get("broken", 0) + counts.get("refused", 0)
    if spoilt > MOST_SPOILT * max(1, books.sent):
        faults.append(f"{spoilt} of {books.sent} answers were spoilt, more than {MOST_SPOILT:.0%}")
    if counts.get("left out"):
        faults.append(f"{counts['left out']} requests were not sent: too many were open")
    if reloads[1] < reloads[0]:
        faults.append(f"of {reloads[0]} reloads {reloads[1]} were taken up")
    return faults
