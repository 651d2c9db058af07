"""Runs the shaping of a request or an answer: the loop has its turn between slices, and what was found is counted."""

import asyncio
from collections.abc import Generator, Mapping
from typing import TypeVar

import structlog

from gateway.domain.dialect import CallerDialect
from gateway.domain.shaping import Pii
from gateway.shaping.guard import Finding
from gateway.shaping.pii import Redactor
from gateway.shaping.shaper import Asked, Blocked, Shaped, Shaper, redact_answer
from gateway.telemetry.metrics import Metrics

_log = structlog.get_logger()
T = TypeVar("T")


async def shape(shaper: Shaper, body: bytes, asked: Asked, request_id: str, metrics: Metrics) -> Shaped:
    """Raises Blocked (400)."""
    mode = shaper.rules.guard.mode
    try:
        shaped = await _run(shaper.shape(body, asked))
    except Blocked as blocked:
        _tell_findings(blocked.findings, "block", request_id, metrics)
        raise
    memo = shaper.memo
    metrics.shaping_pieces.add(("known",), memo.hits)
    metrics.shaping_pieces.add(("searched",), memo.misses)
    memo.hits = memo.misses = 0
    if shaped.findings:
        _tell_findings(shaped.findings, "warn" if mode == "block" else mode, request_id, metrics)
    if shaped.pii:
        count_pii(shaped.pii, "input", metrics)
    if shaped.skipped:
        metrics.shaping_skipped.add((shaped.skipped,))
    return shaped


async def redact_whole(body: bytes, dialect: CallerDialect, rule: Pii, metrics: Metrics) -> bytes:
    """A whole answer without personal data."""
    redactor = Redactor(rule.kinds)
    body = await _run(redact_answer(body, dialect, rule, redactor))
    count_pii(redactor.found, "output", metrics)
    return body


def count_pii(found: Mapping[str, int], side: str, metrics: Metrics) -> None:
    for kind, count in found.items():
        metrics.pii_found.add((kind, side), count)


async def _run(steps: Generator[None, None, T]) -> T:
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: T = done.value
            return result
        await asyncio.sleep(0)


def _tell_findings(findings: tuple[Finding, ...], action: str, request_id: str, metrics: Metrics) -> None:
    """Names of signs only: what was said is the caller's."""
    for one in findings:
        metrics.guard_findings.add((one.sign, action))
    _log.warning("prompt_injection", request_id=request_id, action=action, signs=[one.sign for one in findings])
