"""The table of what rests as a worker holds it, and its rules in Python, for when the worker is alone.

`scripts/rests.lua` has the same rules for all workers together; `test_rest_table.py` holds the two against each other.
Instants are ms of the server's clock (or, before the first answer, of the worker's own), spans ms.
"""

from collections import deque
from collections.abc import Sequence
from typing import Literal

import msgspec

from gateway.domain.rest import RestKind

State = Literal["cooling", "open", "ramping"]

MEMORY_MS = 60_000
"""A cooldown's level is remembered for so long, or for its own length again; a success makes it forgotten at once."""

MAX_REMEMBERED = 10_000


class Entry(msgspec.Struct, frozen=True):
    """One thing that rests. `until` ends its state; until `forget` its `level` counts for the next span.

    `open` and past `until` is half-open: one `prober` may try until `probe_until`. `v` is the table's version at its
    last change, 0 of what this worker made while it was alone.
    """

    state: State
    why: str
    since: int
    until: int
    forget: int
    level: int
    prober: str = ""
    probe_until: int = 0
    v: int = 0

    def is_due(self, now: int) -> bool:
        """The time of an open breaker is over: a probe decides."""
        return self.state == "open" and self.until <= now

    def is_probed_by_another(self, now: int, token: str) -> bool:
        return self.prober not in ("", token) and self.probe_until > now


class Cool(msgspec.Struct, frozen=True):
    """Rest for `exact` ms, or when that is 0 for `base` doubled by each level up to `max`, less up to half by `jitter`."""

    field: str
    why: str
    exact: int
    base: int
    max: int
    jitter: float
    step: int = 1
    """What it adds to the level; 0 = the next one is as long."""


class Fail(msgspec.Struct, frozen=True):
    """Count a failure; open for `base` ms, doubled by each level up to `max`, at `need` of them within `window` ms.

    `successes` are those of this worker since its last failure. `provider` is the field of the provider's breaker, if
    the failure was to reach it.
    """

    field: str
    why: str
    need: int
    window: int
    share: float
    successes: int
    base: int
    max: int
    memory: int
    token: str = ""
    provider: str = ""
    connection: str = ""
    connections: int = 0


class Claim(msgspec.Struct, frozen=True):
    fields: tuple[str, ...]
    token: str
    lifetime: int


class Success(msgspec.Struct, frozen=True):
    fields: tuple[str, ...]
    ramp: int
    memory: int


class Release(msgspec.Struct, frozen=True):
    fields: tuple[str, ...]
    token: str


class Entries(dict[str, Entry]):
    """Entries by field. `subjects` counts them by what they are about, so that one look tells that nothing is known.

    A field is one letter, then a connection's id and, after a NUL, a model; or a NUL and a provider. The verbs that are not
    here (`update`, `pop` …) do not count and are not used.
    """

    def __init__(self) -> None:
        super().__init__()
        self.subjects: dict[str, int] = {}

    def __setitem__(self, field: str, entry: Entry) -> None:
        if field not in self:
            subject = _subject_of(field)
            self.subjects[subject] = self.subjects.get(subject, 0) + 1
        super().__setitem__(field, entry)

    def __delitem__(self, field: str) -> None:
        super().__delitem__(field)
        subject = _subject_of(field)
        self.subjects[subject] -= 1
        if not self.subjects[subject]:
            del self.subjects[subject]

    def clear(self) -> None:
        super().clear()
        self.subjects.clear()


def _subject_of(field: str) -> str:
    """The connection's id; a NUL and a provider's."""
    name = field[1:]
    return name if name.startswith("\0") else name.partition("\0")[0]


