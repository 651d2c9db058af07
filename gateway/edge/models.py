"""The lists of models and single ones, in the shape of each dialect. Pure.

One page holds as many as a client asks for; who does not ask gets as many as the dialect allows at most, because not
every client turns pages.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

import msgspec

from gateway.admission.permit import may_list
from gateway.dialects.ollama.tags import encode_tags
from gateway.domain.caller import Caller
from gateway.domain.dialect import CallerDialect
from gateway.domain.errors import BadRequest, GatewayError
from gateway.routing.catalog import Catalog
from gateway.routing.resolve import resolve, unknown_model

MAX_PAGE = 1_000
"""Of Anthropic's list and of Gemini's (both documents)."""

_NO_TIME = "1970-01-01T00:00:00Z"
"""When a model was made is not known here; Anthropic's document names this value for that."""

_METHODS = ("generateContent", "streamGenerateContent", "countTokens")

_encode = msgspec.json.encode


class Limits(msgspec.Struct, frozen=True):
    """Tokens, 0 = not known. Of a combo the least of its models, and not known if one of them is not."""

    context: int = 0
    max_output: int = 0


def list_models(
    catalog: Catalog, caller: Caller, dialect: CallerDialect = "openai_chat", query_string: bytes = b""
) -> bytes:
    """What this key may use. Raises BadRequest for a page that cannot be."""
    names = [(name, owner) for name, owner in catalog.listed if may_list(caller, name, owner)]
    match dialect:
        case "anthropic_messages":
            return _anthropic_page([name for name, _ in names], catalog, _query(query_string))
        case "gemini":
            return _gemini_page([name for name, _ in names], catalog, _query(query_string))
        case "ollama":
            return encode_tags(name for name, _ in names)
        case _:
            return _encode({"object": "list", "data": [_openai_entry(name, owner) for name, owner in names]})


def get_model(catalog: Catalog, caller: Caller, model: str, dialect: CallerDialect = "openai_chat") -> bytes:
    """One model. Raises NotFound with near names."""
    asked = model.removeprefix("models/") if dialect == "gemini" else model
    for name, owner in catalog.listed:
        if name == asked and may_list(caller, name, owner):
            return _encode(_entry(name, owner, catalog, dialect))
    raise unknown_model(asked, catalog)


def limits_of(name: str, catalog: Catalog) -> Limits:
    """What is known of a name that a caller can send."""
    try:
        members = resolve(name, catalog).models
    except GatewayError:
        return Limits()
    known = [catalog.facts.get((one.provider, one.model)) for one in members]
    return Limits(
        context=min((fact.context if fact else 0 for fact in known), default=0),
        max_output=min((fact.max_output if fact else 0 for fact in known), default=0),
    )


_Query = Mapping[str, str]


def _anthropic_page(names: Sequence[str], catalog: Catalog, query: _Query) -> bytes:
    """`{"data": [...], "has_more", "first_id", "last_id"}` by `limit` and either `after_id` or `before_id`."""
    limit = _count(query, "limit", least=1)
    if "before_id" in query:
        before = names[: _place(names, query, "before_id")]
        page, has_more = before[-limit:], len(before) > limit
    else:
        after = names[_place(names, query, "after_id") + 1 :] if "after_id" in query else names
        page, has_more = after[:limit], len(after) > limit
    return _encode(
        {
            "data": [_anthropic_entry(name, catalog) for name in page],
            "has_more": has_more,
            "first_id": page[0] if page else None,
            "last_id": page[-1] if page else None,
        }
    )


def _gemini_page(names: Sequence[str], catalog: Catalog, query: _Query) -> bytes:
    """`{"models": [...], "nextPageToken"}` by `pageSize` and `pageToken` (the name that the page before ended with)."""
    size = _count(query, "pageSize", least=0) or MAX_PAGE
    rest = names
    if query.get("pageToken"):
        rest = names[_place(names, {"pageToken": _name_in(query["pageToken"])}, "pageToken") + 1 :]
    answer: dict[str, object] = {"models": [_gemini_entry(name, catalog) for name in rest[:size]]}
    if len(rest) > size:
        answer["nextPageToken"] = urlsafe_b64encode(rest[size - 1].encode()).rstrip(b"=").decode()
    return _encode(answer)


def _entry(name: str, owner: str, catalog: Catalog, dialect: CallerDialect) -> dict[str, object]:
    match dialect:
        case "anthropic_messages":
            return _anthropic_entry(name, catalog)
        case "gemini":
            return _gemini_entry(name, catalog)
        case _:
            return _openai_entry(name, owner)


def _openai_entry(name: str, owner: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}


def _anthropic_entry(name: str, catalog: Catalog) -> dict[str, object]:
    limits = limits_of(name, catalog)
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": _NO_TIME,
        "lifecycle": "active",
        "max_input_tokens": limits.context or None,
        "max_tokens": limits.max_output or None,
    }


def _gemini_entry(name: str, catalog: Catalog) -> dict[str, object]:
    limits = limits_of(name, catalog)
    entry: dict[str, object] = {"name": f"models/{name}", "version": "", "displayName": name}
    if limits.context:
        entry["inputTokenLimit"] = limits.context
    if limits.max_output:
        entry["outputTokenLimit"] = limits.max_output
    return {**entry, "supportedGenerationMethods": _METHODS}


def _query(query_string: bytes) -> _Query:
    """The last value of each name; Google's own names also as `page_size` and `page_token`."""
    found = parse_qs(query_string.decode("ascii", "replace"), keep_blank_values=True)
    values = {name: given[-1] for name, given in found.items()}
    for other, name in (("page_size", "pageSize"), ("page_token", "pageToken")):
        if other in values:
            values.setdefault(name, values[other])
    return values


def _count(query: _Query, name: str, *, least: int) -> int:
    """At most MAX_PAGE, also the default. Raises BadRequest for what is no number or less than the least."""
    text = query.get(name, "")
    if not text:
        return MAX_PAGE
    if not (text.isascii() and text.isdigit() and int(text[:9]) >= least):
        raise BadRequest(f"{name} must be a whole number from {least} to {MAX_PAGE}", code="invalid_page", param=name)
    return min(int(text[:9]), MAX_PAGE)


def _place(names: Sequence[str], query: _Query, name: str) -> int:
    """Where the named model stands. Raises BadRequest when it is not (or no longer) in the list."""
    if query[name] in names:
        return names.index(query[name])
    raise BadRequest(f"{name} names no model of this list; start again without it", code="invalid_page", param=name)


def _name_in(token: str) -> str:
    try:
        return urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4)).decode()
    except ValueError:
        return ""
