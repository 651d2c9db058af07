"""Vectors of texts, one signed byte a dimension: small enough to keep many, exact enough to compare. Pure."""

import math
from array import array
from collections.abc import Sequence
from operator import mul

import msgspec

MAX_DIMENSIONS = 4096


class Vector(msgspec.Struct, frozen=True):
    """`data`: a byte a dimension. `signs`: a bit a dimension, 1 where it is positive; `norm`: the length of `data`."""

    data: bytes
    signs: int
    norm: float

    @property
    def dimensions(self) -> int:
        return len(self.data)


def packed(values: Sequence[float]) -> Vector | None:
    """The vector that an embedding model gave; None for one without length, or with too many dimensions."""
    most = max((abs(value) for value in values), default=0.0)
    if not 0.0 < most < math.inf or len(values) > MAX_DIMENSIONS:
        return None
    scale = 127.0 / most
    try:
        numbers = array("b", [round(value * scale) for value in values])
    except (ValueError, OverflowError):  # not a number
        return None
    return unpacked(numbers.tobytes(), math.sqrt(sum(map(mul, numbers, numbers))))


def unpacked(data: bytes, norm: float) -> Vector:
    """The vector that was kept as these bytes. Cheap: a worker reads hundreds at once."""
    return Vector(data, int(data.translate(_IS_POSITIVE) or b"0", 2), norm)


_IS_POSITIVE = bytes(ord("1") if 0 < byte < 128 else ord("0") for byte in range(256))


def similarity(one: Vector, other: Vector) -> float:
    """The cosine, -1 to 1; 0 for vectors of different models."""
    if len(one.data) != len(other.data) or not one.norm or not other.norm:
        return 0.0
    product: int = sum(map(mul, memoryview(one.data).cast("b"), memoryview(other.data).cast("b")))
    return product / (one.norm * other.norm)


def nearest(asked: Vector, known: Sequence[Vector], most: int) -> list[tuple[float, int]]:
    """(cosine, place in `known`) of the nearest ones, nearest first.

    Signs come first: counting the bits that differ costs a fraction of a product, and near vectors differ in few.
    """
    mine, dimensions = asked.signs, asked.dimensions
    differing = [
        ((mine ^ vector.signs).bit_count(), place)
        for place, vector in enumerate(known)
        if len(vector.data) == dimensions
    ]
    differing.sort()
    return sorted(((similarity(asked, known[place]), place) for _, place in differing[: 2 * most]), reverse=True)[:most]
