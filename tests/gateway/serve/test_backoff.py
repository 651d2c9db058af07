"""Delays between restarts."""

from gateway.serve.backoff import Backoff


def test_delays_double_from_a_tenth_of_a_second_up_to_five() -> None:
    backoff = Backoff()
    assert [round(backoff.delay_after(1), 1) for _ in range(8)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_a_long_life_starts_over() -> None:
    backoff = Backoff()
    for _ in range(8):
        backoff.delay_after(1)
    assert backoff.delay_after(30) == 0.1
    assert backoff.delay_after(1) == 0.2
