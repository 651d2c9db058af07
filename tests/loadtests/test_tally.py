"""Counts of many processes add up to those of one, and percentiles are those of the durations themselves."""

import json
import math
import random

import pytest

from loadtests.tally import ANSWERED, FAILED, Tally, Times


def exact_ms(seconds, percent):
    """Nearest rank."""
    ordered = sorted(seconds)
    return ordered[max(1, math.ceil(len(ordered) * percent / 100)) - 1] * 1000


@pytest.mark.parametrize("count", [1, 2, 100, 5000])
def test_percentiles_are_within_their_error_of_the_exact_ones(count):
    chance = random.Random(count)
    seconds = [chance.lognormvariate(-3, 1.5) for _ in range(count)]
    times = Times()
    for one in seconds:
        times.note(one)
    for percent in (1, 50, 90, 95, 99, 99.9, 100):
        assert times.percentile_ms(percent) == pytest.approx(exact_ms(seconds, percent), rel=0.016, abs=0.002)
    assert times.most_us == int(max(seconds) * 1e6)


def test_a_percentile_is_never_above_the_longest():
    times = Times()
    times.note(1.0)
    assert times.percentile_ms(99) <= 1000.0


def test_nothing_counted_has_no_percentile():
    assert Times().percentile_ms(50) == 0.0


def test_processes_add_up_to_one_even_after_a_trip_as_json():
    chance = random.Random(1)
    whole, parts = Tally(), [Tally() for _ in range(4)]
    for number in range(1000):
        took, at = chance.expovariate(10), 1_700_000_000 + number / 50
        for tally in (whole, parts[number % 4]):
            tally.note("chat", "total", took)
            tally.count(ANSWERED if number % 10 else FAILED, at)
            if number % 10 == 0:
                tally.fail(f"reason {number % 3}")
            tally.without_retry_after += number % 2
    total = Tally()
    for part in parts:
        total.add(Tally.decode(json.loads(json.dumps(part.encode()))))
    assert total == whole


def test_reasons_stay_few_whatever_is_told():
    tally = Tally()
    for number in range(1000):
        tally.fail(f"request {number} broke")
    assert len(tally.reasons) == Tally.MOST_REASONS + 1
    assert sum(tally.reasons.values()) == 1000
