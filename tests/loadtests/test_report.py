"""The tables and the page: limits are judged, failed answers are shown as such, the words of the page stay."""

import pytest

from loadtests.document import BEGIN, END, markdown, with_figures
from loadtests.report import Table, caveats, cost, held, latency, limits, memory, render, streams, workers
from loadtests.summary import summarise
from loadtests.workloads import FLOOR_OF, TRANSLATED, core_set, full_set, quick_set


def measured(subject, load, **figures):
    usual = {
        "bad": 0, "worker_us": 120.0, "all_us": 200.0, "worker_turns": 3.0, "rps": 5000.0, "eps": 0.0, "per_second": 5000.0, "events": 0,
        "lat_p50": 500, "lat_p99": 900, "ttfb_p50": 500, "ttfb_p99": 900, "ow_p50": 100, "ow_p99": 900, "ev_per_read": 1.0,
        "others_pct": 0.0, "client_cpu_pct": 10, "by_role_us": {"worker": 120.0, "valkey": 80.0}, "worker_core_pct": 60.0,
    }  # fmt: skip
    return {"subject": subject, "workload": load, "round": 0, **usual, **figures}


def result(*measurements, **more):
    about = {
        "date": "2026-01-01 10:00 UTC", "revision": "abc", "set": "core", "rounds": 3, "cores": [0, 1],
        "usable_cores": 2, "cpu": "a CPU", "memory_gb": 8, "machine": "Linux", "python": "CPython 3.11.7",
        "versions": "granian 2", "load_average_before": 0.1, "tls_front": "nginx", "trouble": "",
        "loads": {load.name: load.says for load in core_set()},
    }  # fmt: skip
    empty = {"memory": {}, "workers": {}, "measurements": []}
    return {"about": about, "summary": summarise(list(measurements)), **empty, **more}


def test_the_product_stands_beside_the_floor_of_its_own_transport():
    summary = summarise([measured("floor-curl", "2KB-64", all_us=100.0), measured("product-curl", "2KB-64")])
    rows = {row[1]: row for row in cost(summary, {"2KB-64": ""}).rows}
    assert rows["product-curl"][5] == "2.00"
    assert rows["floor-curl"][5] == "-"


def test_a_cell_with_failed_answers_shows_no_figure():
    found = result(measured("product", "2KB-64", bad=3))
    assert set(cost(found["summary"], {"2KB-64": ""}).rows[0][2:]) == {"failed"}
    assert limits(found).rows == []
    assert caveats(found) == ["product 2KB-64: 3 answers failed: its figures mean nothing"]


@pytest.mark.parametrize(("worker_us", "verdict"), [(171.0, "over"), (170.0, "within"), (100.0, "aim met")])
def test_a_figure_is_judged_by_what_must_hold_and_what_is_aimed_at(worker_us, verdict):
    table = limits(result(measured("product", "2KB-64", worker_us=worker_us)))
    assert table.rows[0] == ("product, 2KB-64: worker µs", f"{worker_us:.2f}", "170", "100", verdict)


@pytest.mark.parametrize(("a_read", "verdict"), [(1.0, "aim met"), (2.2, "within, at 2.2 chunks a read")])
def test_a_paced_load_that_piled_up_is_no_proof_of_an_aim(a_read, verdict):
    found = result(measured("product", "sse-1000", worker_us=18.0, ev_per_read=a_read))
    assert limits(found).rows[0][-1] == verdict
    assert any("chunks a read" in line for line in caveats(found)) == (a_read > 2)


@pytest.mark.parametrize(("worker_us", "verdict"), [(40.0, "over"), (37.0, "within"), (33.0, "aim met")])
def test_a_translated_paced_chunk_is_judged_by_the_one_that_passes_unchanged(worker_us, verdict):
    plain = measured("product", "sse-100", worker_us=30.0)
    table = limits(result(plain, measured("product", "translated-100", worker_us=worker_us)))
    assert table.rows[-1][0] == "product, translated-100: worker µs x sse-100"
    assert table.rows[-1][-1] == verdict


@pytest.mark.parametrize(("worker_us", "verdict"), [(7.5, "over"), (6.5, "within"), (5.5, "aim met")])
def test_a_translated_chunk_of_a_burst_is_judged_by_what_it_adds(worker_us, verdict):
    plain = measured("product", "burst-32", worker_us=4.0)
    table = limits(result(plain, measured("product", "translated-burst-32", worker_us=worker_us)))
    assert table.rows[-1][0] == "product, translated-burst-32: worker µs over burst-32"
    assert table.rows[-1][-1] == verdict


