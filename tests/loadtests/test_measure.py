"""The gateway's own lag metric, and whose turn it is."""

from loadtests.measure import in_turn, parse_lag_ms
from loadtests.subjects import Running
from loadtests.workloads import KB, RAW, unary

METRICS = """\
# HELP omniroute_event_loop_lag_seconds Largest delay of a worker's event loop.
# TYPE omniroute_event_loop_lag_seconds gauge
omniroute_event_loop_lag_seconds 0.0042
omniroute_event_loop_lag_seconds{worker="2"} 0.001
omniroute_open_requests 3.0
"""


def test_the_worst_lag_of_all_workers_is_read():
    assert parse_lag_ms(METRICS) == 4.2
    assert parse_lag_ms("") == 0.0


def test_the_order_turns_every_round_and_only_those_meant_are_asked():
    subjects = [
        Running("floor-raw", 1, {"floor-raw": "m"}),
        Running("floor-tls", 2, {"floor-tls": "m"}),
        Running("product", 3, {"product": "a/m", "product-curl": "b/m"}),
    ]
    load = unary("2KB-64", 2 * KB, 64, variants=RAW)
    assert [variant for variant, _, _ in in_turn(subjects, load, 0)] == ["floor-raw", "product"]
    assert [variant for variant, _, _ in in_turn(subjects, load, 1)] == ["product", "floor-raw"]
