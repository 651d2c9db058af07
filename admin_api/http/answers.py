"""How a change is answered."""

from typing import Any

from litestar import Response


def saved(body: dict[str, Any], published: dict[str, bool], *, status: int = 200) -> Response[dict[str, Any]]:
    """The changed object, and whether the change has reached Redis."""
    return Response({**body, **published}, status_code=status)
