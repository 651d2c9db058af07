"""Every error of the admin API as `{"error": {"message", "details": [{"field", "message"}]}}`.

A resource raises `ApiError`; Litestar's own exceptions and bugs are turned into the same shape here.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from admin_api.store.faults import Fault, fault_of

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


def answer_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, Any]]:
    """Litestar's own: not found, wrong method, too large, a body that does not fit."""
    details: tuple[Detail, ...] = ()
    message = error.detail
    if isinstance(error, ValidationException):
        details = _validation_details(error.extra, _names_of_parameters(request))
        message = "; ".join(f"{detail.field}: {detail.message}" for detail in details) or "the body does not fit"
    return Response(error_body(message, details), status_code=error.status_code, headers=error.headers or {})


def answer_too_deep(_request: Request[Any, Any, Any], _error: RecursionError) -> Response[dict[str, Any]]:
    """JSON that is nested so deep that nobody means it."""
    return Response(error_body("the body is nested too deep"), status_code=400)


_OF_THE_DATABASE = {
    Fault.VALUE: (400, "the database cannot hold a value that was given"),
    Fault.CLASH: (409, "this clashes with what somebody else has written: look again"),
    Fault.FULL: (503, "the disk of the database is full or does not write: nothing was changed"),
    Fault.BUSY: (503, "the database is busy: nothing was changed, try again"),
    Fault.AWAY: (503, "the database is away: nothing can be read or changed now"),
}


def database_problem(error: BaseException) -> ApiError | None:
    """How a failure of the database is told; None when it is a bug of ours."""
    known = _OF_THE_DATABASE.get(fault_of(error))
    if known is None:
        return None
    return ApiError(*known, headers={"retry-after": "1"} if known[0] == 503 else None)


def answer_database_failure(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    problem = database_problem(error)
    if problem is None:
        return answer_bug(request, error)
    if problem.status == 503:
        log.error("database_failed", fault=fault_of(error), error=str(getattr(error, "orig", error)))
    return answer_api_error(request, problem)


def answer_bug(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    log.error("admin_request_failed", path=request.url.path, method=request.method, exc_info=error)
    return Response(error_body("something failed inside; the log says what"), status_code=500)


def _names_of_parameters(request: Request[Any, Any, Any]) -> dict[str, str]:
    """What callers call the arguments of the route that was asked, where it is another word than ours."""
    fields = request.route_handler.parsed_fn_signature.parameters
    named = {ours: getattr(field.kwarg_definition, "name", None) for ours, field in fields.items()}
    return {ours: name for ours, name in named.items() if name}


def _validation_details(extra: Any, names: Mapping[str, str]) -> tuple[Detail, ...]:
    entries = [entry for entry in extra if isinstance(entry, dict)] if isinstance(extra, list) else []
    found = ((_field(entry), str(entry.get("message", "is not valid"))) for entry in entries)
    return tuple(Detail(names.get(field, field), message) for field, message in found)


def _field(entry: dict[str, Any]) -> str:
    key = str(entry.get("key", "body"))
    message = str(entry.get("message", ""))
    if key in ("data", "body") and "unknown field `" in message:
        return message.split("`")[1]
    return "body" if key == "data" else key
