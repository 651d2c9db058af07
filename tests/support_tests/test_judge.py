"""The judge of limits never accuses a product that kept them, however late things arrive, and finds one that did not."""

import random

import pytest

from tests.support.judge import Arrival, least_gap, most_in, most_open


def arrival(sent: float, arrived: float, opened: float = 0.0, closed: float = 0.0, output: int = 0) -> Arrival:
    return Arrival(f"{sent}-{arrived}", sent, arrived, opened, closed, "k", "c", output)


def seen(admitted: list[float], chance: random.Random, late_s: float) -> list[Arrival]:
    """What a judge sees of requests that were admitted then, each with delays of its own before and after."""
    return [arrival(at - chance.random() * late_s, at + chance.random() * late_s) for at in admitted]


def kept(limit: int, chance: random.Random) -> list[float]:
    """Instants of admission that use a limit a minute up, for ten minutes."""
    admitted: list[float] = []
    now = 0.0
    while now < 600:
        now += chance.expovariate(3)
        if sum(at >= now - 60 for at in admitted) < limit:
            admitted.append(now)
    return admitted


@pytest.mark.parametrize("late_s", [0.001, 0.5, 5.0, 30.0])
def test_a_minute_that_was_kept_is_never_counted_above_its_limit(late_s: float) -> None:
    chance = random.Random(late_s)
    assert most_in(60, seen(kept(60, chance), chance, late_s)) <= 60


@pytest.mark.parametrize("late_s", [0.001, 0.1])
def test_one_request_too_many_is_found_when_the_machine_was_quick(late_s: float) -> None:
    chance = random.Random(2)
    admitted = [100 + at * 0.5 for at in range(61)]
    assert most_in(60, seen(admitted, chance, late_s)) == 61
    assert most_in(60, seen([*admitted[:-1], 161.0], chance, late_s)) == 60


def test_what_was_sent_before_a_window_may_have_been_admitted_before_it() -> None:
    assert most_in(60, [arrival(0, 90), arrival(50, 95), arrival(100, 105)]) == 2
    assert most_in(60, [arrival(0, 60.1), arrival(60.2, 70)]) == 1


def test_tokens_are_weighed() -> None:
    asked = [arrival(0, 1, output=5), arrival(1, 2, output=7), arrival(70, 71, output=1)]
    assert most_in(60, asked, lambda one: one.output) == 12


@pytest.mark.parametrize("late_s", [0.001, 0.2, 3.0])
def test_a_gap_that_was_kept_is_never_called_smaller(late_s: float) -> None:
    chance = random.Random(3)
    admitted, now = [], 0.0
    for _ in range(300):
        now += 0.2 + max(0.0, chance.gauss(0, 0.2))
        admitted.append(now)
    assert least_gap(seen(admitted, chance, late_s)) >= 0.2


def test_a_gap_that_was_not_kept_is_found_when_the_machine_was_quick() -> None:
    assert least_gap([arrival(0, 0.01), arrival(0.1, 0.11), arrival(1, 1.01)]) == pytest.approx(0.11)
    assert least_gap([arrival(0, 5), arrival(4, 5), arrival(4, 5)]) == pytest.approx(1.0)


def test_only_what_surely_was_open_together_counts() -> None:
    assert most_open([arrival(0, 0, 1, 3), arrival(0, 0, 2, 4), arrival(0, 0, 3, 5), arrival(0, 0, 2.5, 2.5)]) == 2
    assert most_open([arrival(0, 0, 1, 3), arrival(0, 0, 2, 4), arrival(0, 0, 2.9, 5)]) == 3
