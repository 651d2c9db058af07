"""Vectors keep their angles in a byte a dimension, and the nearest of many is found by its signs."""

import math
import random

import pytest

from gateway.cache.semantic.vectors import MAX_DIMENSIONS, Vector, nearest, packed, similarity, unpacked


def some(seed: int, dimensions: int = 384) -> list[float]:
    chance = random.Random(seed)
    return [chance.gauss(0, 1) for _ in range(dimensions)]


def kept(values: list[float]) -> Vector:
    vector = packed(values)
    assert vector is not None
    return vector


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True)) / math.hypot(*one) / math.hypot(*other)


@pytest.mark.parametrize("seed", range(20))
def test_a_byte_a_dimension_changes_the_cosine_by_less_than_a_hundredth(seed: int) -> None:
    one = some(seed)
    other = [a + b for a, b in zip(one, some(seed + 100), strict=True)]
    assert similarity(kept(one), kept(other)) == pytest.approx(cosine(one, other), abs=0.01)


def test_it_comes_back_from_its_bytes_as_it_was() -> None:
    vector = kept(some(1))
    assert unpacked(vector.data, vector.norm) == vector


@pytest.mark.parametrize(
    "values", [[], [0.0, 0.0], [math.nan, 1.0], [math.inf, 1.0], [1.0] * (MAX_DIMENSIONS + 1)], ids=str
)
def test_what_has_no_direction_is_no_vector(values: list[float]) -> None:
    assert packed(values) is None


def test_vectors_of_different_models_are_not_alike() -> None:
    one, other = kept(some(1, 384)), kept(some(1, 768))
    assert similarity(one, other) == 0
    assert nearest(one, [other], 4) == []


@pytest.mark.parametrize("seed", range(10))
def test_the_nearest_of_many_is_found(seed: int) -> None:
    asked = some(seed)
    near = [a + 0.5 * b for a, b in zip(asked, some(seed + 500), strict=True)]
    known = [kept(some(1000 + seed * 300 + number)) for number in range(256)]
    known[seed * 7] = kept(near)
    found = nearest(kept(asked), known, 4)
    assert found[0][1] == seed * 7
    assert found == sorted(found, reverse=True)
    assert len(found) == 4


def test_of_none_there_is_no_nearest() -> None:
    assert nearest(kept(some(1)), [], 4) == []
