"""How many upstream calls beyond the first of each request may be made."""

from typing import Annotated

import msgspec
from msgspec import Meta


class RetryBudget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At most `share` of a worker's requests within `window_s`, or `floor_per_s` a second if that is more.

    The floor is there so that a quiet gateway may always go on to the next target.
    """

    share: Annotated[float, Meta(ge=0, le=100)] = 0.2
    floor_per_s: Annotated[float, Meta(ge=0, le=1_000_000)] = 10.0
    window_s: Annotated[float, Meta(ge=1, le=600, description="Seconds.")] = 10.0
