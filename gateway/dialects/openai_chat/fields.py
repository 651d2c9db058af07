"""Fields of a request read one by one, so that what is wrong is named by its place (`messages[3].content[1].type`)."""

from typing import Any

from gateway.dialects.fields import number, wrong_type
from gateway.domain.errors import BadRequest

Json = dict[str, Any]


def wrong(param: str, should: str, *, code: str = "invalid_value") -> BadRequest:
    return BadRequest(f"{param} {should}", code=code, param=param)


def an_object(value: object, param: str) -> Json:
    if not isinstance(value, dict):
        raise wrong_type(param, "an object")
    return value


def a_list(value: object, param: str) -> list[Any]:
    if not isinstance(value, list):
        raise wrong_type(param, "an array")
    return value


def text_in(fields: Json, name: str, param: str) -> str:
    """The text of a required field."""
    value = fields.get(name)
    if not isinstance(value, str):
        raise wrong_type(f"{param}.{name}" if param else name, "a string")
    return value


def optional_text(fields: Json, name: str, param: str = "") -> str:
    value = fields.get(name)
    return "" if value is None else text_in(fields, name, param)


def optional_int(fields: Json, name: str, *, least: int | None = None) -> int | None:
    if fields.get(name) is None:  # mostly
        return None
    value = number(fields, name)
    if value is None:
        return None
    if value != int(value):
        raise wrong_type(name, "a whole number")
    if least is not None and value < least:
        raise wrong(name, f"must be at least {least}")
    return int(value)
