"""Where a page of a list ended, as text for clients: the values of its last row that the list is ordered by."""

import base64
import binascii
from collections.abc import Sequence

import msgspec

_LONGEST = 4000
_MOST_INTEGER = 1 << 53

Value = str | int | float


class BadCursor(ValueError):
    """Not a cursor that a page of this list gave."""

    def __init__(self) -> None:
        super().__init__("is not a cursor of this list")


def write_cursor(values: Sequence[Value]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(values)).decode().rstrip("=")


def read_cursor(cursor: str, types: Sequence[type]) -> list[Value]:
    """The values, which are of `types`. Raises BadCursor."""
    if len(cursor) > _LONGEST:
        raise BadCursor
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        values = msgspec.json.decode(data, type=list[Value])
    except (ValueError, binascii.Error, msgspec.MsgspecError) as error:
        raise BadCursor from error
    if len(values) != len(types) or not all(map(_fits, values, types)):
        raise BadCursor
    return values


def _fits(value: Value, wanted: type) -> bool:
    if isinstance(value, str):
        return wanted is str and "\0" not in value
    return wanted is float or (wanted is int and isinstance(value, int) and abs(value) <= _MOST_INTEGER)
