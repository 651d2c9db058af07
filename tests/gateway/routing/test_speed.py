"""Peaks count at once and fade; the score is the time an answer would take."""

import pytest

from gateway.routing.speed import BUSY_UNMEASURED, STALE_S, TIME_CONSTANT_S, Speed, is_stale, measured, score, with_open


def test_the_first_measurement_is_taken_as_it_is() -> None:
    assert measured(None, 120.0, 8.0, 5.0) == Speed(120.0, 8.0, 0, 5.0, 5.0)


def test_a_peak_counts_at_once_and_fades_with_the_time_constant() -> None:
    slow = measured(Speed(100.0, 5.0, 0, 0.0), 2000.0, 50.0, 1.0)
    assert (slow.ttft_ms, slow.per_token_ms) == (2000.0, 50.0)
    later = measured(slow, 100.0, 5.0, 1.0 + TIME_CONSTANT_S)
    assert later.ttft_ms == pytest.approx(100 + 1900 * 0.3679, rel=0.001)
    assert later.per_token_ms == pytest.approx(5 + 45 * 0.3679, rel=0.001)
    assert measured(slow, 100.0, 5.0, 1.0).ttft_ms == 2000.0, "answers of the same instant do not wipe it out"


def test_what_is_told_late_counts_as_if_it_had_been_told_in_time() -> None:
    in_order = measured(measured(Speed(100.0, None, 0, 10.0), 900.0, None, 11.0), 100.0, None, 12.0)
    late = measured(measured(Speed(100.0, None, 0, 10.0), 100.0, None, 12.0), 900.0, None, 11.0)
    assert late.ttft_ms == pytest.approx(in_order.ttft_ms)
    assert late.at == in_order.at == 12.0


def test_what_is_older_and_faster_never_takes_the_place_of_what_is_newer() -> None:
    assert measured(Speed(500.0, 50.0, 0, 10.0, 10.0), 20.0, 2.0, 4.0) == Speed(500.0, 50.0, 0, 10.0, 10.0)


def test_an_old_peak_counts_no_more_than_what_is_left_of_it() -> None:
    known = Speed(100.0, None, 0, 100.0)
    assert measured(known, 9000.0, None, 100.0 - 10 * TIME_CONSTANT_S).ttft_ms == pytest.approx(100, rel=0.01)


def test_the_pace_of_a_long_answer_says_nothing_of_when_the_first_token_was_measured() -> None:
    assert measured(Speed(500.0, None, 0, 10.0), None, 9.0, 60.0) == Speed(500.0, 9.0, 0, 10.0, 60.0)


def test_an_answer_too_short_to_say_leaves_the_speed_per_token() -> None:
    assert measured(Speed(100.0, 5.0, 2, 0.0), 100.0, None, 9.0).per_token_ms == 5.0


def test_a_clock_that_goes_back_forgets_nothing() -> None:
    assert measured(Speed(500.0, 5.0, 0, 100.0), 100.0, 5.0, 50.0).ttft_ms == 500.0


def test_the_score_is_the_time_of_an_answer_times_who_shares_it() -> None:
    assert score(Speed(200.0, 10.0, 0, 0.0), 50) == 700.0
    assert score(Speed(200.0, 10.0, 2, 0.0), 50) == 2100.0
    assert score(Speed(200.0, None, 0, 0.0), 50) == 200.0


def test_the_unmeasured_is_best_while_idle_and_worst_while_tried() -> None:
    assert score(None) == score(Speed()) == 0.0
    assert score(Speed(open=1)) >= BUSY_UNMEASURED > score(Speed(60_000.0, 100.0, 50, 0.0), 1000)


def test_requests_are_counted_down_to_none() -> None:
    speed = with_open(with_open(None, +1), +1)
    assert speed.open == 2
    assert with_open(with_open(with_open(speed, -1), -1), -1).open == 0


def test_only_the_measured_and_idle_grows_stale() -> None:
    assert is_stale(Speed(1.0, None, 0, 0.0), STALE_S + 1)
    assert not is_stale(Speed(1.0, None, 1, 0.0), STALE_S + 1)
    assert not is_stale(Speed(1.0, None, 0, 0.0), STALE_S - 1)
    assert not is_stale(None, 1e9)
    assert not is_stale(Speed(), 1e9)
