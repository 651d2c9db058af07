"""Any error → status, headers and body in the caller's dialect. The only place that does this."""

import math

from gateway.accounting.explain import explained_header
from gateway.dialects.registry import CALLERS
from gateway.domain.dialect import CallerDialect
from gateway.domain.errors import GatewayError, UpstreamFailed
from gateway.domain.reply import Headers


def rescue(error: GatewayError, dialect: CallerDialect, request_id: str) -> tuple[int, Headers, bytes]:
    """The answer for an error. A provider's own words about the caller's mistake are passed on as they are."""
    headers: Headers = [(b"content-type", b"application/json")]
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(error.retry_after_s))))
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if error.decision is not None and error.shows_decision:
        attempts = error.attempts if isinstance(error, UpstreamFailed) else ()
        headers.append((b"x-omniroute-explain", explained_header(error.decision, attempts)))
    if not isinstance(error, UpstreamFailed):
        headers.append((b"x-omniroute-attempts", b"0"))
    else:
        headers += _attempt_headers(error)
        if error.body and "json" in error.content_type:
            return error.status, headers, error.body
    return error.status, headers, _body(error, dialect, request_id)


def _body(error: GatewayError, dialect: CallerDialect, request_id: str) -> bytes:
    details: dict[str, object] = {"request_id": request_id}
    if isinstance(error, UpstreamFailed):
        details["attempts"] = error.attempts
    if error.decision is not None and error.shows_decision:
        details["routing"] = error.decision
    return CALLERS[dialect].encode_error(error.status, error.code, error.message, error.param, details)


def _attempt_headers(error: UpstreamFailed) -> Headers:
    headers: Headers = [(b"x-omniroute-attempts", b"%d" % len(error.attempts))]
    if error.attempts:
        last = error.attempts[-1]
        headers.append((b"x-omniroute-provider", last.provider.encode()))
        headers.append((b"x-omniroute-model", last.model.encode("ascii", "backslashreplace")))
    return headers
