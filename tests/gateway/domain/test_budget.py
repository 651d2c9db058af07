"""Periods are whole calendar days, weeks and months in UTC, without gaps."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.budget import TOTAL, period_of


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("kind", "when", "name", "start", "end"),
    [
        ("daily", "2026-02-28T23:59:59", "daily-2026-02-28", "2026-02-28", "2026-03-01"),
        ("weekly", "2026-01-01T00:00:00", "weekly-2025-12-29", "2025-12-29", "2026-01-05"),
        ("weekly", "2026-01-05T00:00:00", "weekly-2026-01-05", "2026-01-05", "2026-01-12"),
        ("monthly", "2024-02-29T12:00:00", "monthly-2024-02", "2024-02-01", "2024-03-01"),
        ("monthly", "2026-12-31T23:59:59", "monthly-2026-12", "2026-12-01", "2027-01-01"),
        ("", "2026-12-31T23:59:59", "monthly-2026-12", "2026-12-01", "2027-01-01"),
    ],
)
def test_a_period_is_the_calendars(kind: str, when: str, name: str, start: str, end: str) -> None:
    assert period_of(kind, at(when)) == (name, at(start), at(end))


@given(st.sampled_from(("daily", "weekly", "monthly")), st.integers(0, 4_000_000_000))
def test_every_instant_is_in_one_period_and_the_next_begins_where_it_ends(kind: str, when: int) -> None:
    period = period_of(kind, when)
    assert period.has(when)
    assert not period.has(period.ends_at)
    following = period_of(kind, period.ends_at)
    assert (following.starts_at, following.name != period.name) == (period.ends_at, True)


def test_all_time_never_ends() -> None:
    assert period_of("total", 1e10) is TOTAL
    assert TOTAL.has(1e12)
