"""What may be kept and shown of a row in the audit log: everything but secrets. Pure."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

MASK = "•••"
MASK_CHANGED = "••• (changed)"
MAX_BYTES = 32 * 1024
"""Of one side of an entry, as JSON; a longer one is told by its fields' names."""

_SECRET = re.compile(
    r"(?:^|_)(?:api_?key|secret|token|password|passphrase|digest|hash|proxy|proxy_url|credentials?|authorization"
    r"|cookie|private_key|encryption_key|sealed\w*)$"
)
_HEADERS = re.compile(r"(?:^|_)headers$")
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_USER_INFO = re.compile(r"(?<=://)[^/@\s]*@")
_SEALED = re.compile(r"^(?:enc:v\d+:|sk-|omni-admin-)")


def is_secret_name(name: str) -> bool:
    """Whether a field of this name holds a secret, in snake or camel case."""
    return _SECRET.search(_snake(name)) is not None


def first_secret(value: Any, path: str = "") -> str | None:
    """Where in a document a field has the name of a secret and something in it, as `outer.inner`; None when nowhere."""
    inner = list(value.items()) if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else []
    for name, held in inner:
        where = f"{path}.{name}".lstrip(".")
        if is_secret_name(str(name)) and held and not isinstance(held, bool):
            return where
        if (found := first_secret(held, where)) is not None:
            return found
    return None


def masked(value: Any) -> Any:
    """A row or document as plain data, secrets masked by their names, and by what they look like."""
    return _masked(msgspec.to_builtins(value))


def masked_change(before: Any, after: Any) -> tuple[Any, Any]:
    """Both sides, masked. Of two documents only the fields that differ; a secret that differs says so."""
    plain_before, plain_after = msgspec.to_builtins(before), msgspec.to_builtins(after)
    if not isinstance(plain_before, dict) or not isinstance(plain_after, dict):
        return _bounded(_masked(plain_before)), _bounded(_masked(plain_after))
    names = [*plain_before, *(name for name in plain_after if name not in plain_before)]
    differing = [name for name in names if plain_before.get(name) != plain_after.get(name)]
    old = _masked({name: plain_before[name] for name in differing if name in plain_before})
    new = _masked({name: plain_after[name] for name in differing if name in plain_after})
    for name in differing:
        if new.get(name) == MASK and old.get(name) == MASK:
            new[name] = MASK_CHANGED
    return _bounded(old), _bounded(new)


def _snake(name: str) -> str:
    return _HUMPS.sub("_", name).replace("-", "_").lower()


def _masked(value: Any, *, all_text: bool = False) -> Any:
    if isinstance(value, Mapping):
        return {
            str(name): (MASK if inner else inner)
            if is_secret_name(str(name)) and not isinstance(inner, bool)
            else _masked(inner, all_text=all_text or _HEADERS.search(_snake(str(name))) is not None)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_masked(inner, all_text=all_text) for inner in value]
    if isinstance(value, str):
        if all_text or (_SEALED.match(value) and "…" not in value):
            return MASK if value else ""
        return _USER_INFO.sub(f"{MASK}@", value)
    return value


def _bounded(value: Any) -> Any:
    if len(msgspec.json.encode(value)) <= MAX_BYTES:
        return value
    names = list(value)[:200] if isinstance(value, dict) else []
    return {"tooLongToKeep": True, "fields": names}
