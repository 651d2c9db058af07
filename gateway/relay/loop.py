"""The attempt loop, one for every path: targets in the plan's order until one commits.

Before an attempt a target is asked for: is it resting, has its connection a slot. After it, what came of it is told to
all workers (`state/rests.py`), and the slot is given back. A target may be asked twice: where its combo says so
(`max_retries`), and, when nothing else is left, one that has said to come back within seconds.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import msgspec

from gateway.domain.errors import CallerGone, UpstreamFailed
from gateway.domain.outcome import Outcome
from gateway.domain.record import AttemptRecord
from gateway.domain.retrying import RetryBudget
from gateway.domain.target import Target
from gateway.relay.attempt import Attempts, Committed, Failed
from gateway.relay.classify import UNSUPPORTED
from gateway.relay.exchange import Exchange
from gateway.relay.retries import Retries
from gateway.relay.standing import Standing
from gateway.relay.waiting import SlotLines
from gateway.routing.plan import SHORT_REST_S, Plan
from gateway.state.rests import Probe, Rests
from gateway.state.slots import FREE, NoSlot, Slot, Slots
from gateway.state.tier_money import TierMoney
from gateway.telemetry.metrics import Metrics
from gateway.upstream.hints import hints_of

_LIMIT_HEADERS = frozenset(
    {
        "x-ratelimit-remaining-requests", "x-ratelimit-remaining-tokens", "x-ratelimit-remaining", "ratelimit-remaining",
        "anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-tokens-remaining",
    }
)  # fmt: skip
_NONE: frozenset[str] = frozenset()
_REPEATABLE = frozenset({"server_error", "cut", "empty_answer", "error_in_200", "broken_answer"})
"""Failures that `max_retries` is for. Who was silent would be again, who named a time means it."""
_PAUSE_S = 0.5
"""At most before a target is asked a second time; doubles, and half of it is chance."""
_RESTING = Outcome(name="resting", cools="nothing", then="next", status=503, code="all_resting")
_NO_SLOT = Outcome(name="no_slot", cools="nothing", then="next", status=429, code="rate_limit_exceeded")


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the loop asks and tells about targets, built once a worker."""

    standing: Standing
    rests: Rests
    slots: Slots
    lines: SlotLines
    retries: Retries = field(default_factory=lambda: Retries(RetryBudget, time.monotonic, random.random))
    tiers: TierMoney | None = None


async def relay(
    exchange: Exchange,
    plan: Plan,
    attempts: Attempts,
    metrics: Metrics,
    traffic: Traffic,
    on_nudge: Callable[[], Awaitable[None]],
) -> Committed:
    """Try each target in turn. Raises UpstreamFailed with the first real cause and all attempts, CallerGone, or an empty plan's refusal.

    The slot of the target that commits stays taken: `exchange.slot`, to be left at the end.
    """
    first: Failed | None = None
    not_tried: Failed | None = None
    callers: Failed | None = None
    if plan.goes_on_after:
        exchange.goes_on_after = plan.goes_on_after
    in_vain = _NONE
    """Models that have refused what the caller sent: the same one at another connection would too."""
    traffic.retries.requests += 1
    left, again = deque(plan.targets), _Again(plan.max_retries)
    number, patience_s = 0, traffic.lines.patience_s
    while left or await again.waits_for_the_soonest(exchange, left, traffic):
        target = left.popleft()
        if in_vain and target.model in in_vain:
            continue
        number += 1
        started_at = time.monotonic()
        is_last = not left
        has_called = first is not None and first.outcome.name != UNSUPPORTED.name
        if first is not None and has_called and traffic.retries.is_spent:
            first = _no_more(exchange, target, first, traffic, metrics)
            break
        probe: Probe | None = None
        refused: Failed | None = None
        if traffic.rests.resting:
            probe, refused = await _may_try(
                exchange, target, traffic, is_last=is_last and (first is None or again.has_waited)
            )
        slot = FREE
        if refused is None and traffic.slots.has_limits(target.connection):
            try:
                slot, refused = await _slot(exchange, target, traffic, f"{exchange.request_id}:{number}", patience_s)
            except BaseException:  # cancelled while it waits: another may probe
                if probe is not None:
                    traffic.rests.release(probe)
                raise
        if refused is not None:
            if probe is not None:
                traffic.rests.release(probe)
            now = time.monotonic()
            patience_s = max(0.0, patience_s - (now - started_at))
            _note(exchange, target, refused.outcome.name, started_at, now, refused, metrics)
            not_tried = not_tried or refused
            if exchange.has_caller_left:
                raise CallerGone
            continue
        if has_called:
            traffic.retries.made()
            metrics.retries.add(("made",))
        has_choice = len(plan.targets) > 1  # what is never compared need not be measured
        result = await _attempt(
            exchange, target, attempts, metrics, traffic, on_nudge, probe, slot, is_last=is_last, is_measured=has_choice
        )
        if isinstance(result, Committed):
            return result
        if first is None or first.outcome.name == UNSUPPORTED.name:
            first = result  # what a target cannot do is no cause as long as another one might have
        if result.outcome.name in plan.goes_on_after:
            callers = callers or result
            in_vain |= {target.model}
        elif result.outcome.then == "stop":
            callers = result
            break
        if exchange.has_caller_left:
            raise CallerGone
        if await again.is_wanted(exchange, target, result.outcome, traffic):
            left.appendleft(target)
    cause = callers or first or not_tried
    if cause is None:
        assert plan.refusal is not None
        raise plan.refusal
    exchange.target = exchange.target or plan.targets[0]
    raise _as_error(cause, exchange, _back_after_s(plan, traffic) if cause.outcome.status == 429 else None)


