"""Every Redis key: its type, lifetime and hash tag. No other file spells one.

`SCHEMA` is part of each name, so two gateway versions can run side by side on one server. What one script changes
together shares a hash tag. (Today all run on one primary; the tags keep the way to a Cluster open.)
"""

SCHEMA = "or1"

SNAPSHOT_CURRENT = f"{SCHEMA}:snapshot:current"
"""string, no expiry: the revision that workers should run, in decimal."""

NEWS = f"{SCHEMA}:news"
"""pub/sub channel: `snapshot:<revision>` or `key:<digest>` (that key changed or went).

`watch:<seconds>`: an owner watches requests for so long more.
`rest:` and what changed of what rests (`rests.lua`); `pace:<connection>` (what was learned of its limits is to be forgotten).
"""

KEYRING_EPOCH = f"{SCHEMA}:keyring:epoch"
"""string, no expiry: written last when all keys have been published. Missing = the server was emptied."""

RECORDS = f"{SCHEMA}:{{ledger}}:records"
"""stream: one entry per settled request, field `r` = JSON of RequestRecord. Trimmed only of what SQL has."""

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


def address_minute(address: str) -> str:
    """hash, 62 s: second -> requests that came from an address in it, where there is a limit on that."""
    return f"{SCHEMA}:address_minute:{{a:{address}}}"


def key_limits(digest: str) -> str:
    """hash, LIMITS_TTL_S: what counts for the limits of the key, in fields of packed doubles.

    `x`: requests and tokens of the last minute, its latest second, requests and tokens in that, the oldest second that may be
    there; open requests of all workers, and the unix second until which that sum is right. `<second>`: requests and tokens in
    an earlier second of the minute. `c:<worker>`: its open requests, and the unix second until which they count.
    """
    return f"{SCHEMA}:limits:{{k:{digest}}}"


LIMITS_TTL_S = 75
"""Longer than a window and than OPEN_TTL_S; the scripts name it too."""

OPEN_TTL_S = 15
"""A worker renews its counts every 5 s; one that is gone is forgotten after this. Streams outlive any fixed hold."""


def inflight(worker: str) -> str:
    """hash, no expiry: request id -> JSON of the RequestRecord to write if the worker dies. Emptied by `settle`."""
    return INFLIGHT_PREFIX + worker


def worker(worker_id: str) -> str:
    """string, WORKER_TTL_S, renewed every 5 s: JSON {pid, host, started_at, revision, local_mode: {times, seconds}}."""
    return WORKER_PREFIX + worker_id


def lease(job: str) -> str:
    """string, the lease's own lifetime: the token of the admin process that may run `job`."""
    return f"{SCHEMA}:lease:{job}"


def slot_pace(connection: str) -> str:
    """hash, 1 h: of a connection with limits: last start, learned gap, adaptive limit (`scripts/take_slot.lua`)."""
    return f"{SCHEMA}:slots:pace:{{p:{connection}}}"


def slot_minute(connection: str) -> str:
    """hash, 62 s: second -> requests started at the connection in it, `n` = their sum, `s` = oldest second counted."""
    return f"{SCHEMA}:slots:minute:{{p:{connection}}}"


def slot_open(connection: str) -> str:
    """hash, OPEN_TTL_S: `c:<worker>` -> open requests at the connection, `u:<worker>` -> unix ms until it counts."""
    return f"{SCHEMA}:slots:open:{{p:{connection}}}"


def slot_holds(connection: str, worker: str) -> str:
    """set, OPEN_TTL_S: hold ids of the worker's open requests at the connection."""
    return f"{SCHEMA}:slots:holds:{{p:{connection}}}:{worker}"


def slot_told(connection: str) -> str:
    """string, to the last reset that it tells of, 60 s at least and a day at most: msgpack of `told_limits.Told`."""
    return f"{SCHEMA}:slots:told:{{p:{connection}}}"


CACHE_GENERATION = f"{SCHEMA}:cache:generation"
"""string, no expiry, in the state store: rises when all kept answers are to be forgotten. Missing = none was forgotten yet."""


CACHE_COUNTS = f"{SCHEMA}:cache:counts"
"""hash, no expiry, in the state store: `front`, `store`, `miss` -> look-ups that ended so; `kept` -> answers. Set to nothing with the rest."""

SAMPLES = f"{SCHEMA}:samples"
"""pub/sub channel in the state store: JSON of `domain/sample.py`'s Sample, published only while an owner watches."""

BODIES = f"{SCHEMA}:bodies"
"""stream, `body_stream.LIFETIME_MS` after the last entry, in the cache store: `b` = zlib of msgpack of StoredBodies. Bounded."""

KEPT = f"{SCHEMA}:cache:kept"
"""pub/sub channel in the cache store: of each answer kept the first 3 bytes of its signature, those of a batch together."""


def kept_echo(worker: str) -> str:
    """pub/sub channel in the cache store: what the worker says to itself, to know that it hears."""
    return f"{KEPT}:{worker}"


CACHED_ANSWERS, CACHED_QUESTIONS = f"{SCHEMA}:cache:answer:", f"{SCHEMA}:cache:questions:"


def cached_answer(generation: str, signature: str) -> str:
    """string, the answer's time to live, in the cache store: a kept answer (msgpack of `cache.entry.Entry`)."""
    return f"{CACHED_ANSWERS}{generation}:{signature}"


