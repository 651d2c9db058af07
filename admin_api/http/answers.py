"""How a change is answered."""

from typing import Any

from litestar import Response


def saved(
    body: dict[str, Any], published: dict[str, bool], *, status: int = 200, version: int = 0
) -> Response[dict[str, Any]]:
    """The changed object, and whether the change has reached Redis. A `version` is also told as ETag."""
    headers = {"ETag": f'"{version}"'} if version else {}
    return Response({**body, **published}, status_code=status, headers=headers)
