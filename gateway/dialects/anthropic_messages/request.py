"""Messages requests as they arrive: the head for routing, the body passed on, and the body read into the hub."""

from typing import Any

import msgspec
from msgspec import structs

from gateway.dialects.anthropic_messages.history import History, decode_member
from gateway.dialects.anthropic_messages.tools import decode_choice, decode_tools
from gateway.dialects.anthropic_messages.wire import CacheControl, cache_ttl
from gateway.dialects.codec import Arrival, Head
from gateway.dialects.envelope import Envelopes
from gateway.dialects.routing_fields import ChatFields, decoded, is_zero, most_tokens, read_chat_fields
from gateway.dialects.splice import drop_members, replace_model
from gateway.dialects.turns import check_calls
from gateway.domain.chat import CacheTtl, ChatRequest, Effort, OutputFormat, Reasoning, Turn
from gateway.domain.errors import BadRequest

_MISSING = "{}: Field required"
_THINKS = ("enabled", "adaptive", "between_tools")


class _HeadFields(ChatFields, frozen=True):
    thinking: Any = None


class _Thinking(msgspec.Struct, frozen=True):
    type: str
    budget_tokens: int | None = None
    display: str | None = None


class _Format(msgspec.Struct, frozen=True):
    type: str
    schema: dict[str, Any]


class _OutputConfig(msgspec.Struct, frozen=True):
    effort: Effort | None = None
    format: _Format | None = None


class _Choice(msgspec.Struct, frozen=True):
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class _Settings(msgspec.Struct, frozen=True):
    """All top-level fields but the long ones."""

    model: str
    max_tokens: int | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: tuple[str, ...] | None = None
    thinking: _Thinking | None = None
    output_config: _OutputConfig | None = None
    output_format: _Format | None = None
    tool_choice: _Choice | None = None
    metadata: dict[str, Any] | None = None
    service_tier: str | None = None
    cache_control: CacheControl | None = None


_decode_head = msgspec.json.Decoder(_HeadFields).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_LONG = ("system", "messages", "tools")
_SETTINGS = frozenset(_Settings.__struct_fields__)


def read_head(body: bytes, arrival: Arrival) -> Head:  # noqa: ARG001 - the signature of all codecs
    """Read the routing fields of a request. Raises BadRequest, naming what is wrong."""
    fields = read_chat_fields(body, _decode_head, _MISSING)
    thinking = fields.thinking
    return Head(
        model=fields.model,
        is_stream=fields.stream is True,
        is_reasoning=isinstance(thinking, dict) and thinking.get("type") in _THINKS,
        is_cold=fields.temperature is not None and is_zero(fields.temperature),
        max_output=most_tokens(fields.max_tokens),
    )


def pass_on(
    body: bytes,
    head: Head,
    model: str,
    *,
    asks_usage: bool = False,  # noqa: ARG001 - the signature of all codecs
    drop_fields: tuple[str, ...] = (),
) -> bytes:
    """The body for a provider of this dialect: the model's name changes, nothing else. Its streams always tell usage."""
    body = replace_model(body, head.model, model)
    return drop_members(body, drop_fields) if drop_fields else body


def decode_request(body: bytes, arrival: Arrival, envelopes: Envelopes) -> ChatRequest:
    """A request for the hub. Raises BadRequest with the place of what is wrong."""
    request = decode_uncounted(body, arrival, envelopes)
    if request.max_tokens is None:
        raise BadRequest("max_tokens: Field required", code="missing_max_tokens", param="max_tokens")
    return request


