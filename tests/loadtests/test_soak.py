"""What a soak judges: growth against its bound and its noise, and the ledger against what was sent."""

import random
from typing import Any

import pytest

from loadtests.soak_verdict import Trend, books_of, come_and_gone, faults_of, pile_of, trend_of, trends_of

ANSWERED = {"answered": 100}
STEADY = (1, 1)


def memory(kb_a_minute: float, *, minutes: float = 12, noise_kb: float = 0) -> Trend:
    chance = random.Random(1)
    points = [
        (float(second), 80_000 + kb_a_minute * second / 60 + chance.uniform(-noise_kb, noise_kb))
        for second in range(int(minutes * 60))
    ]
    return trend_of("worker 1 memory", "kB", points, 256, 2048)


def samples(descriptors: list[int], gone_at: int = -1) -> list[dict[str, Any]]:
    found = [
        {"since_s": float(at), "processes": {"admin": {"rss_kb": 90_000, "descriptors": count}}}
        for at, count in enumerate(descriptors)
    ]
    for at, sample in enumerate(found):
        if at != gone_at:
            sample["processes"]["worker 1"] = {"rss_kb": 80_000, "descriptors": 50}  # type: ignore[index]
    return found


def test_a_slope_is_that_of_the_line_nearest_to_all_points() -> None:
    assert memory(600).slope == pytest.approx(600)
    assert memory(600, noise_kb=2_000).slope == pytest.approx(600, rel=0.1)
    assert memory(-50).slope == pytest.approx(-50)


def test_what_leaks_grows_and_what_trembles_does_not() -> None:
    assert memory(600, noise_kb=2_000).grows
    assert not memory(0, noise_kb=3_000).grows
    assert not memory(200).grows, "below its bound"
    assert not memory(-600).grows


def test_in_a_short_run_a_page_more_is_no_growth() -> None:
    assert not memory(1_000, minutes=1).grows
    assert memory(4_000, minutes=1).grows


def test_descriptors_that_pile_up_are_seen_behind_the_warm_up() -> None:
    piling = trends_of(samples([20 + at // 20 for at in range(600)]), 60, 599)
    assert [one.name for one in piling if one.grows] == ["admin descriptors"]
    settled = trends_of(samples([20 + min(at, 50) for at in range(600)]), 60, 599)
    assert not [one for one in settled if one.grows]


def test_a_process_that_was_away_for_a_moment_is_told() -> None:
    assert come_and_gone(samples([20] * 10, gone_at=5)) == ["worker 1"]
    assert come_and_gone(samples([20] * 10)) == []


def test_a_pile_of_requests_is_told_and_a_steady_load_has_none() -> None:
    def under_way(*numbers: int) -> list[dict[str, Any]]:
        return [{"since_s": float(at), "open": number} for at, number in enumerate(numbers)]

    assert pile_of(under_way(500, 90, 100, 110, 700, 480, 90, 100, 95), 1, 8).startswith(
        "700 requests were under way at once, 100 "
    )
    assert pile_of(under_way(500, 90, 100, 110, 95, 120), 1, 5) == "", "what piles up in the warm-up is not judged"
    assert pile_of([], 1, 5) == ""


def test_books_balance_only_if_every_request_has_one_row() -> None:
    assert books_of(3, [], [(1, "final"), (2, "estimated"), (3, "final")]).balance
    assert not books_of(3, [], [(1, "final"), (3, "final")]).balance
    assert books_of(3, [2], [(1, "final"), (3, "final")]).balance, "nobody can know whether number 2 was heard"
    assert not books_of(2, [2], [(1, "final"), (2, "final"), (2, "final")]).balance, "but twice is wrong for it too"
    assert not books_of(1, [], [(1, "lost")]).balance, "no worker died"
    assert not books_of(1, [], [(1, "final"), (7, "final")]).balance


def test_a_soak_that_held_has_no_fault_and_each_way_to_fail_has_one() -> None:
    flat, good = [memory(0)], books_of(1, [], [(1, "final")])
    assert faults_of(flat, good, ANSWERED, [], STEADY) == []
    assert len(faults_of([memory(600)], good, ANSWERED, [], STEADY)) == 1
    assert len(faults_of([], good, ANSWERED, [], STEADY)) == 1
    assert len(faults_of(flat, books_of(1, [], []), ANSWERED, [], STEADY)) == 1
    assert len(faults_of(flat, good, {"failed": 1}, [], STEADY)) == 1
    assert len(faults_of(flat, good, {"refused": 1}, [], STEADY)) == 1
    assert len(faults_of(flat, good, {"left out": 1}, [], STEADY)) == 1
    assert len(faults_of(flat, good, ANSWERED, ["worker 1"], STEADY)) == 1
    assert len(faults_of(flat, good, ANSWERED, [], (2, 1))) == 1
