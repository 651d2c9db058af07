"""Our own errors, one closed tree. Only `edge/rescue.py` turns one into bytes, in the caller's dialect.

GatewayError            status code             what happened
├─ BadRequest           400    by case          the request cannot be understood
├─ Unauthorized         401    invalid_api_key  checked and wrong
├─ Forbidden            403    by case          a valid key that may not do this
├─ NotFound             404    by case          no such path or model
├─ MethodNotAllowed     405    method_not_allowed
├─ RequestTimeout       408    request_timeout  the caller's body did not arrive in time
├─ BodyTooLarge         413    request_too_large
├─ UnsupportedBody      415    by case          compressed, or not JSON
├─ OverLimit            429    rate_limit_exceeded   a limit of the key
├─ NotBuilt             501    not_implemented  a path of the API that is not there yet
├─ Unavailable          503    by case          we cannot check or serve now; `retry_after_s` says when
└─ UpstreamFailed       4xx/5xx by cause        every target failed; holds the attempts and the first real cause
CallerGone is not an answer: nobody is there to read it.
"""

from gateway.domain.record import AttemptRecord


class GatewayError(Exception):
    """Base; not raised itself. `message` says what happened, to what, and what to do; it holds no secret."""

    status = 500
    code = "internal_error"
    retry_after_s: float | None = None

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


class BodyTooLarge(GatewayError):
    status, code = 413, "request_too_large"


class UnsupportedBody(GatewayError):
    status, code = 415, "unsupported_media_type"


class UpgradeRequired(GatewayError):
    status, code = 426, "upgrade_required"


class OverLimit(GatewayError):
    """The key has used what it may. `retry_after_s` is when capacity may be back."""

    status, code = 429, "rate_limit_exceeded"

    def __init__(self, limit: str, most: int, retry_after_s: float) -> None:
        what = {"rpm": f"{most} requests a minute", "concurrency": f"{most} requests at the same time"}[limit]
        super().__init__(f"this API key may make {what}; try again in {retry_after_s:.0f} s")
        self.retry_after_s = retry_after_s


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