def _back_after_s(plan: Plan, traffic: Traffic) -> float | None:
    """How soon the first of the targets that rest is back, for a caller whose provider named no time."""
    rests = (traffic.rests.is_resting(target.connection, target.model) for target in plan.targets)
    return min((rest.left_s for rest in rests if rest is not None), default=None)


class _Again:
    """Which targets of one request are asked a second time, and when."""

    def __init__(self, max_retries: int) -> None:
        self._max_retries = max_retries
        self._target: Target | None = None
        self._tries = 0
        self._soonest: tuple[float, Target] | None = None
        self.has_waited = False
        """Whether the request has waited for a target that named a time; once is enough."""

    async def is_wanted(self, exchange: Exchange, target: Target, outcome: Outcome, traffic: Traffic) -> bool:
        """Whether the target that has just failed is asked again at once; waits its pause. Raises CallerGone."""
        if outcome.then == "next" and outcome.retry_after_s is not None and outcome.retry_after_s <= SHORT_REST_S:
            ready_at = time.monotonic() + outcome.retry_after_s
            if self._soonest is None or ready_at < self._soonest[0]:
                self._soonest = ready_at, target
        if not self._max_retries or outcome.name not in _REPEATABLE or outcome.retry_after_s is not None:
            return False
        if target is not self._target:
            self._target, self._tries = target, 0
        if self._tries >= self._max_retries:
            return False
        self._tries += 1
        pause_s = _PAUSE_S * 2 ** (self._tries - 1) * random.uniform(0.5, 1.0)
        return await _waited(exchange, min(pause_s, SHORT_REST_S), traffic)

    async def waits_for_the_soonest(self, exchange: Exchange, left: deque[Target], traffic: Traffic) -> bool:
        """When nothing is left, once: wait for the target that said to come back soonest, and put it there. Raises CallerGone."""
        if self._soonest is None or self.has_waited:
            return False
        self.has_waited = True
        ready_at, target = self._soonest
        if not await _waited(exchange, max(0.0, ready_at - time.monotonic()), traffic):
            return False
        left.append(target)
        return True


async def _waited(exchange: Exchange, for_s: float, traffic: Traffic) -> bool:
    """False without waiting when no further call may follow: its deadline is nearer, or too many were made. Raises CallerGone."""
    if time.monotonic() + for_s >= exchange.started_at + exchange.timeouts.total_s or traffic.retries.is_spent:
        return False
    await _wait(exchange, for_s)
    if exchange.has_caller_left:
        raise CallerGone
    return True


async def _attempt(
    exchange: Exchange,
    target: Target,
    attempts: Attempts,
    metrics: Metrics,
    traffic: Traffic,
    on_nudge: Callable[[], Awaitable[None]],
    probe: Probe | None,
    slot: Slot,
    *,
    is_last: bool,
    is_measured: bool,
) -> Committed | Failed:
    """One attempt, and what follows from it for the target."""
    standing, started_at = traffic.standing, time.monotonic()
    if is_measured:
        standing.begun(target)
    result: Committed | Failed | None = None
    try:
        result = await attempts.make(exchange, target, on_nudge, is_last=is_last)
    except CallerGone:
        exchange.target = target
        _note(exchange, target, "caller_left", started_at, time.monotonic(), None, metrics)
        raise
    finally:
        if not isinstance(result, Committed):
            if is_measured:
                standing.ended(target)
            traffic.lines.leave(slot, "over" if result is not None and result.status in (429, 529) else "")
            if result is None and probe is not None:
                traffic.rests.release(probe)
    ended_at = time.monotonic()
    _learn(exchange, target, traffic)
    if isinstance(result, Committed):
        exchange.target, exchange.slot, exchange.first_s = target, slot, ended_at - started_at
        _note(exchange, target, "committed", started_at, ended_at, None, metrics, result.asking.notes)
        traffic.rests.succeeded(target, probe=probe)
        if is_measured:
            standing.answered(target, exchange.first_s, 0.0, 0)
        return result
    _note(exchange, target, result.outcome.name, started_at, ended_at, result, metrics)
    await traffic.rests.report(target, result.outcome, probe=probe)
    return result


