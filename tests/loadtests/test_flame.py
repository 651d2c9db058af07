"""The table beside a flame graph: own and whole time by function, and by room."""

from loadtests.flame import Row, busiest_thread, by_room, parse_stacks, render, room_of, top_functions
from loadtests.workloads import core_set

RAW = """\
thread (1): Main;run (uvloop/loop.pyx:3);serve (gateway/edge/asgi.py:10);take (gateway/state/holds.py:20) 30
thread (1): Main;run (uvloop/loop.pyx:3);serve (gateway/edge/asgi.py:10) 50
thread (1): Main;run (uvloop/loop.pyx:3) 20
thread (2): guard;sleep (gateway/serve/guard.py:1) 40
not a stack
"""


def test_own_time_is_the_innermost_frames_and_whole_time_every_frames():
    rows = top_functions(busiest_thread(parse_stacks(RAW)))
    assert rows == [
        Row("serve (gateway/edge/asgi.py:10)", 50, 80),
        Row("take (gateway/state/holds.py:20)", 30, 30),
        Row("run (uvloop/loop.pyx:3)", 20, 100),
    ]


def test_a_function_that_calls_itself_counts_once_a_stack():
    assert top_functions([(["walk (a.py:1)", "walk (a.py:1)"], 5)]) == [Row("walk (a.py:1)", 5, 5)]


def test_a_sleeping_thread_beside_the_busy_one_is_left_out():
    assert all("guard" not in frame for frames, _ in busiest_thread(parse_stacks(RAW)) for frame in frames)
    assert busiest_thread([]) == []


def test_time_is_shared_out_by_room():
    found = by_room(busiest_thread(parse_stacks(RAW)))
    assert found == {"gateway/edge": 50, "gateway/state": 30, "uvloop": 20}


def test_a_frame_belongs_to_its_room_wherever_the_checkout_lies():
    assert room_of("f (some/where/gateway/relay/loop.py:1)") == "gateway/relay"
    assert room_of("f (gateway/journey.py:1)") == "gateway/journey.py"
    assert room_of("f (hmac.py:1)") == "hmac.py"
    assert room_of("f ()") == "elsewhere"


def test_samples_become_microseconds_of_what_was_measured():
    text = render(core_set()[0], busiest_thread(parse_stacks(RAW)), worker_us=200.0)
    assert "100 samples; the worker spent 200.0 µs a request" in text
    assert "50.0%    100.0         80.0%   160.0  serve (gateway/edge/asgi.py:10)" in text
