"""The limits of an upstream call."""

import msgspec


class Timeouts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """In seconds. `gap_s` is silence between two chunks; `total_s` covers the whole request, further attempts included.

    `caller_stall_s`: a caller that reads nothing for so long while an answer waits is cut off.
    """

    connect_s: float = 5.0
    headers_s: float = 30.0
    first_event_s: float = 15.0
    first_event_reasoning_s: float = 120.0
    gap_s: float = 30.0
    total_s: float = 600.0
    caller_stall_s: float = 120.0
