"""Two people change one object: the second is told, with the version as it is now (409).

A version is the revision of the configuration at which the object last changed: it only rises, also when an object is
deleted and made again. A client sends the one it has seen in `If-Match` or as `version` in the body, or neither.
"""

import re
from typing import Annotated

import msgspec
from litestar.params import HeaderParameter

from admin_api.http.errors import ApiError, bad_request

IfMatch = Annotated[
    str | None,
    HeaderParameter(
        name="If-Match",
        required=False,
        max_length=200,
        description="The version that was read; 409 if it has changed.",
    ),
]
Version = Annotated[int, msgspec.Meta(ge=0, le=2**53, description="The version that was read; 409 if it has changed.")]

_TAG = re.compile(r'(?:W/)?"?([0-9]{1,16})"?')


def check_version(current: int, if_match: str | None, in_body: int | msgspec.UnsetType = msgspec.UNSET) -> None:
    """Go on when the object is as the client saw it, or when the client does not say. Raises 409, or 400 for nonsense."""
    seen: set[int] = set() if in_body is msgspec.UNSET else {in_body}
    if if_match is not None and if_match.strip() != "*":
        tag = _TAG.fullmatch(if_match.strip())
        if tag is None:
            raise bad_request(("If-Match", "must be a version in double quotes"))
        seen.add(int(tag[1]))
    if seen - {current}:
        raise ApiError(
            409,
            f"it was changed meanwhile: its version is {current} now",
            headers={"ETag": f'"{current}"'},
            version=current,
        )