def questions(generation: str, scope: str) -> str:
    """stream, its latest answer's time to live, in the cache store: questions of a scope that have a kept answer.

    Trimmed to the setting's number of entries; one field `q`, msgpack of (answer's signature, text, vector, its length).
    """
    return f"{CACHED_QUESTIONS}{generation}:{scope}"


# What rests: one small table for all, so its keys share one tag (`rests.py`, `scripts/rests.lua`).

RESTS = f"{SCHEMA}:{{rests}}:table"
"""hash, no expiry, at most MAX_RESTS fields: `c` (cooldown) or `b` (breaker) + target id -> JSON of `rest_table.Entry`."""

RESTS_ENDS = f"{SCHEMA}:{{rests}}:ends"
"""zset, no expiry: field of RESTS -> unix ms after which it is forgotten. Every use of the table sweeps it."""

RESTS_META = f"{SCHEMA}:{{rests}}:meta"
"""hash, no expiry: `v` = version of RESTS, rising; `at` = unix ms last seen; `reset` = unix ms of the last reset."""


def rest_failures(target_id: str) -> str:
    """list, the breaker's window: the target's newest failures, each `<unix ms>:<successes since the one before>`."""
    return f"{SCHEMA}:{{rests}}:failures:{target_id}"


def rest_unreachable(provider: str) -> str:
    """zset, the open time and a window: connection that could not be reached -> unix ms until which it counts."""
    return f"{SCHEMA}:{{rests}}:unreachable:{provider}"


# What a key's open requests hold of its limits (`holds.py`, `scripts/take.lua`).


def key_money(digest: str, period: str) -> str:
    """hash, to PERIOD_SLACK_S after the period (all time: no expiry): `spent` = nano-dollars. Other fields are packed doubles.

    `c:<worker>` as in key_limits, of nano-dollars that open requests hold. `d:<worker>`: what one held that did not renew in time, and
    the unix second at which it is added to `spent`. `x`: the sum of all `c:`, until when it is right, the sum of all `d:`.
    """
    return f"{SCHEMA}:money:{{k:{digest}}}:{period}"


MONEY_COMPARED = f"{SCHEMA}:compared:money"
"""string, no expiry: set once counters of money have been compared with the ledger. Missing = the server was emptied."""

LOG_LINES = f"{SCHEMA}:log"
"""stream, no expiry, about `log_lines.MAX_LINES` long: `p` = worker or `admin`, `l` = JSON of a line of its log."""

LOGINS = f"{SCHEMA}:{{logins}}:tries"
"""hash, no expiry, at most `logins_admin.MAX_WHO` fields: `address:<it>` or `account:<name>` -> unix ms of each failed log-in."""

LOGINS_ENDS = f"{SCHEMA}:{{logins}}:ends"
"""zset, no expiry: field of LOGINS -> unix ms after which it is forgotten. Every try sweeps it."""

STORAGE_CHECK = f"{SCHEMA}:storage:check"
"""string, no expiry: JSON of what the last look at the pages of the control plane's database found."""

PERIOD_SLACK_S = 3600
"""A request that began before its period's end is charged to it; workers' clocks may differ."""


def held(worker: str) -> str:
    """hash, HELD_TTL_S, renewed: request id -> `<second> <tokens> <nano-dollars> <open>` that it holds of its key's limits."""
    return f"{SCHEMA}:{{ledger}}:held:{worker}"


HELD_TTL_S = 3600
"""Of a worker that is gone: places it held are given back after OPEN_TTL_S, money it held counts as spent."""


CURSOR_TTL_S = 7 * 86_400
"""A cursor that nobody asked for tickets in so long begins anew."""


def cursor(name: str) -> str:
    """string, CURSOR_TTL_S: the next ticket of a round-robin that no worker has, in decimal."""
    return f"{SCHEMA}:cursor:{name}"


# What workers tell each other about targets (`views.py`).

VIEW = f"{SCHEMA}:view"
"""stream, `views.LIFETIME_S` after the last entry, at most `views.MAX_ENTRIES`: `w` = worker, `m` = what it measured (msgpack)."""


def tier_money(tier: str, period: str) -> str:
    """hash, to PERIOD_SLACK_S after the period (all time: no expiry): `spent` = nano-dollars, `w:<worker>` -> `<told in all> <second>`."""
    return f"{SCHEMA}:{{tiers}}:money:{tier}:{period}"


# Flights: one upstream call that several requests share, on the cache store (`flight_log.py`).


def flight(name: str) -> str:
    """hash, two leases, then the idempotency window: who leads it (`t` token, `l` worker, `b` fingerprint of the request).

    `u` = unix ms until which its lease holds, `x` once it is over, `w:<worker>` = unix ms until which that worker follows.
    """
    return f"{SCHEMA}:flight:{{f:{name}}}"


def flight_parts(name: str, token: str) -> str:
    """hash, lives as its flight: 0 = head, 1, 2 … = what has passed, in batches, `x` = how it ended (msgpack)."""
    return f"{SCHEMA}:flight:{{f:{name}}}:{token}"


def flight_news(worker: str) -> str:
    """pub/sub channel of a worker: the name of a flight that it leads or follows and that has news."""
    return FLIGHT_NEWS_PREFIX + worker


FLIGHT_NEWS_PREFIX = f"{SCHEMA}:flights:"
