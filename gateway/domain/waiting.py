"""Limits of connections and of a worker: who waits for a slot and how long, what is learned, when load is shed."""

import msgspec


class Waiting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Times in seconds. A request that may not wait, or would wait in vain, goes on to its next target."""

    max_waiting: int = 100
    """Requests of one worker that may wait for one connection."""
    max_wait_s: float = 5.0
    learns_limits: bool = True
    """Slow down when a provider's own headers say that little is left."""
    adapts_concurrency: bool = False
    """Find out how many requests a connection takes at once: one more after successes, fewer after a 429 or 529."""
    adaptive_start: int = 20
    adaptive_most: int = 200
    """For connections without `max_concurrency`, which is the bound of the others."""
    max_open: int = 10_000
    """Requests open in one worker; above it they are refused, the lowest class of keys first. 0 = any number."""
    max_lag_s: float = 0.5
    """A worker whose event loop is later than this refuses likewise. 0 = any lag."""
