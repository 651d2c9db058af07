"""From measurements to what may be said: medians, ratios to a floor, and when two revisions may be told apart."""

import pytest

from loadtests.summary import Ratio, ratio_to, ratios, summarise


def entry(subject="product", load="2KB-64", **figures):
    return {"subject": subject, "workload": load, "round": 0, "bad": 0, "all_us": 100.0, "worker_us": 80.0, **figures}


def test_the_median_of_the_rounds_is_kept_with_its_ends():
    cell = summarise([entry(all_us=value) for value in (100.0, 300.0, 110.0)])["product"]["2KB-64"]
    assert (cell["all_us"], cell["all_us_low"], cell["all_us_high"], cell["rounds"]) == (110.0, 100.0, 300.0, 3)


def test_failed_answers_of_any_round_are_not_hidden_by_a_median():
    cell = summarise([entry(), entry(bad=7), entry()])["product"]["2KB-64"]
    assert cell["bad"] == 7


def test_the_time_the_loop_was_held_is_the_least_disturbed_round():
    rounds = [entry(probe_max=value, lag_ms=lag) for value, lag in ((9_000, 0.0), (4_000, 3.0), (30_000, 0.0))]
    cell = summarise(rounds)["product"]["2KB-64"]
    assert (cell["probe_max"], cell["lag_ms"]) == (4_000, 3.0)


def test_roles_that_a_round_did_not_see_count_as_nothing():
    rounds = [entry(by_role_us={"worker": 50.0}), entry(by_role_us={"worker": 70.0, "valkey": 10.0})]
    assert summarise(rounds)["product"]["2KB-64"]["by_role_us"] == {"valkey": 5.0, "worker": 60.0}


def test_a_ratio_to_the_floor_needs_both_and_no_failed_answer():
    summary = summarise([entry(), entry("floor-raw", all_us=50.0), entry("floor-curl", bad=1)])
    assert ratio_to(summary, "product", "floor-raw", "2KB-64") == 2.0
    assert ratio_to(summary, "product", "floor-curl", "2KB-64") is None
    assert ratio_to(summary, "product", "nginx", "2KB-64") is None
    assert ratio_to(summary, "product", "floor-raw", "burst-32") is None


def test_two_revisions_are_compared_round_by_round():
    ours = [{"bad": 0, "all_us": value} for value in (90.0, 180.0, 95.0)]
    theirs = [{"bad": 0, "all_us": value} for value in (100.0, 200.0, 100.0)]
    assert ratios(ours, theirs) == {"all_us": Ratio(0.9, 0.9, 0.95, 3)}


def test_a_round_in_which_one_side_failed_does_not_count():
    ours = [{"bad": 0, "all_us": 90.0}, {"bad": 0, "all_us": 1.0}]
    theirs = [{"bad": 0, "all_us": 100.0}, {"bad": 3, "all_us": 100.0}]
    assert ratios(ours, theirs)["all_us"].rounds == 1


def test_a_figure_that_was_not_measured_has_no_ratio():
    assert ratios([{"bad": 0, "ow_p50": -1}], [{"bad": 0, "ow_p50": 5}]) == {}


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [
        (Ratio(0.80, 0.75, 0.85, 5), "less"),
        (Ratio(1.20, 1.10, 1.30, 5), "more"),
        (Ratio(0.80, 0.70, 1.05, 5), "the same within noise"),
        (Ratio(0.98, 0.97, 0.99, 5), "the same within noise"),
        (Ratio(0.50, 0.40, 0.60, 3), "too few rounds"),
    ],
)
def test_a_difference_is_claimed_only_when_every_round_shows_it(ratio, verdict):
    assert ratio.verdict == verdict
