"""A caller's `system` and `messages` → turns of the hub. What the hub has no place for is left out with a note."""

from collections.abc import Callable
from typing import Any

import msgspec

from gateway.dialects.anthropic_messages import carried
from gateway.dialects.anthropic_messages.server_results import result_text
from gateway.dialects.anthropic_messages.wire import Block, Source, cache_ttl, citations_of
from gateway.dialects.codec import UNREADABLE
from gateway.dialects.envelope import Envelopes
from gateway.dialects.media import normal_media_type, sniff_image, standard_base64
from gateway.domain.chat import File, Image, Part, Role, Signature, Text, Thinking, ToolCall, ToolResult, Turn
from gateway.domain.errors import BadRequest

_BILLING = "x-anthropic-billing-header"
_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}


class _Message(msgspec.Struct, frozen=True):
    role: str
    content: str | list[Block]
    output_config: Any = None


_decode_messages = msgspec.json.Decoder(list[_Message]).decode
_decode_system = msgspec.json.Decoder(str | list[Block]).decode
_decode_content = msgspec.json.Decoder(str | list[Block]).decode
_decode_source = msgspec.json.Decoder(Source).decode


def decode_member(decode: Callable[[msgspec.Raw], Any], raw: msgspec.Raw, place: str) -> Any:
    """Decode one member of the body. Raises BadRequest with its place (`messages[3].content[1].type`)."""
    try:
        return decode(raw)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        full = place + path.rstrip("`")
        raise BadRequest(f"{full}: {message}", code=f"invalid_{_top(place)}", param=full) from error
    except UNREADABLE as error:
        raise BadRequest(f"{place} cannot be read: {error}", code="invalid_json", param=place) from error


