"""How a job is doing, for the health page."""

from dataclasses import dataclass


@dataclass(slots=True)
class JobStatus:
    """`last_ok_at` is unix seconds, 0 = not yet. `error` is that of the last run, empty when it went well."""

    last_ok_at: float = 0.0
    error: str = ""
    is_mine: bool = False
