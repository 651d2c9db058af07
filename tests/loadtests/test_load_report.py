"""The report of a load test: rates leave the warm-up out, refusals are no failures, every threshold that was missed is told."""

import dataclasses

import pytest

from loadtests.load_report import markdown, missed, report
from loadtests.scenario import Part, Scenario, Stage, Thresholds
from loadtests.tally import ANSWERED, FAILED, REFUSED, Tally

SCENARIO = Scenario(
    "mine", "what it is", (Part("chat"), Part("agent")), (Stage(10, 5), Stage(10, 20)), warmup_s=2, refusals=(429,)
)
BEGAN = 1_700_000_000.0


def told(**thresholds):
    """18 counted seconds of 10 answers in the first stage and 40 in the second, of which one a second is refused and one in all fails."""
    tally = Tally()
    for second in range(2, 20):
        for number in range(10 if second < 10 else 40):
            tally.note("chat" if number % 2 else "agent", "total", 0.1 + number / 1000)
            tally.note("chat" if number % 2 else "agent", "first token", 0.02)
            tally.count(ANSWERED, BEGAN + second)
        tally.note("chat", "refused 429", 0.004)
        tally.count(REFUSED, BEGAN + second)
    tally.count(FAILED, BEGAN + 15)
    tally.fail("status 500: oh")
    tally.count(ANSWERED, BEGAN + 21)  # after the end: judged, but no part of a rate
    scenario = dataclasses.replace(SCENARIO, thresholds=Thresholds(**{"failed_share": 0.01, **thresholds}))
    return report(scenario, tally, BEGAN, BEGAN + 20, {"url": "http://127.0.0.1:1"})


def test_rates_are_of_the_counted_time_alone():
    found = told()
    assert found["answered"] == 8 * 10 + 10 * 40 + 1
    assert found["goodput"] == pytest.approx(480 / 18)
    assert found["refused_a_second"] == pytest.approx(1.0)
    assert found["failed_share"] == pytest.approx(1 / (481 + 18 + 1))
    assert [(one["users"], one["answered"]) for one in found["stages"]] == [(5, 10.0), (20, 40.0)]


def test_kinds_of_users_stand_apart_and_together():
    found = told()
    assert found["all"]["total"]["count"] == 480
    apart = {(row["kind"], row["measure"]): row["count"] for row in found["times"]}
    assert apart[("chat", "total")] == apart[("agent", "total")] == 240
    assert found["all"]["refused 429"]["p99"] == pytest.approx(4.0, rel=0.016)


@pytest.mark.parametrize(
    ("threshold", "words"),
    [
        ({}, ""),
        ({"failed_share": 0.0}, "failed, at most 0.00% may"),
        ({"first_token_p99_ms": 10}, "first token p99 20 ms, at most 10"),
        ({"total_p99_ms": 100}, "total p99"),
        ({"refused_p99_ms": 1}, "refusals p99 4 ms, at most 1"),
        ({"refused_p99_ms": 5, "first_token_p99_ms": 30}, ""),
    ],
)
def test_what_was_missed_is_told(threshold, words):
    found = told(**threshold)
    assert bool(found["missed"]) == bool(words)
    assert words in " ".join(found["missed"])
    assert ("Missed" in markdown(found)) == bool(words)


def test_a_run_in_which_nothing_was_answered_has_failed():
    found = report(SCENARIO, Tally(), BEGAN, BEGAN + 20, {})
    assert found["missed"] == ["nothing was answered"]


def test_overload_is_judged_by_what_is_left_of_capacity():
    scenario = dataclasses.replace(SCENARIO, thresholds=Thresholds(goodput_share=0.7))
    found = told() | {"failed_share": 0.0, "goodput_share": 0.6}
    assert missed(scenario, found) == ["goodput 60% of that at capacity, at least 70%"]


def test_a_refusal_is_as_slow_as_it_is_from_when_it_was_asked_for_and_not_while_the_client_has_no_connection():
    scenario = dataclasses.replace(SCENARIO, thresholds=Thresholds(refused_p99_ms=100))
    found = told() | {"failed_share": 0.0}
    found["all"] = {"total": {"p99": 1.0}, "refused 503": {"p99": 900.0}, "refused 503, since sent": {"p99": 90.0}}
    assert missed(scenario, found) == []
    found["all"]["refused 503, since sent"]["p99"] = 110.0
    assert missed(scenario, found) == ["refusals p99 110 ms, at most 100"]


def test_the_page_says_what_the_product_took_where_it_was_started_for_the_run():
    took = {"cpu_s": {"worker": 12.34, "valkey": 2.0, "other": 0.01}, "cores": 0.5, "worker_rss_mb": 91.4}
    assert "0.50 cores (valkey 2.0 s, worker 12.3 s); memory of a worker at the end: 91 MB." in markdown(
        told() | {"product": took}
    )
    assert "The product took" not in markdown(told())


def test_the_page_shows_percentiles_stages_and_reasons():
    page = markdown(told())
    assert "| all | first token | 480 | 20" in page
    assert "| 2 | 20 | 10 | 40.0 | 1.0 | " in page
    assert "* 1 times: status 500: oh" in page