class History:
    """Reads turns, and notes what it leaves out."""

    def __init__(self, envelopes: Envelopes) -> None:
        self._envelopes = envelopes
        self.notes: list[str] = []

    def system(self, raw: msgspec.Raw) -> tuple[Turn, ...]:
        content = decode_member(_decode_system, raw, "system")
        if isinstance(content, str):
            return (Turn("system", (Text(text=content),)),) if content else ()
        parts = [part for at, block in enumerate(content) for part in self._of_system(block, f"system[{at}]")]
        return (Turn("system", tuple(parts)),) if parts else ()

    def turns(self, raw: msgspec.Raw) -> tuple[Turn, ...]:
        """The turns in order; a system turn whose blocks are all left out is left out."""
        messages: list[_Message] = decode_member(_decode_messages, raw, "messages")
        if not messages:
            raise _bad("messages", "at least one message is needed")
        turns = []
        for at, message in enumerate(messages):
            role = _ROLES.get(message.role)
            if role is None:
                raise _bad(f"messages[{at}].role", f"`{message.role[:64]}` is not one of user, assistant, system")
            if message.output_config is not None:
                self.notes.append("messages.output_config")
            parts = self._parts(role, message.content, f"messages[{at}].content")
            if parts or role != "system":
                turns.append(Turn(role, parts))
        return tuple(turns)

    def _parts(self, role: Role, content: str | list[Block], place: str) -> tuple[Part, ...]:
        if isinstance(content, str):
            return (Text(text=content),)
        read = _READERS[role]
        parts = [part for at, block in enumerate(content) for part in read(self, block, f"{place}[{at}]")]
        if role == "assistant":
            return carried.with_signatures(parts)
        if role == "user":
            parts.sort(key=lambda part: not isinstance(part, ToolResult))
        return tuple(parts)

    # -- by role -------------------------------------------------------------------------------------------------------

    def _of_system(self, block: Block, place: str) -> list[Part]:
        if block.type == "text":
            return [] if self._is_for_the_bill(block) else [self._text(block, place)]
        if block.type in _ONLY_OF_THIS_DIALECT:
            self.notes.append(block.type)
            return []
        raise _unknown(block, place)

    def _is_for_the_bill(self, block: Block) -> bool:
        """Claude Code's first block is for Anthropic's accounts. Where it changes with every request it spoils prompt caches."""
        if not block.text or not block.text.startswith(_BILLING):
            return False
        self.notes.append(f"system: {_BILLING}")
        return True

    def _of_user(self, block: Block, place: str) -> list[Part]:
        if block.type == "tool_result":
            return [self._tool_result(block, place)]
        found = self._content(block, place)
        return self._of_server(block, place) if found is None else list(found)

    def _of_assistant(self, block: Block, place: str) -> list[Part]:
        match block.type:
            case "text":
                return [self._text(block, place)]
            case "tool_use":
                return [self._tool_use(block, place)]
            case "thinking":
                return self._thinking(block)
            case "redacted_thinking":
                return self._redacted(block)
        found = self._content(block, place)
        return self._of_server(block, place) if found is None else list(found)

    def _of_server(self, block: Block, place: str) -> list[Part]:
        """What Anthropic's servers did: results become text where there is some, the rest goes."""
        kind = block.type
        if kind not in _ONLY_OF_THIS_DIALECT and not kind.endswith("_tool_result"):
            raise _unknown(block, place)
        self.notes.append(kind)
        text = result_text(kind, block.content)
        return [Text(text=text, cache=cache_ttl(block.cache_control))] if text else []

    # -- blocks --------------------------------------------------------------------------------------------------------

    def _content(self, block: Block, place: str) -> list[Text | Image | File] | None:
        """Blocks that may also stand in a tool's result; None for any other."""
        match block.type:
            case "text":
                return [self._text(block, place)]
            case "image":
                return [self._image(block, place)]
            case "document":
                return self._document(block, place)
            case "search_result":
                return [self._search_result(block, place)]
            case _:
                return None

    def _text(self, block: Block, place: str) -> Text:
        text = _required(block.text, f"{place}.text")
        citations = citations_of(block.citations, text) if block.citations else ()
        return Text(text=text, citations=citations, cache=cache_ttl(block.cache_control))

    def _image(self, block: Block, place: str) -> Image | File:
        source = self._source(block, place)
        cache = cache_ttl(block.cache_control)
        if source.type == "base64":
            data = _base64(source, place)
            media_type = sniff_image(data)
            if not media_type:
                raise _bad(f"{place}.source.data", "is no picture")
            return Image(media_type=media_type, data=data, cache=cache)
        if source.type == "url":
            return Image(url=_required(source.url, f"{place}.source.url"), cache=cache)
        if source.type == "file":
            return File(file_id=_required(source.file_id, f"{place}.source.file_id"), cache=cache)
        raise _bad(f"{place}.source.type", f"`{source.type[:64]}` is not one of base64, url, file")

    def _document(self, block: Block, place: str) -> list[Text | Image | File]:
        source = self._source(block, place)
        cache, name = cache_ttl(block.cache_control), block.title or ""
        if block.context:
            self.notes.append("document.context")
        if block.citations:
            self.notes.append("document.citations")
        match source.type:
            case "base64":
                media_type = normal_media_type(source.media_type or "application/pdf")
                return [File(media_type=media_type, data=_base64(source, place), name=name, cache=cache)]
            case "text":
                text = _required(source.data, f"{place}.source.data")
                return [File(media_type="text/plain", text=text, name=name, cache=cache)]
            case "content":
                return self._inner_document(source, name, f"{place}.source.content", cache_ttl(block.cache_control))
            case "url":
                url = _required(source.url, f"{place}.source.url")
                return [File(media_type="application/pdf", url=url, name=name, cache=cache)]
            case "file":
                file_id = _required(source.file_id, f"{place}.source.file_id")
                return [File(file_id=file_id, name=name, cache=cache)]
            case _:
                raise _bad(f"{place}.source.type", f"`{source.type[:64]}` is not a source of a document")

    def _inner_document(self, source: Source, name: str, place: str, cache: Any) -> list[Text | Image | File]:
        """A document of blocks: its texts are one file, its pictures follow."""
        content = source.content
        if content is None:
            raise _bad(place, "a value is missing")
        if isinstance(content, str):
            return [File(media_type="text/plain", text=content, name=name, cache=cache)]
        texts: list[str] = []
        pictures: list[Text | Image | File] = []
        for at, block in enumerate(content):
            if block.type == "text":
                texts.append(_required(block.text, f"{place}[{at}].text"))
            elif block.type == "image":
                pictures.append(self._image(block, f"{place}[{at}]"))
            else:
                raise _unknown(block, f"{place}[{at}]")
        return [File(media_type="text/plain", text="\n\n".join(texts), name=name, cache=cache), *pictures]

    def _search_result(self, block: Block, place: str) -> Text:
        self.notes.append("search_result")
        content = decode_member(_decode_content, block.content, f"{place}.content") if block.content else ""
        texts = [content] if isinstance(content, str) else [inner.text or "" for inner in content]
        source = decode_member(msgspec.json.decode, block.source, f"{place}.source") if block.source else ""
        lines = [block.title or "", source if isinstance(source, str) else "", *texts]
        return Text(text="\n".join(line for line in lines if line), cache=cache_ttl(block.cache_control))

    def _source(self, block: Block, place: str) -> Source:
        if not block.source:
            raise _bad(f"{place}.source", "a value is missing")
        source: Source = decode_member(_decode_source, block.source, f"{place}.source")
        return source

    def _tool_use(self, block: Block, place: str) -> ToolCall:
        try:
            arguments = bytes(block.input).decode() or "{}"
        except UnicodeDecodeError as error:
            raise _bad(f"{place}.input", "its text is not UTF-8") from error
        if not arguments.startswith("{"):
            raise _bad(f"{place}.input", "a call's input is an object")
        return ToolCall(
            id=_required(block.id, f"{place}.id"),
            name=_required(block.name, f"{place}.name"),
            arguments=arguments,
            cache=cache_ttl(block.cache_control),
        )

    def _tool_result(self, block: Block, place: str) -> ToolResult:
        content: list[Text | Image | File] = []
        raw = decode_member(_decode_content, block.content, f"{place}.content") if _is_told(block.content) else []
        if isinstance(raw, str):
            content.append(Text(text=raw))
        else:
            for at, inner in enumerate(raw):
                found = self._content(inner, f"{place}.content[{at}]")
                if found is not None:
                    content += found
                elif inner.type in _ONLY_OF_THIS_DIALECT:
                    self.notes.append(inner.type)
                else:
                    raise _unknown(inner, f"{place}.content[{at}]")
        return ToolResult(
            call_id=_required(block.tool_use_id, f"{place}.tool_use_id"),
            content=tuple(content),
            is_error=block.is_error is True,
            cache=cache_ttl(block.cache_control),
        )

    # -- reasoning -----------------------------------------------------------------------------------------------------

    def _thinking(self, block: Block) -> list[Part]:
        text, data = block.thinking or "", block.signature or ""
        if not data:
            return [Thinking(text=text)]
        signature = self._signature(data)
        if signature is None:
            return []
        return [Thinking(text=text, signature=signature if signature.data else None)]

    def _redacted(self, block: Block) -> list[Part]:
        signature = self._signature(block.data or "")
        return [] if signature is None else [Thinking(signature=signature, is_redacted=True)]

    def _signature(self, data: str) -> Signature | None:
        if not carried.is_envelope(data):
            return Signature(carried.DIALECT, data)
        signature = self._envelopes.open(data)
        if signature is None:
            self.notes.append("thinking: its envelope is not of this gateway")
        return signature


