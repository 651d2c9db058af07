"""One table says what an effort is worth in tokens."""

import pytest

from gateway.dialects.reasoning import BUDGETS, budget_of, effort_of
from gateway.domain.chat import Effort


@pytest.mark.parametrize("effort", BUDGETS)
def test_a_step_comes_back_as_itself(effort: Effort) -> None:
    assert effort_of(budget_of(effort)) == effort


@pytest.mark.parametrize(
    ("budget", "effort"),
    [(-1, "medium"), (0, "none"), (1, "minimal"), (1023, "minimal"), (2047, "minimal"), (8191, "low"), (16_000, "medium"),
     (32_000, "high"), (65_535, "xhigh"), (10**9, "max")],
)  # fmt: skip
def test_a_budget_is_the_nearest_lower_step_but_a_little_is_not_none(budget: int, effort: Effort) -> None:
    assert effort_of(budget) == effort