class RestTable:
    """Entries by field. Each verb does what the script's does, and returns the fields that it changed."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.entries = Entries()
        self.failures: dict[str, deque[tuple[int, int]]] = {}
        self._unreachable: dict[str, dict[str, int]] = {}

    def get(self, field: str, now: int) -> Entry | None:
        entry = self.entries.get(field)
        return entry if entry is not None and entry.forget > now else None

    def sweep(self, now: int) -> None:
        """Let go of what is over."""
        for field in [field for field, entry in self.entries.items() if entry.forget <= now]:
            del self.entries[field]
        for provider, counted in tuple(self._unreachable.items()):
            if max(counted.values(), default=0) <= now:
                del self._unreachable[provider]

    def shift(self, by: int) -> None:
        """The clock by which the table goes was set by so many ms."""
        for field, entry in self.entries.items():
            self.entries[field] = msgspec.structs.replace(
                entry,
                since=entry.since + by,
                until=entry.until + by,
                forget=entry.forget + by,
                probe_until=entry.probe_until + by,
            )
        self.failures.clear()
        self._unreachable.clear()

    def cool(self, order: Cool, now: int) -> list[str]:
        entry = self.get(order.field, now)
        rests = entry is not None and entry.until > now
        level, span = entry.level if entry else 0, order.exact
        if span <= 0:
            if rests:
                return []
            span = int(min(order.max, order.base * 2.0 ** min(level, 30)) * (1 - order.jitter / 2))
            level += order.step
        if entry is not None and rests and entry.until >= now + span:
            return []
        remembered = max(span, MEMORY_MS) if level else 0
        return self._put(
            order.field, Entry("cooling", order.why, now, now + span, now + span + remembered, level), entry
        )

    def fail(self, order: Fail, now: int) -> list[str]:
        entry = self.get(order.field, now)
        changed: list[str] = []
        if entry is not None and entry.state == "open" and entry.until > now:
            if order.need <= 1 and entry.why != order.why and now + order.base > entry.until:
                changed = self._open(order.field, order, None, now)
        elif entry is not None and entry.is_due(now):
            if not entry.is_probed_by_another(now, order.token):
                changed = self._open(order.field, order, entry, now)
        elif self._is_enough(order, now):
            self.failures.pop(order.field, None)
            changed = self._open(order.field, order, entry, now)
        return changed + self._fail_provider(order, now, has_opened=bool(changed))

    def claim(self, order: Claim, now: int) -> list[str] | None:
        """None when another probes, or the time is not over."""
        found = [(field, entry) for field in order.fields if (entry := self.get(field, now))]
        due = [(field, entry) for field, entry in found if entry.state != "ramping"]
        if any(not entry.is_due(now) or entry.is_probed_by_another(now, order.token) for _, entry in due):
            return None
        changed: list[str] = []
        for field, entry in due:
            until = now + order.lifetime
            changed += self._put(
                field,
                msgspec.structs.replace(
                    entry, prober=order.token, probe_until=until, forget=max(entry.forget, until + MEMORY_MS)
                ),
                entry,
            )
        return changed

    def succeed(self, order: Success, now: int) -> list[str]:
        changed: list[str] = []
        for field in order.fields:
            entry = self.get(field, now)
            if entry is None or entry.until > now or entry.state == "ramping":
                continue
            if entry.state == "cooling" or order.ramp <= 0:
                del self.entries[field]
                changed.append(field)
            else:
                until = now + order.ramp
                ramping = Entry("ramping", entry.why, now, until, until + order.memory, entry.level, v=entry.v)
                changed += self._put(field, ramping, entry)
        return changed

    def release(self, order: Release, now: int) -> list[str]:
        changed: list[str] = []
        for field in order.fields:
            entry = self.get(field, now)
            if entry is not None and entry.prober == order.token:
                changed += self._put(field, msgspec.structs.replace(entry, prober="", probe_until=0), entry)
        return changed

    def _put(self, field: str, entry: Entry, before: Entry | None) -> list[str]:
        if before is not None and entry.v != before.v:
            entry = msgspec.structs.replace(entry, v=before.v)
        if field not in self.entries and len(self.entries) >= self._most:
            if entry.why == "unknown_model":
                return []
            del self.entries[next(iter(self.entries))]
        self.entries[field] = entry
        return [field]

    def _open(self, field: str, order: Fail, before: Entry | None, now: int) -> list[str]:
        level = (before.level if before else 0) + 1
        until = now + int(min(order.max, order.base * 2.0 ** min(level - 1, 30)))
        return self._put(field, Entry("open", order.why, now, until, until + order.memory, level), before)

    def _is_enough(self, order: Fail, now: int) -> bool:
        if order.need <= 1:
            return True
        failures = self.failures.get(order.field)
        if failures is None or failures.maxlen != order.need:
            if len(self.failures) >= MAX_REMEMBERED:
                del self.failures[next(iter(self.failures))]
            failures = self.failures[order.field] = deque(failures or (), order.need)
        failures.append((now, order.successes))
        if len(failures) < order.need or failures[0][0] <= now - order.window:
            return False
        well = sum(successes for _, successes in list(failures)[1:])
        return order.need >= order.share * (order.need + well)

    def _fail_provider(self, order: Fail, now: int, *, has_opened: bool) -> list[str]:
        if not order.provider:
            return []
        provider = self.get(order.provider, now)
        if provider is not None and provider.is_due(now) and not provider.is_probed_by_another(now, order.token):
            return self._open(order.provider, order, provider, now)
        if not has_opened:
            return []
        counted = self._unreachable.setdefault(order.provider, {})
        for connection in [connection for connection, until in counted.items() if until <= now]:
            del counted[connection]
        counted[order.connection] = self.entries[order.field].until + order.window
        if len(counted) >= order.connections and not (provider and provider.state == "open"):
            return self._open(order.provider, order, provider, now)
        return []


class RestState(msgspec.Struct, frozen=True):
    """One thing that rests, for people. Instants are unix seconds by the server's clock.

    `state` is `cooling`, `open`, `half_open` or `ramping`. Of `provider`, `connection_id` and `model` those are given
    that `scope` names.
    """

    scope: Literal["provider", "connection", "connection_model"]
    kind: RestKind
    state: Literal["cooling", "open", "half_open", "ramping"]
    why: str
    since: float
    until: float
    level: int
    provider: str = ""
    connection_id: str = ""
    model: str = ""


def state_of(field: str, entry: Entry, now: int) -> RestState | None:
    """How an entry looks now; None when it is over and only its level is remembered."""
    if entry.until <= now and entry.state != "open":
        return None
    first, has_model, model = field[1:].partition("\0")
    return RestState(
        scope="provider" if not first else "connection_model" if has_model else "connection",
        kind="cooldown" if field[0] == "c" else "breaker",
        state="half_open" if entry.is_due(now) else entry.state,
        why=entry.why,
        since=entry.since / 1000,
        until=entry.until / 1000,
        level=entry.level,
        provider="" if first else model,
        connection_id=first,
        model=model if first else "",
    )


def encode_fields(entries: dict[str, Entry], fields: Sequence[str], now: int) -> bytes:
    """The order of the script's `merge`: entries with spans from now in place of instants."""
    return msgspec.json.encode(
        {
            "entries": [
                (
                    field,
                    msgspec.structs.replace(
                        entry,
                        since=entry.since - now,
                        until=entry.until - now,
                        forget=entry.forget - now,
                        prober="",
                        probe_until=0,
                    ),
                )
                for field in fields
                if (entry := entries.get(field)) is not None and entry.forget > now
            ]
        }
    )