_READERS: dict[Role, Callable[[History, Block, str], list[Part]]] = {
    "system": History._of_system,
    "user": History._of_user,
    "assistant": History._of_assistant,
}

_ONLY_OF_THIS_DIALECT = frozenset(
    {
        "advisor_tool_result",
        "browser_state",
        "compaction",
        "container_upload",
        "fallback",
        "mcp_tool_use",
        "server_tool_use",
        "tool_addition",
        "tool_reference",
        "tool_removal",
    }
)
"""Blocks without a home in the hub, besides the results of server tools (`…_tool_result`)."""


def _required(value: str | None, place: str) -> str:
    if value is None:
        raise _bad(place, "a value is missing")
    return value


def _is_told(raw: msgspec.Raw) -> bool:
    return bool(raw) and bytes(raw) != b"null"


def _base64(source: Source, place: str) -> str:
    try:
        return standard_base64(_required(source.data, f"{place}.source.data"))
    except ValueError as error:
        raise _bad(f"{place}.source.data", "is not base64") from error


def _unknown(block: Block, place: str) -> BadRequest:
    param = f"{place}.type"
    return BadRequest(
        f"{param}: `{block.type[:64]}` is no block that may stand here", code="unknown_block", param=param
    )


def _bad(place: str, message: str) -> BadRequest:
    return BadRequest(f"{place}: {message}", code=f"invalid_{_top(place)}", param=place)


def _top(place: str) -> str:
    return place.partition("[")[0].partition(".")[0]
