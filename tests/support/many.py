"""Many cases in one test: to be collected by every process, run and told of costs a test 2 ms, mostly more than a case takes."""

from collections.abc import Callable, Iterable
from typing import TypeVar

Case = TypeVar("Case")


def check_each(cases: Iterable[Case], check: Callable[[Case], object], name_of: Callable[[Case], str] = str) -> None:
    """Look at all of them. Raises one group of what failed, each error with the name of its case."""
    wrong: list[Exception] = []
    every = list(cases)
    assert every, "there is no case"
    for case in every:
        try:
            check(case)
        except Exception as error:
            error.add_note(f"in the case {name_of(case)}")
            wrong.append(error)
    if wrong:
        raise ExceptionGroup(f"{len(wrong)} of {len(every)} cases", wrong[:20])
