"""Places of a YAML file → structs, finding every problem instead of the first one.

msgspec judges single values; this walks the structs so that each problem has its path and line. A value of the
file never gets into a message.
"""

import difflib
import types
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec

from gateway.config.yaml_source import Place, Problems, shown_name


class _Bad:
    """What takes the place of a value that could not be read; its problem is noted already."""


BAD: Final = _Bad()


def read_shape(place: Place, wanted: Any, path: str, problems: Problems) -> Any:
    """Read `place` as the type `wanted`; BAD if it, or anything in it, does not fit."""
    meta, kind = _unwrap(wanted)
    if get_origin(kind) in (Union, types.UnionType):
        return _read_union(place, wanted, get_args(kind), path, problems)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _read_struct(place, kind, path, problems)
    if get_origin(kind) is tuple and isinstance(place.value, list):
        items = [read_shape(item, get_args(kind)[0], f"{path}[{i}]", problems) for i, item in enumerate(place.value)]
        if any(item is BAD for item in items):
            return BAD
        return _convert(items, Annotated[tuple[Any, ...], meta] if meta else tuple, place.line, path, problems)
    if get_origin(kind) is Literal:
        return _read_choice(place, get_args(kind), path, problems)
    return _convert(place.plain(), wanted, place.line, path, problems)


def near(word: str, known: Sequence[str]) -> str:
    """`; did you mean …?` with the known word most like `word`, or nothing."""
    found = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean `{found[0]}`?" if found else ""


def _unwrap(wanted: Any) -> tuple[msgspec.Meta | None, Any]:
    if get_origin(wanted) is Annotated:
        kind, *metas = get_args(wanted)
        return next((meta for meta in metas if isinstance(meta, msgspec.Meta)), None), kind
    return None, wanted


def _read_union(place: Place, wanted: Any, members: tuple[Any, ...], path: str, problems: Problems) -> Any:
    if place.value is None and type(None) in members:
        return None
    others = [member for member in members if member is not type(None)]
    if len(others) == 1:
        return read_shape(place, others[0], path, problems)
    for member in others:
        is_struct = isinstance(member, type) and issubclass(member, msgspec.Struct)
        if is_struct == isinstance(place.value, dict):
            return read_shape(place, member, path, problems)
    return _convert(place.plain(), wanted, place.line, path, problems)


def _read_struct(place: Place, kind: type[msgspec.Struct], path: str, problems: Problems) -> Any:
    if not isinstance(place.value, dict):
        return _convert(place.plain(), kind, place.line, path, problems)
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    is_bad = False
    for name, child in place.value.items():
        if name not in fields:
            problems.add(child.line, path, f"unknown field {shown_name(name)}{near(name, list(fields))}")
            is_bad = True
    values: dict[str, Any] = {}
    for name, field in fields.items():
        child_or_none = place.value.get(name)
        if child_or_none is not None:
            values[field.name] = read_shape(child_or_none, field.type, f"{path}.{name}".lstrip("."), problems)
        elif field.required:
            problems.add(place.line, path, f"the field `{name}` is missing")
            is_bad = True
    return BAD if is_bad or any(value is BAD for value in values.values()) else kind(**values)


def _read_choice(place: Place, choices: tuple[Any, ...], path: str, problems: Problems) -> Any:
    if any(type(place.value) is type(choice) and place.value == choice for choice in choices):
        return place.value
    hint = near(place.value, choices) if isinstance(place.value, str) else ""
    problems.add(place.line, path, f"must be {' or '.join(f'`{choice}`' for choice in choices)}{hint}")
    return BAD


def _convert(value: object, wanted: Any, line: int, path: str, problems: Problems) -> Any:
    try:
        return msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        text, *_ = str(error).partition(" - at `$")
        if " matching regex " in text:
            meta, _ = _unwrap(wanted)
            text = f"characters that may not stand here{f': {meta.description}' if meta and meta.description else ''}"
        problems.add(line, path, text[0].lower() + text[1:])
        return BAD
