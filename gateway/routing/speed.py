"""How fast targets have been: the peak-EWMA of their answers, and the score by which two are compared. Pure.

A peak counts at once and is forgotten with a time constant, so a target that gets slow is left quickly and trusted again
slowly (as Finagle does). Measurements of all workers go into one value (`relay/hearsay.py`).
"""

from math import exp

import msgspec

TIME_CONSTANT_S = 10.0
STALE_S = 60.0
"""What was measured longer ago says little: now and then such a target is tried again."""
EXPECTED_TOKENS = 300
"""Of an answer, when nobody knows better."""
BUSY_UNMEASURED = 1e9
"""Score of a target that is being tried for the first time: no second request goes there before the first tells."""


class Speed(msgspec.Struct, frozen=True):
    """One target. Times in ms, None = never measured; `open`: requests there now.

    `at` is when the time to the first token was measured last, `paced_at` the time per token, in s.
    """

    ttft_ms: float | None = None
    per_token_ms: float | None = None
    open: int = 0
    at: float = 0.0
    paced_at: float = 0.0


UNKNOWN = Speed()


def measured(speed: Speed | None, ttft_ms: float | None, per_token_ms: float | None, at: float) -> Speed:
    """The speed with one more answer of the instant `at`: its time to the first token, and per token after it.

    None: not measured, or too short to say. Answers may be learned of in any order (other workers tell theirs late): an
    old one counts as much as it would by now, and never takes the place of a newer one.
    """
    old = speed or UNKNOWN
    return Speed(
        _peak(old.ttft_ms, ttft_ms, at - old.at),
        _peak(old.per_token_ms, per_token_ms, at - old.paced_at),
        old.open,
        old.at if ttft_ms is None else max(old.at, at),
        old.paced_at if per_token_ms is None else max(old.paced_at, at),
    )


def with_open(speed: Speed | None, change: int) -> Speed:
    """The speed when requests begin (above 0) or end."""
    old = speed or UNKNOWN
    return Speed(old.ttft_ms, old.per_token_ms, max(0, old.open + change), old.at, old.paced_at)


def score(speed: Speed | None, expected_tokens: int = EXPECTED_TOKENS) -> float:
    """Lower is better: ms until the answer is there, times the requests it would share the target with.

    Unmeasured and idle is 0: it gets tried. Unmeasured and busy comes after all that is measured.
    """
    if speed is None:
        return 0.0
    if speed.ttft_ms is None:
        return BUSY_UNMEASURED * speed.open
    return (speed.ttft_ms + expected_tokens * (speed.per_token_ms or 0.0)) * (speed.open + 1)


def is_stale(speed: Speed | None, now: float) -> bool:
    """Whether an idle target was measured too long ago to be sure."""
    return speed is not None and speed.ttft_ms is not None and not speed.open and now - speed.at > STALE_S


def _peak(old: float | None, new: float | None, later_s: float) -> float | None:
    """The value after a measurement made `later_s` after the last one (below 0: before it)."""
    if old is None or new is None:
        return old if new is None else new
    weight = exp(-abs(later_s) / TIME_CONSTANT_S)
    if later_s < 0:
        return max(old, new * weight + old * (1.0 - weight))
    return new if new >= old else old * weight + new * (1.0 - weight)