def test_a_translated_load_alone_is_not_judged():
    assert limits(result(measured("product", "translated-100"))).rows == []


def test_a_translated_chunk_has_no_age():
    found = summarise([measured("product", "translated-500", eps=25_000.0, ow_p50=-1, ow_p99=-1)])
    assert streams(found).rows[0][2:7] == ("25,000", "100%", "1.0", "-", "-")


def test_whatever_is_translated_stands_beside_the_same_load_unchanged_in_its_set():
    for loads in (core_set(), quick_set(), full_set()):
        known = {load.name: load for load in loads}
        for load in (load for load in loads if load.name in TRANSLATED):
            plain = known[TRANSLATED[load.name]]
            assert "product" in plain.variants
            assert load.arguments[0] == "-a"
            assert (load.arguments[2], load.counted, load.streams) == (plain.arguments[1], plain.counted, plain.streams)


def test_added_latency_is_over_the_same_load_without_a_gateway():
    found = summarise([measured("direct", "rate-200", lat_p50=100), measured("product", "rate-200", lat_p50=1_100)])
    assert latency(found).rows[0][:3] == ("rate-200", "product", "1.00")


def test_a_paced_load_says_how_much_of_what_was_offered_came_through():
    found = summarise([measured("product", "sse-1000", eps=25_000.0)])
    assert streams(found).rows[0][2:4] == ("50,000", "50%")


def test_memory_is_told_by_the_stream():
    weighed = {
        "ready_s": 1.5, "idle_kb": 61_440, "streams": 1_000, "open_kb": 112_640, "stream_kb": 51.2, "after_kb": 81_920,
    }  # fmt: skip
    assert memory({"product": weighed}).rows == [("product", "1.50", "60.0", "1,000", "110.0", "51.2", "80.0")]


def test_two_workers_are_told_by_connections_and_shares():
    shared = {
        "rate": 1_000, "connections": [28, 36], "requests": [500, 500], "cpu_ms": [10.5, 31.5], "rps": 1000.0, "bad": 0,
        "lat_p50": 900, "lat_p99": 4_000,
    }  # fmt: skip
    row = workers({"64": [shared]}).rows[0]
    assert row == ("64", "1,000/s", "28 / 36 (44% / 56%)", "500 / 500 (50% / 50%)", "25% / 75%", "1,000", "0.9", "4.0")


def test_a_load_that_is_probed_shows_no_cost_because_the_prober_is_in_it():
    found = summarise([measured("product", "held-1MB", probe_p50=1, probe_p99=2, probe_max=4_000, lag_ms=0.5)])
    assert cost(found, {"held-1MB": ""}).rows == []
    assert held(found).rows == [("held-1MB", "product", "0.00", "0.00", "4.00", "0.50")]


def test_a_disturbed_run_says_so():
    assert any("trust CPU" in line for line in caveats(result(measured("product", "2KB-64", others_pct=40.0))))
    assert any("client was busy" in line for line in caveats(result(measured("nginx", "2KB-64", client_cpu_pct=97))))


def test_a_result_without_a_product_is_still_a_table():
    assert "floor-raw" in render(result(measured("floor-raw", "2KB-64")))


def test_the_page_keeps_its_words_and_gets_new_figures():
    found = result(measured("floor-raw", "2KB-64"))
    page = with_figures(f"# Title\n\n{BEGIN}\nold figures\n{END}\n\nafter\n", found)
    assert page.startswith("# Title\n\n")
    assert page.endswith(f"{END}\n\nafter\n")
    assert "old figures" not in page
    assert "CPython 3.11.7" in page
    assert with_figures(page, found) == page


def test_a_page_without_marks_is_left_alone():
    with pytest.raises(ValueError, match="marks"):
        with_figures("# Title\n", result())


def test_words_stand_left_and_numbers_right():
    table = Table("T", ("what", "is"), [("a", "1")], words=1)
    assert markdown(table) == "### T\n\n| what | is |\n| --- | ---: |\n| a | 1 |"


@pytest.mark.parametrize("loads", [quick_set(), core_set(), full_set()])
def test_every_load_has_a_name_of_its_own_and_a_floor_beside_the_product(loads):
    assert len({load.name for load in loads}) == len(loads)
    for load in loads:
        for variant in set(load.variants) & set(FLOOR_OF):
            assert FLOOR_OF[variant] in load.variants or load.name in TRANSLATED