async def _may_try(
    exchange: Exchange, target: Target, traffic: Traffic, *, is_last: bool
) -> tuple[Probe | None, Failed | None]:
    """Leave resting targets alone; wait for the last one if its rest is short."""
    rest = traffic.rests.is_resting(target.connection, target.model)
    if rest is None:
        return None, None
    if not rest.may_probe and is_last and not rest.is_ramping and rest.left_s <= SHORT_REST_S:
        await _wait(exchange, rest.left_s)
        rest = traffic.rests.is_resting(target.connection, target.model)
        if rest is None:
            return None, None
    if rest.may_probe:
        probe = await traffic.rests.claim(target)
        if probe is not None:
            return probe, None
    if rest.is_ramping and is_last:
        return None, None
    text = f"the target rests after failures ({rest.why}); it is tried again in {max(1.0, rest.left_s):.0f} s"
    return None, Failed(_after(_RESTING, max(1.0, rest.left_s)), text)


async def _wait(exchange: Exchange, for_s: float) -> None:
    """Until the time is over or the caller has left."""
    left = asyncio.Event()
    exchange.waits_as, exchange.on_left = "rest", lambda _: left.set()
    try:
        async with asyncio.timeout(for_s):
            await left.wait()
    except TimeoutError:
        return
    finally:
        exchange.waits_as = ""


async def _slot(
    exchange: Exchange, target: Target, traffic: Traffic, hold_id: str, patience_s: float
) -> tuple[Slot, Failed | None]:
    exchange.waits_as = hold_id
    exchange.on_left = traffic.lines.caller_left
    try:
        taken = await traffic.lines.take(target.connection, hold_id, patience_s)
    finally:
        exchange.waits_as = ""
    if isinstance(taken, NoSlot):
        text = f"the connection is at its limit ({taken.reason})"
        return FREE, Failed(_after(_NO_SLOT, taken.wait_s or 1.0), text)
    return taken, None


def _no_more(exchange: Exchange, target: Target, first: Failed, traffic: Traffic, metrics: Metrics) -> Failed:
    """The worker has made as many further calls as it may: the first cause stands, with a time to come back."""
    now = time.monotonic()
    metrics.retries.add(("refused",))
    outcome = Outcome(name="no_retry_budget", cools="nothing", then="stop", status=503, code="")
    text = "not asked: so many requests fail now that the gateway makes no further calls for them"
    _note(exchange, target, outcome.name, now, now, Failed(outcome, text), metrics)
    wait_s = first.outcome.retry_after_s or traffic.retries.wait_s()
    return msgspec.structs.replace(first, outcome=_after(first.outcome, wait_s))


def _learn(exchange: Exchange, target: Target, traffic: Traffic) -> None:
    """What the provider's headers say of its limits; most say nothing."""
    headers = exchange.call.headers if exchange.call is not None else {}
    if not _LIMIT_HEADERS.isdisjoint(headers):
        traffic.slots.learn(target.connection, hints_of(headers, b"", time.time()))


def _after(outcome: Outcome, retry_after_s: float) -> Outcome:
    return msgspec.structs.replace(outcome, retry_after_s=retry_after_s)


def _note(
    exchange: Exchange,
    target: Target,
    outcome: str,
    started_at: float,
    ended_at: float,
    failed: Failed | None,
    metrics: Metrics,
    dropped: tuple[str, ...] = (),
) -> None:
    connection = target.connection
    metrics.attempts.add((connection.provider, outcome))
    if exchange.trace is not None:
        exchange.trace.attempted(started_at, ended_at)
    exchange.attempts.append(
        AttemptRecord(
            provider=connection.provider,
            connection_id=connection.id,
            model=target.model,
            outcome=outcome,
            status=failed.status if failed else 0,
            duration_ms=round((ended_at - started_at) * 1000, 2),
            error=failed.message[:300] if failed else "",
            dropped=dropped,
            proxy=connection.proxy_shown,
            proxy_level=connection.proxy_level,
        )
    )


def _as_error(failed: Failed, exchange: Exchange, back_after_s: float | None) -> UpstreamFailed:
    outcome = failed.outcome
    return UpstreamFailed(
        failed.message,
        status=outcome.status,
        code=outcome.code,
        attempts=tuple(exchange.attempts),
        retry_after_s=outcome.retry_after_s if outcome.retry_after_s is not None else back_after_s,
        body=failed.body if outcome.is_callers_fault else b"",
        content_type=failed.content_type,
    )
