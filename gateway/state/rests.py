"""What rests, shared by all workers: cooldowns and breakers of connections, of their models, and of providers.

The table is in Redis (`scripts/rests.lua`); each worker holds a copy, asked without waiting. A change is told to all by
news, and the copy is compared every second, so lost news heals. While Redis is away the worker goes by the same rules
with its own copy (`rest_table.py`), and on return the longer rest of each two wins.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from functools import partial

import hiredis
import msgspec
import structlog

from gateway.domain.outcome import Outcome
from gateway.domain.rest import Resilience, Rest, RestKind
from gateway.domain.target import Connection, Target
from gateway.state import keys
from gateway.state.resp import RespClient, Script, StateAway
from gateway.state.rest_table import (
    Claim,
    Cool,
    Entries,
    Entry,
    Fail,
    Release,
    RestState,
    RestTable,
    Success,
    encode_fields,
    state_of,
)

_log = structlog.get_logger()

MAX_RESTS = 10_000
FIRST_SHARE = 0.1
"""Of the requests, at the start of a ramp."""

_RESTS = Script("rests")
_KEYS = (keys.RESTS, keys.RESTS_ENDS, keys.RESTS_META)
_CLOCK_WAS_SET_MS = 1_000
_SLICE = 200
"""Entries read or sent before the loop gets its turn: under a millisecond."""

_decode_entry = msgspec.json.Decoder(Entry).decode
_encode = msgspec.json.encode

_NO_ANSWER = frozenset({"unreachable", "silent"})
_NO_VERDICT = frozenset({"unsupported", "no_capacity", "draining", "blocked_address"})
_HEALTHY = frozenset({"caller_error", "context_length", "content_policy", "unknown_model"})


class Probe(msgspec.Struct, frozen=True):
    """The right to try a target whose breakers are due; give it to `succeeded`, `report` or `release`.

    Of one opening of a breaker there is one at a time. Without `fields` there was nothing left to probe: another has proved it
    meanwhile, and the request goes as any other does.
    """

    token: str
    fields: tuple[str, ...]


class _News(msgspec.Struct):
    """`before` is the version that the change was made to."""

    now: int
    v: int
    before: int
    all: bool = False
    changes: list[str] = []


_decode_news = msgspec.json.Decoder(_News).decode


class Rests:
    """One worker's view. `clock` gives monotonic seconds, `settings` what counts now, `chance` 0 ≤ x < 1.

    `profiles` are the rules of providers that have their own, by id.
    """

    def __init__(
        self,
        redis: RespClient,
        worker: str,
        clock: Callable[[], float],
        settings: Callable[[], Resilience],
        chance: Callable[[], float] = random.random,
        profiles: Callable[[], Mapping[str, Resilience]] = dict,
    ) -> None:
        self._redis = redis
        self._worker = worker
        self._clock = clock
        self._settings = settings
        self._chance = chance
        self._profiles = profiles
        self._table = RestTable(MAX_RESTS)
        self._offset_ms = 0
        self._version = -1
        self._run_id = b""
        self._alone: set[str] = set()
        self._meanwhile: list[tuple[str, str, int]] | None = None
        self._well: dict[str, list[int]] = {}  # field -> [successes since the last failure, ms until it counts]
        self._claims = 0

    @property
    def resting(self) -> int:
        """Entries known, those that are over and only remembered among them."""
        return len(self._table.entries)

    @property
    def failing(self) -> int:
        """Targets and connections with failures in the last window."""
        return len(self._well)

    @property
    def subjects(self) -> Mapping[str, int]:
        """Ids of connections, and a NUL with a provider's, of which anything is in the table."""
        return self._table.entries.subjects

    def is_resting(self, connection: Connection, model: str) -> Rest | None:
        """Whether a target must be left alone now, and why: the longest of the rests that count for it.

        While a breaker ramps each call decides anew by chance. A Rest that `may_probe` asks for `claim`.
        """
        entries = self._table.entries
        if connection.id not in entries.subjects and "\0" + connection.provider not in entries.subjects:
            return None  # true of most, also while something else rests
        found = [entry for field in _fields(connection, model) if (entry := entries.get(field)) is not None]
        return self._judged(found) if found else None

    async def report(self, target: Target, outcome: Outcome, *, probe: Probe | None = None) -> None:
        """What a failed attempt means for who rests. Waits for Redis 50 ms at most; never fails."""
        orders = self._orders(target, outcome, probe.token if probe else "")
        if probe is not None:
            self._end_probe(target, probe, outcome, {name for order in orders for name in _named(order)})
        for order in orders:
            await self._obey(target, order)

    def succeeded(self, target: Target, *, probe: Probe | None = None) -> None:
        """An attempt went well (at its first useful byte, say). Free when nothing is known against the target."""
        entries = self._table.entries
        if not entries and not self._well:
            return
        connection, now = target.connection, self._now()
        fields = _fields(connection, target.model)
        if self._well:
            for field in fields[2:4]:
                if (well := self._well.get(field)) is not None:
                    well[0] += 1
        due = tuple(
            field
            for field in fields
            if (entry := entries.get(field)) is not None and entry.until <= now and entry.state != "ramping"
        )
        if due or probe is not None:
            self._close(tuple(dict.fromkeys(due + (probe.fields if probe else ()))), self._rules(target))

    async def claim(self, target: Target) -> Probe | None:
        """The one probe of the cluster for a target that `may_probe`; None when another has it. Waits 50 ms at most."""
        self._claims += 1
        fields = _fields(target.connection, target.model)[2:]
        order = Claim(fields, f"{self._worker}:{self._claims}", _ms(self._rules(target).probe_s))
        verdict = await self._tell("probe", order)
        if verdict is None:
            claimed = self._table.claim(order, self._now())
            verdict = 0 if claimed is None else 1 if claimed else 2
        if not verdict:
            return None
        return Probe(order.token, fields if verdict == 1 else ())

    def release(self, probe: Probe) -> None:
        """Give a probe back that proved nothing: its request went away, or was never sent."""
        order = Release(probe.fields, probe.token)
        self._table.release(order, self._now())
        self._tell_soon("release", order)

    def heard(self, message: str | bytes) -> None:
        """News of kind `rest`, with or without that word before it: another worker, or the admin, changed the table."""
        text = message.encode() if isinstance(message, str) else message
        try:
            news = _decode_news(text.removeprefix(b"rest:"))
        except (msgspec.DecodeError, msgspec.ValidationError):
            self._version = -1
            return
        if news.all:
            self._table.entries.clear()
            self._table.failures.clear()
            self._alone.clear()
            self._well.clear()
            if self._meanwhile is not None:
                self._meanwhile.clear()
                self._meanwhile.append(("", "", news.v))
        for field, text_of_entry in zip(news.changes[::2], news.changes[1::2], strict=False):
            self._learn_entry(field, text_of_entry, news.v)
        self._version = news.v if news.before == self._version else -1

    async def refresh(self) -> None:
        """Compare with the shared table, and bring what was decided alone. Once a second, and when Redis is back."""
        now = self._now()
        self._table.sweep(now)
        for field in [field for field, (_, until) in self._well.items() if until <= now]:
            del self._well[field]
        if not self._redis.is_up:
            return
        if self._run_id not in (b"", self._redis.run_id):
            self._alone.update(self._table.entries)  # another server process: it may have lost what this worker knows
        self._run_id = self._redis.run_id
        await self._bring()
        await self._read()

    def states(self) -> list[RestState]:
        """What rests, as this worker sees it; instants by the server's clock."""
        now = self._now()
        return [state for field, entry in self._table.entries.items() if (state := state_of(field, entry, now))]

    def _rules(self, target: Target) -> Resilience:
        return self._profiles().get(target.connection.provider) or self._settings()

    def _now(self) -> int:
        return int(self._clock() * 1000) + self._offset_ms

    def _judged(self, found: list[Entry]) -> Rest | None:
        now = self._now()
        blocking = due = ramping = None
        blocked_until, share = now, 1.0
        for entry in found:
            if entry.state == "ramping":
                if entry.until > now:
                    part = max(FIRST_SHARE, (now - entry.since) / max(1, entry.until - entry.since))
                    ramping, share = (entry, part) if part <= share else (ramping, share)
                continue
            until = entry.until
            if entry.is_due(now):
                due, until = entry, entry.probe_until
            if until > blocked_until:
                blocking, blocked_until = entry, until
        if blocking is not None:
            return self._rest(blocking, blocked_until, now)
        if due is not None:
            return self._rest(due, now, now, may_probe=True)
        if ramping is not None and self._chance() >= share:
            return self._rest(ramping, now, now, is_ramping=True)
        return None

    def _rest(self, entry: Entry, until: int, now: int, *, may_probe: bool = False, is_ramping: bool = False) -> Rest:
        kind: RestKind = "cooldown" if entry.state == "cooling" else "breaker"
        return Rest(kind, entry.why, (until - self._offset_ms) / 1000, (until - now) / 1000, may_probe, is_ramping)

    def _orders(self, target: Target, outcome: Outcome, token: str) -> list[Cool | Fail]:
        """The policy: what an outcome makes rest, and how long."""
        rules, connection, why = self._rules(target), target.connection, outcome.name
        hint_s = outcome.retry_after_s or 0.0
        cool_connection, cool_target, on_target, on_connection, on_provider = _fields(connection, target.model)
        if outcome.cools == "nothing":
            return []
        if why == "auth":
            return [self._fail(rules, on_connection, why, token, 1, rules.auth_s, rules.auth_max_s)]
        if why == "quota":
            if hint_s > 0:
                return [Cool(cool_connection, why, _ms(min(hint_s, rules.quota_max_s)), 0, 0, 0.0)]
            return [self._fail(rules, on_connection, why, token, 1, rules.quota_s, rules.retry_after_max_s)]
        if why == "unknown_model":
            span = _ms(rules.unknown_model_s)
            return [Cool(cool_target, why, 0, span, span, 0.0, step=0)]
        hint = _ms(min(hint_s, rules.retry_after_max_s))
        if why == "rate_limited":
            field = cool_target if outcome.cools == "connection_model" else cool_connection
            return [Cool(field, why, hint, _ms(rules.cooldown_s), _ms(rules.cooldown_max_s), self._chance())]
        if outcome.cools == "connection":
            order = self._fail(rules, on_connection, why, token, rules.connect_failures)
            if not connection.proxy:  # a proxy of its own may be all that is wrong
                order = msgspec.structs.replace(
                    order, provider=on_provider, connection=connection.id, connections=rules.provider_connections
                )
            return [order]
        field = on_provider if outcome.cools == "provider" else on_target
        counted: list[Cool | Fail] = [self._fail(rules, field, why, token, rules.failures)]
        return counted + ([Cool(cool_target, why, hint, 0, 0, 0.0)] if hint else [])

    def _fail(
        self, rules: Resilience, field: str, why: str, token: str, need: int, base_s: float = 0.0, max_s: float = 0.0
    ) -> Fail:
        well = self._well.get(field)
        return Fail(
            field=field,
            why=why,
            need=need,
            window=_ms(rules.window_s),
            share=rules.failure_share,
            successes=well[0] if well else 0,
            base=_ms(base_s or rules.open_s),
            max=_ms(max_s or rules.open_max_s),
            memory=_ms(max(rules.window_s, max_s)),
            token=token,
        )

    async def _obey(self, target: Target, order: Cool | Fail) -> None:
        if isinstance(order, Cool):
            verdict = await self._tell("cool", order)
            if verdict is None:
                self._alone.update(self._table.cool(order, self._now()))
            elif verdict == 0:
                self._table.cool(order, self._now())
            return
        if order.need > 1:
            self._well[order.field] = [0, self._now() + order.window]
            if len(self._well) > MAX_RESTS:
                del self._well[next(iter(self._well))]
        failures = keys.rest_failures(order.field[1:])
        if await self._tell("fail", order, failures, keys.rest_unreachable(target.connection.provider)) is None:
            self._alone.update(self._table.fail(order, self._now()))

    def _end_probe(self, target: Target, probe: Probe, outcome: Outcome, failed: set[str]) -> None:
        """What a failed probe proves for the breakers that it did not fail for: well, or nothing."""
        others = [field for field in probe.fields if field not in failed]
        held = [(field, entry) for field in others if (entry := self._table.entries.get(field)) is not None]
        well = tuple(field for field, entry in held if _proves(outcome.name, entry.why))
        if well:
            self._close(well, self._rules(target))
        if rest := tuple(field for field in others if field not in well):
            self.release(Probe(probe.token, rest))

    def _close(self, fields: tuple[str, ...], rules: Resilience) -> None:
        order = Success(fields, _ms(rules.ramp_s), _ms(rules.window_s))
        self._table.succeed(order, self._now())
        self._tell_soon("succeed", order)

    async def _tell(self, verb: str, order: msgspec.Struct | bytes, *more_keys: str) -> int | None:
        """The script's verdict; None while Redis is away."""
        body = order if isinstance(order, bytes) else _encode(order)
        try:
            answer = await self._redis.run(_RESTS, (*_KEYS, *more_keys), (verb, body, keys.NEWS, MAX_RESTS))
        except StateAway:
            return None
        except hiredis.ReplyError as error:
            _log.error("rests_refused", verb=verb, cause=str(error))
            return None
        return self._learn(answer)

    def _tell_soon(self, verb: str, order: msgspec.Struct) -> None:
        """As `_tell`, and nobody waits for it."""
        arguments = (len(_KEYS), *_KEYS, verb, _encode(order), keys.NEWS, MAX_RESTS)
        try:
            told = self._redis.send("EVALSHA", _RESTS.sha, *arguments)
        except StateAway:
            return
        told.add_done_callback(partial(self._told, arguments, True))

    def _told(self, arguments: tuple[str | bytes | int, ...], may_load: bool, done: "asyncio.Future[object]") -> None:
        if done.cancelled() or done.exception() is not None:
            return
        answer = done.result()
        if isinstance(answer, list):
            self._learn(answer)
        elif may_load and isinstance(answer, hiredis.ReplyError) and str(answer).startswith("NOSCRIPT"):
            try:
                told = self._redis.send("EVAL", _RESTS.text, *arguments)
            except StateAway:
                return
            told.add_done_callback(partial(self._told, arguments, False))

    def _learn(self, answer: object) -> int:
        assert isinstance(answer, list)
        server_now, version, verdict, changes = answer
        self._set_clock(server_now)
        for field, text in zip(changes[::2], changes[1::2], strict=True):
            self._learn_entry(field.decode(), text.decode(), version)
        return int(verdict)

    def _learn_entry(self, field: str, text: str, version: int) -> None:
        """Take one change over, unless a later one is known. What was decided alone stays while it is the longer."""
        if self._meanwhile is not None:
            self._meanwhile.append((field, text, version))
        entries = self._table.entries
        known = entries.get(field)
        if not text:
            if known is not None and known.v < version and field not in self._alone:
                del entries[field]
            return
        entry = _decode_entry(text)
        if known is not None and (known.v > entry.v or (field in self._alone and known.until > entry.until)):
            return
        if known is not None or len(entries) < 2 * MAX_RESTS:
            self._alone.discard(field)
            entries[field] = entry

    def _set_clock(self, server_now: int) -> None:
        """Go by the server's clock. Was it set, or is this its first word, entries keep the time that is left."""
        offset_ms = server_now - int(self._clock() * 1000)
        by = offset_ms - self._offset_ms
        self._offset_ms = offset_ms
        if abs(by) > _CLOCK_WAS_SET_MS:
            self._version = -1
            self._table.shift(by)
            for well in self._well.values():
                well[1] += by

    async def _bring(self) -> None:
        waiting = sorted(self._alone & self._table.entries.keys())
        self._alone.intersection_update(waiting)
        for start in range(0, len(waiting), _SLICE):
            batch = waiting[start : start + _SLICE]
            shared = {field: self._table.entries[field] for field in batch if field in self._table.entries}
            if await self._tell("merge", encode_fields(shared, batch, self._now())) is None:
                return
            self._alone.difference_update(
                field for field in batch if self._table.entries.get(field) == shared.get(field)
            )

    async def _read(self) -> None:
        self._meanwhile = []
        try:
            order = _encode({"known": self._version})
            answer = await self._redis.run(_RESTS, _KEYS, ("read", order, keys.NEWS, MAX_RESTS))
            assert isinstance(answer, list)
            server_now, version, verdict, found = answer
            self._set_clock(server_now)
            if not verdict:
                self._version = version
                return
            if not version:
                self._alone.update(self._table.entries)  # it was emptied; brought within a second
                return
            await self._replace(found, version)
        except (StateAway, hiredis.ReplyError):
            return
        finally:
            self._meanwhile = None

    async def _replace(self, found: list[bytes], version: int) -> None:
        entries = Entries()
        for start in range(0, len(found), 2 * _SLICE):
            part = found[start : start + 2 * _SLICE]
            for field, text in zip(part[::2], part[1::2], strict=True):
                entries[field.decode()] = _decode_entry(text)
            if start + 2 * _SLICE < len(found):
                await asyncio.sleep(0)
        meanwhile, self._meanwhile = self._meanwhile or [], None
        if any(not field and later > version for field, _, later in meanwhile):
            entries.clear()
        before = self._table.entries
        kept = {
            field: before[field]
            for field in self._alone
            if field in before and (field not in entries or entries[field].until < before[field].until)
        }
        for name, longer in kept.items():
            entries[name] = longer
        self._table.entries = entries
        self._alone.intersection_update(kept)
        for name, change, later in meanwhile:
            if name and later > version:
                self._learn_entry(name, change, later)
        self._version = version


def _fields(connection: Connection, model: str) -> tuple[str, str, str, str, str]:
    """Where rests of a target are in the table: cooldown of connection and target; breaker of target, connection, provider."""
    own = connection.id
    target = f"{own}\0{model}"
    return "c" + own, "c" + target, "b" + target, "b" + own, "b\0" + connection.provider


def _named(order: Cool | Fail) -> tuple[str, ...]:
    return (order.field, order.provider) if isinstance(order, Fail) and order.provider else (order.field,)


def _proves(outcome: str, why: str) -> bool:
    """Whether a probe that failed so shows that the cause of a breaker is over."""
    if outcome in _NO_ANSWER or outcome in _NO_VERDICT:
        return False
    if why in _NO_ANSWER:
        return True
    if why == "quota":
        return False
    return outcome in _HEALTHY or outcome == "rate_limited"


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
