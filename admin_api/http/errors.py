"""Every error of the admin API as `{"error": {"message", "details": [{"field", "message"}]}}`.

A resource raises `ApiError`; Litestar's own exceptions and bugs are turned into the same shape here.
"""

from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

log = structlog.get_logger()


class Detail(msgspec.Struct, frozen=True):
    """What is wrong with one field, named as the caller named it."""

    field: str
    message: str


class ApiError(Exception):
    """An answer other than success. The message is for the operator; it holds no secret."""

    def __init__(
        self,
        status: int,
        message: str,
        details: tuple[Detail, ...] = (),
        headers: dict[str, str] | None = None,
        version: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.details = details
        self.headers = headers or {}
        self.version = version
        """Of the object as it is now, when somebody else has changed it."""


def bad_request(*problems: tuple[str, str]) -> ApiError:
    """400 for one or more `(field, message)`."""
    details = tuple(Detail(field, message) for field, message in problems)
    return ApiError(400, "; ".join(f"{detail.field}: {detail.message}" for detail in details), details)


def not_found(kind: str, key: str) -> ApiError:
    return ApiError(404, f"there is no {kind} {key!r}")


def conflict(message: str) -> ApiError:
    return ApiError(409, message)


def error_body(message: str, details: tuple[Detail, ...] = ()) -> dict[str, Any]:
    return {"error": {"message": message, "details": [msgspec.structs.asdict(detail) for detail in details]}}


def answer_api_error(_request: Request[Any, Any, Any], error: ApiError) -> Response[dict[str, Any]]:
    body = error_body(error.message, error.details)
    if error.version is not None:
        body["error"]["version"] = error.version
    return Response(body, status_code=error.status, headers=error.headers)


def answer_http_exception(_request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, Any]]:
    """Litestar's own: not found, wrong method, too large, a body that does not fit."""
    details: tuple[Detail, ...] = ()
    message = error.detail
    if isinstance(error, ValidationException):
        details = _validation_details(error.extra)
        message = "; ".join(f"{detail.field}: {detail.message}" for detail in details) or "the body does not fit"
    return Response(error_body(message, details), status_code=error.status_code, headers=error.headers or {})


def answer_too_deep(_request: Request[Any, Any, Any], _error: RecursionError) -> Response[dict[str, Any]]:
    """JSON that is nested so deep that nobody means it."""
    return Response(error_body("the body is nested too deep"), status_code=400)


def answer_bug(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    log.error("admin_request_failed", path=request.url.path, method=request.method, exc_info=error)
    return Response(error_body("something failed inside; the log says what"), status_code=500)


def _validation_details(extra: Any) -> tuple[Detail, ...]:
    entries = extra if isinstance(extra, list) else []
    return tuple(
        Detail(_field(entry), str(entry.get("message", "is not valid"))) for entry in entries if isinstance(entry, dict)
    )


def _field(entry: dict[str, Any]) -> str:
    key = str(entry.get("key", "body"))
    message = str(entry.get("message", ""))
    if key in ("data", "body") and "unknown field `" in message:
        return message.split("`")[1]
    return "body" if key == "data" else key
