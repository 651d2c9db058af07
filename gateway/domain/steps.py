"""Long work in steps, so that whoever drives it can do something else in between. Pure: a step says how long it was.

A `Steps` yields the work done since it last did, in units of about a microsecond, never much above MOST of them, and
returns the result.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from heapq import merge
from typing import Any, TypeVar

T = TypeVar("T")
Steps = Generator[int, None, T]

MOST = 500
"""Units in one step."""
_RUN = 250
_PATTERN = 120
"""Units of making one pattern."""


def finished(steps: Steps[T]) -> T:
    """All steps at once."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


def each(items: Iterable[T], act: Callable[[T], object], units: int = 1) -> Steps[None]:
    """Do something with every item; `units` is what one takes."""
    done = 0
    for item in items:
        act(item)
        done += units
        if done >= MOST:
            yield done
            done = 0
    yield done


def each_pattern(items: Iterable[T], act: Callable[[T], object]) -> Steps[None]:
    """The same for what makes a pattern of every item."""
    return each(items, act, _PATTERN)


def in_order(items: Sequence[T], key: Callable[[T], Any]) -> Steps[list[T]]:
    """`sorted(items, key=key)`: short runs are sorted, then merged."""
    runs = []
    for start in range(0, len(items), _RUN):
        runs.append(sorted(items[start : start + _RUN], key=key))
        yield _RUN
    if len(runs) == 1:
        return runs[0]
    ordered: list[T] = []
    yield from each(merge(*runs, key=key), ordered.append, 2)
    return ordered
