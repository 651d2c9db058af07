"""How an attempt ended, and what follows from it."""

from typing import Literal

import msgspec

Scope = Literal["nothing", "connection", "connection_model", "breaker", "provider"]
Next = Literal["stop", "next"]


class Outcome(msgspec.Struct, frozen=True):
    """The verdict on one failed attempt.

    `name` is the word for metrics and records (a closed list, `relay/classify.py`), `cools` what should rest,
    `then` whether the next target of the plan is tried, `status`/`code` what the caller gets if nobody else answers.
    """

    name: str
    cools: Scope
    then: Next
    status: int
    code: str
    retry_after_s: float | None = None
    is_callers_fault: bool = False
