"""An overloaded worker refuses at once, the lowest class of keys first."""

import time

import pytest

from gateway.admission.load import Load, decide
from gateway.domain.errors import Unavailable


@pytest.mark.parametrize(
    ("priority", "first_refused"), [("batch", 80), ("agent", 90), ("interactive", 100), ("unheard of", 100)]
)
def test_each_class_fills_its_part_of_the_bound(priority: str, first_refused: int) -> None:
    refused = [decide(priority, n, 0.0, bound_open=100, bound_lag_s=0.5) is not None for n in range(120)]
    assert refused == [n >= first_refused for n in range(120)]


@pytest.mark.parametrize(("priority", "bound_s"), [("batch", 0.4), ("agent", 0.45), ("interactive", 0.5)])
def test_a_late_loop_counts_in_the_same_order(priority: str, bound_s: float) -> None:
    assert decide(priority, 0, bound_s - 0.01, bound_open=100, bound_lag_s=0.5) is None
    assert decide(priority, 0, bound_s + 0.01, bound_open=100, bound_lag_s=0.5) is not None


def test_bounds_of_none_refuse_nobody() -> None:
    assert decide("batch", 1_000_000, 99.0, bound_open=0, bound_lag_s=0) is None


def test_a_refusal_says_when_to_come_again_and_is_counted() -> None:
    load = Load(10, 0.5)
    load.admit("interactive", 9)
    for _ in range(3):
        with pytest.raises(Unavailable) as error:
            load.admit("batch", 9)
    assert (error.value.status, error.value.code, error.value.retry_after_s) == (503, "overloaded", 5.0)
    assert load.shed == {("batch", "open_requests"): 3}


def test_one_pause_of_the_loop_is_no_overload_and_two_are() -> None:
    load = Load(10, 0.5)
    load.note_lag(2.0)
    load.admit("interactive", 0)
    load.note_lag(2.0)
    with pytest.raises(Unavailable):
        load.admit("interactive", 0)
    load.note_lag(0.0)
    load.admit("batch", 0)


def test_counters_stay_few_whatever_classes_are_called() -> None:
    load = Load(1, 0.5)
    for number in range(1000):
        with pytest.raises(Unavailable):
            load.admit(f"class {number}", 1)
    assert load.shed == {("other", "open_requests"): 1000}


def test_a_refusal_takes_far_less_than_10_ms() -> None:
    load = Load(1, 0.5)
    started_at = time.perf_counter()
    for _ in range(1000):
        with pytest.raises(Unavailable):
            load.admit("batch", 1)
    assert (time.perf_counter() - started_at) / 1000 < 0.01
