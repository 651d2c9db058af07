"""Any error → status, headers and body in the caller's dialect. The only place that does this."""

import math
from collections.abc import Callable, Mapping

from gateway.dialects.anthropic_messages.errors import encode_error as anthropic_error
from gateway.dialects.gemini.errors import encode_error as gemini_error
from gateway.dialects.ollama.errors import encode_error as ollama_error
from gateway.dialects.openai_chat.errors import encode_error as openai_error
from gateway.domain.dialect import CallerDialect
from gateway.domain.errors import GatewayError, UpstreamFailed
from gateway.domain.reply import Headers

_ENCODERS: Mapping[CallerDialect, Callable[[int, str, str], bytes]] = {
    "anthropic_messages": anthropic_error,
    "gemini": gemini_error,
    "ollama": ollama_error,
}


def rescue(error: GatewayError, dialect: CallerDialect, request_id: str) -> tuple[int, Headers, bytes]:
    """The answer for an error. A provider's own words about the caller's mistake are passed on as they are."""
    headers: Headers = [(b"content-type", b"application/json")]
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(error.retry_after_s))))
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if not isinstance(error, UpstreamFailed):
        headers.append((b"x-omniroute-attempts", b"0"))
    else:
        headers += _attempt_headers(error)
        if error.body and "json" in error.content_type:
            return error.status, headers, error.body
    return error.status, headers, _body(error, dialect, request_id)


def _body(error: GatewayError, dialect: CallerDialect, request_id: str) -> bytes:
    encode = _ENCODERS.get(dialect)
    if encode is not None:
        return encode(error.status, error.code, error.message)
    details: dict[str, object] = {"request_id": request_id}
    if isinstance(error, UpstreamFailed):
        details["attempts"] = error.attempts
    return openai_error(error.status, error.code, error.message, error.param, details)


def _attempt_headers(error: UpstreamFailed) -> Headers:
    headers: Headers = [(b"x-omniroute-attempts", b"%d" % len(error.attempts))]
    if error.attempts:
        last = error.attempts[-1]
        headers.append((b"x-omniroute-provider", last.provider.encode()))
        headers.append((b"x-omniroute-model", last.model.encode("ascii", "backslashreplace")))
    return headers
