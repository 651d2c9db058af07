"""Every Redis key: its type, lifetime and hash tag. No other file spells one.

`SCHEMA` is part of each name, so two gateway versions can run side by side on one server. What one script changes
together shares a hash tag. (Today all run on one primary; the tags keep the way to a Cluster open.)
"""

SCHEMA = "or1"

SNAPSHOT_CURRENT = f"{SCHEMA}:snapshot:current"
"""string, no expiry: the revision that workers should run, in decimal."""

NEWS = f"{SCHEMA}:news"
"""pub/sub channel: `snapshot:<revision>` or `key:<digest>` (that key changed or went)."""

KEYRING_EPOCH = f"{SCHEMA}:keyring:epoch"
"""string, no expiry: written last when all keys have been published. Missing = the server was emptied."""

RECORDS = f"{SCHEMA}:{{ledger}}:records"
"""stream: one entry per settled request, field `r` = JSON of RequestRecord. Trimmed only of what SQL has."""

RECORDS_GROUP = "ledger"
"""consumer group on RECORDS."""

INFLIGHT_PREFIX = f"{SCHEMA}:{{ledger}}:inflight:"
WORKERS = f"{SCHEMA}:workers"
"""set, no expiry: ids of workers that may have notes in flight; one is taken out when it is gone and settled."""

WORKER_PREFIX = f"{SCHEMA}:worker:"
WORKER_TTL_S = 15
"""A worker that has not beaten for this long is gone; its notes in flight become `lost` records."""


def snapshot(revision: int) -> str:
    """string, no expiry: JSON of Snapshot. The publisher deletes all but the newest few."""
    return f"{SCHEMA}:snapshot:{revision}"


def key(digest: str) -> str:
    """hash, no expiry: `v` = version in decimal, `e` = JSON of KeyEntry. Deleted when revoked."""
    return f"{SCHEMA}:key:{{k:{digest}}}"


def key_minute(digest: str) -> str:
    """hash, 62 s: second -> requests of the key in it, `n` = their sum, `s` = oldest second counted."""
    return f"{SCHEMA}:minute:{{k:{digest}}}"


def key_open(digest: str) -> str:
    """hash, OPEN_TTL_S: `c:<worker>` -> open requests of the key, `u:<worker>` -> unix second until which it counts."""
    return f"{SCHEMA}:open:{{k:{digest}}}"


OPEN_TTL_S = 15
"""A worker renews its counts every 5 s; one that is gone is forgotten after this. Streams outlive any fixed hold."""


def inflight(worker: str) -> str:
    """hash, no expiry: request id -> JSON of the RequestRecord to write if the worker dies. Emptied by `settle`."""
    return INFLIGHT_PREFIX + worker


def worker(worker_id: str) -> str:
    """string, WORKER_TTL_S, renewed every 5 s: JSON {pid, host, started_at, revision}."""
    return WORKER_PREFIX + worker_id


def lease(job: str) -> str:
    """string, the lease's own lifetime: the token of the admin process that may run `job`."""
    return f"{SCHEMA}:lease:{job}"
