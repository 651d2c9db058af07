"""Who is to blame for a failed attempt, what should rest, and who is tried next. Pure; the tables are the policy.

`commit` has not happened for any of these. Outcome names are a closed list (labels of `omniroute_attempts_total`).
"""

from collections.abc import Mapping

from gateway.domain.outcome import Next, Outcome, Scope
from gateway.upstream.hints import hints_of
from gateway.upstream.seam import FaultKind

_CONTEXT_WORDS = (
    "context_length", "context length", "maximum context", "too many tokens", "string_above_max_length", "context window",
    "prompt is too long", "exceed context limit", "maximum number of tokens allowed",
)  # fmt: skip
_POLICY_WORDS = (
    "content_policy", "content_filter", "content management policy", "content filtering policy", "safety system",
    "violating our usage policy",
)  # fmt: skip
_PREFILL_WORDS = (
    "assistant message prefill",
    "prefilling assistant",
    "prefill is not supported",
    "not support prefill",
)
_QUOTA_WORDS = ("insufficient_quota", "quota exceeded", "exceeded your current quota", "billing", "credit balance")
_MODEL_WORDS = ("model_not_found", "does not exist", "unknown model", "no such model", "model not found")
_STREAM_OPTION_WORDS = ("stream_options", "include_usage")

# status -> (name, cools, then, status for the caller, code)
_BY_STATUS: Mapping[int, tuple[str, Scope, Next, int, str]] = {
    400: ("caller_error", "nothing", "stop", 400, "invalid_request"),
    413: ("caller_error", "nothing", "stop", 413, "request_too_large"),
    415: ("caller_error", "nothing", "stop", 400, "invalid_request"),
    422: ("caller_error", "nothing", "stop", 422, "invalid_request"),
    401: ("auth", "connection", "next", 502, "upstream_auth"),
    403: ("auth", "connection", "next", 502, "upstream_auth"),
    402: ("quota", "connection", "next", 503, "upstream_quota"),
    404: ("unknown_model", "connection_model", "next", 404, "model_not_found"),
    408: ("rate_limited", "connection", "next", 504, "upstream_timeout"),
    409: ("rate_limited", "connection", "next", 503, "upstream_conflict"),
    425: ("rate_limited", "connection", "next", 503, "upstream_conflict"),
    429: ("rate_limited", "connection", "next", 429, "rate_limit_exceeded"),
    500: ("server_error", "breaker", "next", 502, "upstream_error"),
    502: ("server_error", "breaker", "next", 502, "upstream_error"),
    503: ("server_error", "breaker", "next", 503, "upstream_unavailable"),
    504: ("server_error", "breaker", "next", 504, "upstream_timeout"),
    529: ("server_error", "breaker", "next", 503, "upstream_overloaded"),
}

_BY_FAULT: Mapping[FaultKind, tuple[str, Scope, Next, int, str]] = {
    "refused": ("unreachable", "connection", "next", 502, "upstream_unreachable"),
    "dns": ("unreachable", "connection", "next", 502, "upstream_unreachable"),
    "connect_timeout": ("unreachable", "connection", "next", 504, "upstream_timeout"),
    "blocked_address": ("blocked_address", "nothing", "next", 502, "upstream_blocked"),
    "tls": ("unreachable", "connection", "next", 502, "upstream_tls"),
    "headers_timeout": ("silent", "connection", "next", 504, "upstream_timeout"),
    "first_event_timeout": ("silent", "connection", "next", 504, "upstream_timeout"),
    "gap_timeout": ("silent", "breaker", "next", 504, "upstream_timeout"),
    "total_timeout": ("silent", "breaker", "stop", 504, "upstream_timeout"),
    "reset": ("cut", "breaker", "next", 502, "upstream_cut"),
    "protocol": ("broken_answer", "breaker", "next", 502, "upstream_invalid_answer"),
    "too_large": ("broken_answer", "nothing", "stop", 502, "upstream_answer_too_large"),
    "no_capacity": ("no_capacity", "nothing", "stop", 503, "overloaded"),
    "draining": ("draining", "nothing", "stop", 503, "shutting_down"),
}


