"""Typed reading of one field of a caller's JSON. Null is as good as absent; a wrong type is a BadRequest with its place."""

from collections.abc import Sequence
from typing import Any

from gateway.domain.errors import BadRequest


def wrong_type(param: str, what: str) -> BadRequest:
    return BadRequest(f"{param} must be {what}", code="invalid_type", param=param)


def text(fields: dict[str, Any], name: str, at: str = "") -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise wrong_type(at + name, "a string")
    return value


def needed_text(fields: dict[str, Any], name: str, at: str = "") -> str:
    value = text(fields, name, at)
    if not value:
        raise BadRequest(f"{at}{name} must be a non-empty string", code="missing_field", param=at + name)
    return value


def boolean(fields: dict[str, Any], name: str, at: str = "") -> bool | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, bool):
        raise wrong_type(at + name, "true or false")
    return value


def number(fields: dict[str, Any], name: str, at: str = "") -> float | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise wrong_type(at + name, "a number")
    return value


def integer(fields: dict[str, Any], name: str, at: str = "", least: int = 0) -> int | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise wrong_type(at + name, f"an integer of at least {least}")
    return value


def mapping(fields: dict[str, Any], name: str, at: str = "") -> dict[str, Any]:
    value = fields.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong_type(at + name, "an object")
    return value


def one_of(fields: dict[str, Any], name: str, words: Sequence[str], at: str = "") -> str:
    value = text(fields, name, at)
    if value and value not in words:
        param = at + name
        raise BadRequest(f"{param} must be one of {', '.join(words)}", code="invalid_value", param=param)
    return value
