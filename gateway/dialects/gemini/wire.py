"""What Gemini answers look like on the wire, whole (`generateContent`) and as a chunk of a stream: one shape for both.

Only what the gateway reads is declared; msgspec skips the rest. Fields are read loosely: a provider's odd value must
not break a stream. Used by both directions of answers; requests are read in `contents_in.py`, place by place.
"""

from typing import Any

import msgspec

from gateway.dialects.surrogates import readable_json
from gateway.domain.chat import Finish
from gateway.domain.usage import Usage

Loose = Any
"""A field whose type strangers get wrong; whoever uses it looks first."""


class Call(msgspec.Struct, frozen=True, rename="camel"):
    """`functionCall`. `args` stays JSON text. With `partialArgs` or `willContinue` the arguments are streamed (Vertex)."""

    id: Loose = None
    name: Loose = None
    args: msgspec.Raw = msgspec.Raw()
    partial_args: Loose = None
    will_continue: Loose = None


class Blob(msgspec.Struct, frozen=True, rename="camel"):
    mime_type: str = ""
    data: str = ""


class Part(msgspec.Struct, frozen=True, rename="camel"):
    text: str | None = None
    thought: Loose = None
    thought_signature: Loose = None
    function_call: Call | None = None
    inline_data: Blob | None = None
    executable_code: Loose = None
    code_execution_result: Loose = None


class Content(msgspec.Struct, frozen=True, rename="camel"):
    parts: list[Part] | None = None


class Candidate(msgspec.Struct, frozen=True, rename="camel"):
    content: Content | None = None
    finish_reason: Loose = None
    finish_message: Loose = None
    grounding_metadata: Loose = None
    citation_metadata: Loose = None
    index: Loose = None


class Chunk(msgspec.Struct, frozen=True, rename="camel"):
    candidates: list[Candidate] | None = None
    prompt_feedback: Loose = None
    usage_metadata: Loose = None
    error: Loose = None
    response_id: Loose = None
    model_version: Loose = None


_decode = msgspec.json.Decoder(Chunk).decode
_decode_many = msgspec.json.Decoder(list[Chunk]).decode


def read_chunk(data: bytes) -> Chunk:
    r"""One answer or chunk. Raises one of `UNREADABLE`.

    Half of a surrogate pair (`\ud83d`) is legal JSON text and no legal UTF-8: such data is read again with U+FFFD there.
    """
    try:
        return _decode(data)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        if b"\\u" not in data:
            raise
        return _decode(readable_json(data))


def read_chunks(body: bytes) -> list[Chunk]:
    """A whole body: one object, or an array of them (a stream without `alt=sse`). Raises one of `UNREADABLE`."""
    if body.lstrip()[:1] == b"[":
        return _decode_many(body)
    return [read_chunk(body)]


def usage_of(raw: object) -> Usage | None:
    """The counts of a `usageMetadata`; None when it tells none (some chunks hold a `trafficType` alone).

    `promptTokenCount` includes what was cached and excludes what built-in tools read; `candidatesTokenCount` excludes
    thoughts. Negative or absurd figures are not believed.
    """
    if not isinstance(raw, dict):
        return None
    if not any(_is_number(raw.get(name)) for name in ("promptTokenCount", "candidatesTokenCount", "totalTokenCount")):
        return None
    thoughts = _count(raw.get("thoughtsTokenCount"))
    told = _count(raw.get("promptTokenCount")) + _count(raw.get("toolUsePromptTokenCount"))
    return Usage(
        input=told,
        output=_count(raw.get("candidatesTokenCount")) + thoughts,
        cache_read=min(_count(raw.get("cachedContentTokenCount")), told),
        reasoning=thoughts,
    )


def usage_metadata(usage: Usage) -> dict[str, int]:
    """The same counts as a `usageMetadata`. What was written into a cache has no name here; it stays in the prompt's count."""
    told = {
        "promptTokenCount": usage.input,
        "candidatesTokenCount": max(usage.output - usage.reasoning, 0),
        "totalTokenCount": usage.input + usage.output,
    }
    if usage.cache_read:
        told["cachedContentTokenCount"] = usage.cache_read
    if usage.reasoning:
        told["thoughtsTokenCount"] = usage.reasoning
    return told


# -- why an answer ended -----------------------------------------------------------------------------------------------

_FINISHES: dict[str, Finish] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "pause",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "OTHER": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "IMAGE_OTHER": "content_filter",
    "NO_IMAGE": "content_filter",
}
"""The words of google-genai 3.4. An unknown one is taken for `stop`, and kept beside it."""

_FAULTS = frozenset({
    "MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS",
    "MISSING_THOUGHT_SIGNATURE",
})  # fmt: skip
"""The model wrote what is no answer: a failure worth another try."""

_WORDS = {1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY", 4: "RECITATION"}
"""Enums as numbers, where the two APIs agree on them."""


def finish_word(raw: object) -> str:
    """The finish reason as a word; empty when there is none yet."""
    if isinstance(raw, str):
        return "" if raw == "FINISH_REASON_UNSPECIFIED" else raw
    if isinstance(raw, int) and not isinstance(raw, bool) and raw > 0:
        return _WORDS.get(raw, f"FINISH_REASON_{raw}")
    return ""


def finish_of(word: str, *, has_calls: bool) -> Finish:
    finish = _FINISHES.get(word, "stop")
    return "tool_calls" if has_calls and finish == "stop" else finish


def is_fault(word: str, *, has_calls: bool) -> bool:
    """Whether the word means a broken answer. A call of a tool that was not declared comes whole: it is an answer."""
    return word in _FAULTS and not (has_calls and word == "UNEXPECTED_TOOL_CALL")


def finish_reason(finish: Finish, native: str) -> str:
    """The word for a caller: the provider's own if it means the same here."""
    if _FINISHES.get(native) == finish:
        return native
    return {"length": "MAX_TOKENS", "content_filter": "SAFETY", "pause": "CONTINUATION"}.get(finish, "STOP")


def block_reason(feedback: object) -> str:
    """Why the prompt itself was refused; empty when it was not."""
    reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
    if isinstance(reason, str) and reason != "BLOCKED_REASON_UNSPECIFIED":
        return reason
    return f"BLOCK_REASON_{reason}" if isinstance(reason, int) and reason and not isinstance(reason, bool) else ""


# -- smaller things --------------------------------------------------------------------------------------------------


def code_text(part: Part) -> str:
    """What the built-in code tool wrote, as text a reader can follow; empty when the part holds none."""
    if isinstance(part.executable_code, dict):
        return fenced(part.executable_code.get("code"), part.executable_code.get("language"))
    if isinstance(part.code_execution_result, dict):
        return fenced(part.code_execution_result.get("output"), "")
    return ""


def fenced(text: object, language: object) -> str:
    if not isinstance(text, str) or not text:
        return ""
    name = language.lower() if isinstance(language, str) and language.isalpha() else ""
    return f"\n```{name}\n{text}{'' if text.endswith(chr(10)) else chr(10)}```\n"


def arguments_of(raw: msgspec.Raw) -> str:
    """The text of `args`; `{}` when they are missing, null or an empty list. What is no object stands in one: `{"input": …}`."""
    text = bytes(raw)
    if not text or text in (b"null", b"[]"):
        return "{}"
    told = text.decode("utf-8", "replace")
    return told if text.startswith(b"{") else f'{{"input":{told}}}'


def own_text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int:
    return int(value) if isinstance(value, int | float) and _is_number(value) and 0 <= value <= 1_000_000_000 else 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
