"""Counting by the scheduler's own figures: what /proc says is read rightly, and differences are taken by thread."""

import os
import threading

import pytest

from loadtests.processes import (
    CpuSample,
    Process,
    Spent,
    parse_schedstat,
    parse_tcp_table,
    role_of,
    sample,
    spent_us,
    turns_between,
)

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:4E20 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0 100 0 0 10 0
   1: 0100007F:4E20 0100007F:C001 01 00000000:00000000 02:0000 00000000     0        0 222 1 0 20 4 30 10 -1
   2: 0100007F:C001 0100007F:4E20 01 00000000:00000000 02:0000 00000000     0        0 333 1 0 20 4 30 10 -1
   3: 0100007F:4E20 0100007F:C002 08 00000000:00000000 02:0000 00000000     0        0 444 1 0 20 4 30 10 -1
"""


def test_a_schedstat_line_is_time_on_a_cpu_time_waiting_for_one_and_turns():
    assert parse_schedstat("33361278 20946627 115\n") == Spent(33361278, 20946627, 115)


@pytest.mark.parametrize("text", ["", "1 2", "1 2 3 4", "a b c"])
def test_a_line_that_is_no_schedstat_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        parse_schedstat(text)


def test_spent_is_the_difference_of_every_thread_in_microseconds():
    before = CpuSample(0.0, {(1, "1"): Spent(1_000_000, 0, 5), (2, "2"): Spent(5_000, 0, 1)})
    after = CpuSample(1.0, {(1, "1"): Spent(3_000_000, 0, 9), (2, "2"): Spent(6_000, 0, 2)})
    assert spent_us(before, after) == 2001
    assert spent_us(before, after, [1]) == 2000
    assert turns_between(before, after, [1]) == 4


def test_a_thread_that_began_between_the_samples_counts_whole_and_one_that_ended_not_at_all():
    before = CpuSample(0.0, {(1, "1"): Spent(9_000, 0, 1)})
    after = CpuSample(1.0, {(1, "2"): Spent(4_000, 0, 1)})
    assert spent_us(before, after) == 4


def test_sockets_are_found_by_state_and_own_port_with_the_callers_port():
    assert parse_tcp_table(TCP, "0A", 20000) == {"111": 0}
    assert parse_tcp_table(TCP, "01", 20000) == {"222": 0xC001}


def test_cpu_of_this_very_process_is_seen():
    before = sample([os.getpid()], None)
    sum(number * number for number in range(400_000))
    spent = spent_us(before, sample([os.getpid()], None))
    assert 100 < spent < 10_000_000
    assert (os.getpid(), str(threading.get_native_id())) in before.threads


@pytest.mark.parametrize(
    ("command", "role"),
    [
        ("valkey-server unixsocket:/x", "valkey"),
        ("python -m admin_api.process", "admin"),
        ("python -c from multiprocessing.resource_tracker import main", "other"),
    ],
)
def test_a_process_is_named_by_what_it_is_to_the_product(command, role):
    assert role_of(Process(7, 1, command), root=1, worker=2) == role
    assert role_of(Process(2, 1, command), root=1, worker=2) == "worker"