UNSUPPORTED = Outcome(name="unsupported", cools="nothing", then="next", status=400, code="unsupported_by_target")
"""The target cannot do what the request asks for: it was not called, or said so itself."""
REFUSES_PREFILL = Outcome(
    name="unsupported", cools="nothing", then="next", status=400, code="unsupported_by_target", is_callers_fault=True
)
"""It was asked to go on with words of the assistant's, which other models do."""

FILTERED = Outcome(
    name="content_policy",
    cools="nothing",
    then="stop",
    status=400,
    code="content_policy_violation",
    is_callers_fault=True,
)
"""An answer that is nothing but the reason why there is none; it is one unless a combo goes on after it."""


def of_status(
    status: int, headers: Mapping[str, str], body: bytes, *, is_limited_by_model: bool, now: float = 0.0
) -> Outcome:
    """Judge an answer with a status other than 200. `body` is at most its first 64 KiB; `now` unix seconds, for dates."""
    text = body[:4096].decode("utf-8", "replace").lower()
    name, cools, then, to_caller, code = _BY_STATUS.get(status) or _other(status)
    if status in (400, 422) and any(word in text for word in _PREFILL_WORDS):
        return REFUSES_PREFILL
    if status in (400, 413, 422):
        name, code = _callers_fault(text, name, code)
        if any(word in text for word in _MODEL_WORDS) and "model" in text:
            name, cools, then, to_caller, code = _BY_STATUS[404]
    elif status in (403, 429) and any(word in text for word in _QUOTA_WORDS):
        name, cools, then, to_caller, code = _BY_STATUS[402]
        to_caller = 429 if status == 429 else to_caller
    if name == "rate_limited" and is_limited_by_model:
        cools = "connection_model"
    return Outcome(
        name=name,
        cools=cools,
        then=then,
        status=to_caller,
        code=code,
        retry_after_s=hints_of(headers, body, now).retry_after_s,
        is_callers_fault=then == "stop" and 400 <= status < 500,
    )


def of_fault(kind: FaultKind) -> Outcome:
    """Judge a call that broke below HTTP, or ran out of time."""
    name, cools, then, status, code = _BY_FAULT[kind]
    return Outcome(name=name, cools=cools, then=then, status=status, code=code)


def of_bad_answer(kind: str, error_status: int, said: bytes = b"") -> Outcome:
    """Judge what came under a status of 200 and is no answer: an error object, a page, nothing.

    `said` is the error itself: some providers refuse what is the caller's fault in the first event of a stream.
    """
    if kind == "error" and error_status in (0, 400):
        text = said[:4096].decode("utf-8", "replace").lower()
        if error_status or _callers_fault(text, "", "")[0]:
            return of_status(400, {}, said, is_limited_by_model=False)
    if error_status:
        return of_status(error_status, {}, b"", is_limited_by_model=False)
    name = {"error": "error_in_200", "empty": "empty_answer"}.get(kind, "broken_answer")
    return Outcome(name=name, cools="breaker", then="next", status=502, code="upstream_invalid_answer")


def refuses_stream_options(status: int, body: bytes) -> bool:
    """A 400 about `stream_options`, which the gateway added: the target is asked again without it."""
    text = body[:4096].decode("utf-8", "replace").lower()
    return status in (400, 422) and any(word in text for word in _STREAM_OPTION_WORDS)


def _callers_fault(text: str, name: str, code: str) -> tuple[str, str]:
    if any(word in text for word in _CONTEXT_WORDS):
        return "context_length", "context_length_exceeded"
    if any(word in text for word in _POLICY_WORDS):
        return "content_policy", "content_policy_violation"
    return name, code


def _other(status: int) -> tuple[str, Scope, Next, int, str]:
    if 400 <= status < 500:
        return "caller_error", "nothing", "stop", status, "invalid_request"
    if status >= 500:
        return _BY_STATUS[500]
    return "broken_answer", "breaker", "next", 502, "upstream_invalid_answer"
