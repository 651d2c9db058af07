"""State of other providers in blocks that Anthropic's clients send back by themselves: signed thinking blocks.

* Reasoning with a text: `thinking`, its `signature` an envelope. Without a text: `redacted_thinking`, its `data` an envelope.
* Reasoning that nobody signed gets an envelope of an empty signature, so that it is never taken for Anthropic's own.
* Gemini signs calls and texts: an empty `thinking` block, before the call or after the text, whose envelope names which.
  After the last text there is none: agents (Claude Code 2.1) take an answer's last block for what it says, and would say
  nothing. Google wants the signatures of calls back; that of a text it can do without.
"""

from typing import Any

from msgspec import structs

from gateway.dialects.envelope import PREFIX, Envelopes
from gateway.domain.chat import Part, Signature, Text, Thinking, ToolCall
from gateway.domain.dialect import ProviderDialect

DIALECT: ProviderDialect = "anthropic_messages"
_OF_CALL = "call:"
_OF_TEXT = "text"
_NOT_SIGNED = Signature("openai_chat", "")
"""Chat Completions has no signatures, so nothing real looks like this."""


def sealed(signature: Signature | None, envelopes: Envelopes) -> str:
    """What stands in the place of a signature: Anthropic's own as it is, any other in an envelope."""
    if signature is None:
        return envelopes.seal(_NOT_SIGNED)
    return signature.data if signature.dialect == DIALECT else envelopes.seal(signature)


def thinking_block(
    text: str, signature: Signature | None, envelopes: Envelopes, *, is_redacted: bool, shows: bool
) -> dict[str, Any] | None:
    """The block of one piece of reasoning; None when nothing of it is shown and nothing needs to survive."""
    is_own = signature is not None and signature.dialect == DIALECT
    shown = text if shows else ""
    if signature is None and not shown:
        return None
    if is_redacted or (not is_own and not shown):
        return {"type": "redacted_thinking", "data": sealed(signature, envelopes)}
    return {"type": "thinking", "thinking": shown, "signature": sealed(signature, envelopes)}


def call_block(call_id: str, signature: Signature, envelopes: Envelopes) -> dict[str, Any]:
    """The signature of a call, for the place before it."""
    return _mark(structs.replace(signature, id=_OF_CALL + call_id), envelopes)


def text_block(signature: Signature, envelopes: Envelopes) -> dict[str, Any]:
    """The signature of a text, for the place after it."""
    return _mark(structs.replace(signature, id=_OF_TEXT), envelopes)


def is_envelope(text: str) -> bool:
    return text.startswith(PREFIX)


def with_signatures(parts: list[Part]) -> tuple[Part, ...]:
    """The parts of an assistant turn as they were: signatures of calls and texts are back on them, marks are gone."""
    if not any(isinstance(part, Thinking) and _is_mark(part.signature) for part in parts):
        return tuple(parts)
    of_calls: dict[str, Signature] = {}
    rest: list[Part] = []
    for part in parts:
        signature = part.signature if isinstance(part, Thinking) else None
        if signature is None or not _is_mark(signature):
            rest.append(part)
        elif signature.id == _OF_TEXT:
            _sign_text(rest, structs.replace(signature, id=""))
        else:
            of_calls[signature.id.removeprefix(_OF_CALL)] = structs.replace(signature, id="")
    return tuple(
        structs.replace(part, signature=of_calls[part.id])
        if isinstance(part, ToolCall) and part.id in of_calls
        else part
        for part in rest
    )


def _mark(signature: Signature, envelopes: Envelopes) -> dict[str, Any]:
    return {"type": "thinking", "thinking": "", "signature": envelopes.seal(signature)}


def _is_mark(signature: Signature | None) -> bool:
    return signature is not None and signature.dialect == "gemini" and signature.id.startswith((_OF_CALL, _OF_TEXT))


def _sign_text(parts: list[Part], signature: Signature) -> None:
    last = parts[-1] if parts else None
    if isinstance(last, Text) and last.signature is None:
        parts[-1] = structs.replace(last, signature=signature)
    else:
        parts.append(Text(text="", signature=signature))
