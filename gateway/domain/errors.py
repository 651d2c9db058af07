"""Our own errors, one closed tree. Only `edge/rescue.py` turns one into bytes, in the caller's dialect.

GatewayError            status code             what happened
├─ BadRequest           400    by case          the request cannot be understood
├─ Unauthorized         401    invalid_api_key  checked and wrong
├─ Forbidden            403    by case          a valid key that may not do this
├─ NotFound             404    by case          no such path or model
├─ MethodNotAllowed     405    method_not_allowed
├─ RequestTimeout       408    request_timeout  the caller's body did not arrive in time
├─ Conflict             409    by case          the same Idempotency-Key with another request
├─ BodyTooLarge         413    request_too_large
├─ UnsupportedBody      415    by case          compressed, or not JSON
├─ OverLimit            429    by case          a limit of the key: rate_limit_exceeded or budget_exceeded
├─ AddressOverLimit     429    address_rate_limited  too many requests from one address
├─ NotBuilt             501    not_implemented  a path of the API that is not there yet
├─ Unavailable          503    by case          we cannot check or serve now; `retry_after_s` says when
└─ UpstreamFailed       4xx/5xx by cause        every target failed; holds the attempts and the first real cause
CallerGone is not an answer: nobody is there to read it.
"""

from gateway.domain.decision import Decision
from gateway.domain.record import AttemptRecord


class GatewayError(Exception):
    """Base; not raised itself. `message` says what happened, to what, and what to do; it holds no secret."""

    status = 500
    code = "internal_error"
    retry_after_s: float | None = None
    decision: Decision | None = None
    """Where the request would have gone, once a plan was tried to be made."""
    shows_decision = False
    """The caller asked for it."""
    is_body_unread = False
    """Raised before the request's body was read, or all of it: the rest is thrown away once this is answered."""

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        if code is not None:
            self.code = code


class BadRequest(GatewayError):
    status, code = 400, "invalid_request"


class Unauthorized(GatewayError):
    status, code = 401, "invalid_api_key"


class Forbidden(GatewayError):
    status, code = 403, "forbidden"


class NotFound(GatewayError):
    status, code = 404, "not_found"


class MethodNotAllowed(GatewayError):
    status, code = 405, "method_not_allowed"


class RequestTimeout(GatewayError):
    status, code = 408, "request_timeout"


class Conflict(GatewayError):
    status, code = 409, "conflict"


class BodyTooLarge(GatewayError):
    status, code = 413, "request_too_large"


class UnsupportedBody(GatewayError):
    status, code = 415, "unsupported_media_type"


class UpgradeRequired(GatewayError):
    status, code = 426, "upgrade_required"


class OverLimit(GatewayError):
    """The key has used what it may.

    `limit` is `rpm`, `tpm`, `concurrency` or `budget`; `most` what is allowed (`budget`: nano-dollars in `period`).
    `retry_after_s` is when capacity may be back, None = not by waiting.
    """

    status, code = 429, "rate_limit_exceeded"

    def __init__(self, limit: str, most: int, retry_after_s: float | None, *, period: str = "") -> None:
        what = _ALLOWED[limit].format(most=most, usd=_dollars(most), period=_PERIODS.get(period, "a month"))
        when = f"; try again in {_span(retry_after_s)}" if retry_after_s is not None else ""
        super().__init__(f"this API key may {what}{when}", code="budget_exceeded" if limit == "budget" else None)
        self.limit = limit
        self.most = most
        self.retry_after_s = retry_after_s


class AddressOverLimit(GatewayError):
    """One address asks more often than the operator lets any."""

    status, code = 429, "address_rate_limited"

    def __init__(self, most: int, retry_after_s: float) -> None:
        super().__init__(f"from one address there may be {most} requests a minute; try again in {_span(retry_after_s)}")
        self.retry_after_s = retry_after_s


_ALLOWED = {
    "rpm": "make {most} requests a minute",
    "tpm": "use {most} tokens a minute, and this request does not fit in what is left",
    "concurrency": "make {most} requests at the same time",
    "budget": "spend {usd} {period}, and this request does not fit in what is left",
}
_PERIODS = {"daily": "a day", "weekly": "a week", "monthly": "a month", "total": "in all"}


def _dollars(nano: int) -> str:
    """At least cents, at most what there is: $5.00, $0.0005."""
    whole, rest = divmod(nano, 1_000_000_000)
    digits = f"{rest:09d}".rstrip("0")
    return f"${whole}.{digits:0<2}"


def _span(seconds: float) -> str:
    """As people say it: 7 s, 12 min, 3 h, 2 days."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"


class NotBuilt(GatewayError):
    status, code = 501, "not_implemented"


class Internal(GatewayError):
    """A broken promise of ours. The text is the same for all, details are in the log."""

    def __init__(self, request_id: str) -> None:
        super().__init__(f"the gateway failed to handle this request; its log has the cause under {request_id}")


class Unavailable(GatewayError):
    status, code = 503, "unavailable"

    def __init__(self, message: str, *, code: str | None = None, retry_after_s: float = 1.0) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class UpstreamFailed(GatewayError):
    """No target could answer. `status` and `code` are of the first real cause.

    `body` is the provider's own error answer, kept when it may be passed on as it is (same dialect, the caller's
    fault); `content_type` belongs to it.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str,
        attempts: tuple[AttemptRecord, ...] = (),
        retry_after_s: float | None = None,
        body: bytes = b"",
        content_type: str = "",
    ) -> None:
        super().__init__(message, code=code)
        self.status = status
        self.attempts = attempts
        self.retry_after_s = retry_after_s
        self.body = body
        self.content_type = content_type


class CallerGone(Exception):
    """The caller has left; no answer can reach it."""
