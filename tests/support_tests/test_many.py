"""Many cases in one test fail as loudly as a test for each would."""

import pytest

from tests.support.many import check_each


def test_every_case_is_looked_at_and_each_that_fails_is_named() -> None:
    seen = []

    def check(case: int) -> None:
        seen.append(case)
        assert case % 2

    with pytest.raises(ExceptionGroup, match="2 of 4 cases") as caught:
        check_each([1, 2, 3, 4], check)
    assert seen == [1, 2, 3, 4]
    assert [error.__notes__ for error in caught.value.exceptions] == [["in the case 2"], ["in the case 4"]]


def test_no_case_at_all_is_a_failure() -> None:
    with pytest.raises(AssertionError, match="no case"):
        check_each([], str)
