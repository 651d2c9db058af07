"""Ids are UUIDs of version 7: they sort by time."""

import uuid

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.ids import uuid7

TIMES = st.integers(0, 2**48 - 1)
RANDOM = st.binary(min_size=10, max_size=10)


@settings(deadline=None, database=None)
@given(TIMES, RANDOM)
def test_an_id_is_a_uuid_of_version_7(at: int, randomness: bytes) -> None:
    text = uuid7(at, randomness)
    parsed = uuid.UUID(text)
    assert str(parsed) == text
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == at


@settings(deadline=None, database=None)
@given(TIMES, TIMES, RANDOM, RANDOM)
def test_ids_sort_by_time(one: int, other: int, a: bytes, b: bytes) -> None:
    if one != other:
        assert (uuid7(one, a) < uuid7(other, b)) is (one < other)


@settings(deadline=None, database=None)
@given(RANDOM, RANDOM)
def test_randomness_makes_ids_differ(a: bytes, b: bytes) -> None:
    """74 bits of it count; the version and the variant take six."""
    mask = ~((0xF << 76) | (0x3 << 62))
    is_same = int.from_bytes(a, "big") & mask == int.from_bytes(b, "big") & mask
    assert (uuid7(1, a) == uuid7(1, b)) is is_same