def decode_uncounted(body: bytes, arrival: Arrival, envelopes: Envelopes) -> ChatRequest:
    """The same without `max_tokens` being required: the body of a request to count tokens."""
    members = decoded(body, _decode_members)
    settings = _settings(members)
    history = History(envelopes)
    system = history.system(members["system"]) if _has(members, "system") else ()
    if not _has(members, "messages"):
        raise BadRequest("messages: Field required", code="missing_messages", param="messages")
    turns = system + history.turns(members["messages"])
    if settings.cache_control is not None:
        turns = _marked_last(turns, cache_ttl(settings.cache_control))
    tools, built_in, notes = decode_tools(members["tools"]) if _has(members, "tools") else ((), (), [])
    choice, is_parallel = decode_choice(settings.tool_choice)
    reasoning, reasoning_notes = _reasoning(settings)
    user, user_notes = _user(settings.metadata)
    unknown = [name for name in members if name not in _SETTINGS and name not in _LONG]
    request = ChatRequest(
        model=settings.model,
        turns=turns,
        is_stream=settings.stream is True,
        tools=tools,
        built_in_tools=built_in,
        tool_choice=choice,
        is_parallel=is_parallel,
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        stop=settings.stop_sequences or (),
        output_format=_format(settings),
        reasoning=reasoning,
        service_tier=settings.service_tier or "",
        session=arrival.session,
        user=user,
        notes=tuple(dict.fromkeys([*unknown, *history.notes, *notes, *reasoning_notes, *user_notes])),
    )
    check_calls(request)
    return request


def _settings(members: dict[str, msgspec.Raw]) -> _Settings:
    values = {name: decode_member(msgspec.json.decode, raw, name) for name, raw in members.items() if name in _SETTINGS}
    if values.get("model") is None:
        raise BadRequest("model: Field required", code="missing_model", param="model")
    try:
        settings = msgspec.convert(values, _Settings)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$.")
        place = path.rstrip("`")
        top = place.partition(".")[0].partition("[")[0]
        raise BadRequest(f"{place}: {message}", code=f"invalid_{top}", param=place) from error
    if settings.max_tokens is not None and settings.max_tokens < 1:
        raise BadRequest("max_tokens must be at least 1", code="invalid_max_tokens", param="max_tokens")
    return settings


def _marked_last(turns: tuple[Turn, ...], ttl: CacheTtl) -> tuple[Turn, ...]:
    """A mark on the request as a whole is one on its last part."""
    if not turns or not turns[-1].parts:
        return turns
    *before, last = turns[-1].parts
    return (*turns[:-1], Turn(turns[-1].role, (*before, structs.replace(last, cache=ttl))))


def _reasoning(settings: _Settings) -> tuple[Reasoning | None, list[str]]:
    """An effort without thinking asks for effort, not for thoughts to be shown. A budget is finer than an effort."""
    thinking = settings.thinking
    effort = settings.output_config.effort if settings.output_config else None
    if thinking is None:
        return (Reasoning(effort=effort, shows=False), []) if effort is not None else (None, [])
    shows = None if thinking.display is None else thinking.display != "omitted"
    notes = ["output_config.effort"] if effort is not None else []
    match thinking.type:
        case "disabled":
            return Reasoning(budget=0), notes
        case "enabled":
            if thinking.budget_tokens is None:
                raise BadRequest(
                    "thinking.budget_tokens: Field required", code="invalid_thinking", param="thinking.budget_tokens"
                )
            # Unasked, this kind is shown; of the adaptive kind it depends on the model.
            return Reasoning(budget=max(thinking.budget_tokens, 1), shows=shows is not False), notes
        case "adaptive":
            return Reasoning(effort=effort, is_adaptive=True, shows=shows), []
        case "between_tools":
            return Reasoning(effort=effort, is_adaptive=True, shows=shows), ["thinking.type between_tools"]
        case _:
            raise BadRequest(
                f"thinking.type: `{thinking.type[:64]}` is not one of enabled, adaptive, disabled",
                code="invalid_thinking",
                param="thinking.type",
            )


def _format(settings: _Settings) -> OutputFormat | None:
    """`output_format` is the older place."""
    found = (settings.output_config.format if settings.output_config else None) or settings.output_format
    if found is None:
        return None
    if found.type != "json_schema":
        raise BadRequest(
            f"output_config.format.type: `{found.type[:64]}` is not json_schema",
            code="invalid_output_config",
            param="output_config.format.type",
        )
    return OutputFormat(schema=found.schema, strict=True)


def _user(metadata: dict[str, Any] | None) -> tuple[str, list[str]]:
    if not metadata:
        return "", []
    user = metadata.get("user_id")
    if user is not None and not isinstance(user, str):
        raise BadRequest("metadata.user_id must be a string", code="invalid_metadata", param="metadata.user_id")
    return user or "", [f"metadata.{name}" for name in metadata if name != "user_id"]


def _has(members: dict[str, msgspec.Raw], name: str) -> bool:
    return name in members and bytes(memoryview(members[name])[:4]) != b"null"
