"""What may be changed through the API: what is there, and does not come from the config file."""

from typing import Protocol, TypeVar

from admin_api.http.errors import conflict, not_found


class _Managed(Protocol):
    @property
    def managed(self) -> bool: ...


Row = TypeVar("Row", bound=_Managed)


def editable(row: Row | None, kind: str, name: str) -> Row:
    """The row, or the answer that it is not there or not ours to change."""
    if row is None:
        raise not_found(kind, name)
    if row.managed:
        raise conflict(f"the {kind} {name!r} is managed by the config file: change it there")
    return row
