"""Where providers' state stands in Chat Completions, on both sides.

* A call: `extra_content.google.thought_signature` is Google's own place on its endpoint of this dialect, and clients that
  know it send it back; `extra_content.omniroute.state` holds an envelope.
* A message: the same `extra_content`, for what Gemini signs of a text.
* Reasoning: `reasoning_details`, OpenRouter's list. An item of type `reasoning.text` has `text` and `signature`, one of
  type `reasoning.encrypted` has `data`. Our envelopes stand in `signature` and `data` with the format `omniroute-v1`.

A native list of details is kept as one signature: its JSON, without the text that the Thinking part already has.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.dialects.envelope import PREFIX, Envelopes
from gateway.dialects.surrogates import json_text
from gateway.domain.chat import Signature, Thinking

FORMAT = "omniroute-v1"
_TEXTS = ("text", "summary")

Json = dict[str, Any]


def state_of(extra: object) -> str:
    """What `extra_content` keeps: an envelope or a native signature; empty when there is none."""
    if not isinstance(extra, dict):
        return ""
    for owner, name in (("omniroute", "state"), ("google", "thought_signature")):
        place = extra.get(owner)
        value = place.get(name) if isinstance(place, dict) else None
        if isinstance(value, str) and value:
            return value
    return ""


def opened(text: str, envelopes: Envelopes, notes: list[str]) -> Signature | None:
    """A caller's value: an envelope is opened, what is none is native, a broken envelope is left out with a note."""
    if not text:
        return None
    if not text.startswith(PREFIX):
        return Signature("openai_chat", text)
    found = envelopes.open(text)
    if found is None:
        notes.append("state that was not sealed here")
    return found


def extra_content(signature: Signature, envelopes: Envelopes | None) -> Json:
    """The place for a signature of a call or a text; natively if it is this dialect's own, else sealed."""
    if signature.dialect == "openai_chat" or envelopes is None:
        return {"google": {"thought_signature": signature.data}}
    sealed = envelopes.seal(signature)
    if signature.dialect == "gemini":
        return {"google": {"thought_signature": sealed}, "omniroute": {"state": sealed}}
    return {"omniroute": {"state": sealed}}


# -- reasoning details -----------------------------------------------------------------------------------------------


def details_text(details: Iterable[object]) -> str:
    """The reasoning that a list of details shows."""
    return "".join(
        text
        for detail in details
        if isinstance(detail, dict)
        for name in _TEXTS
        if isinstance(text := detail.get(name), str)
    )


def merged_details(details: Iterable[object]) -> list[Json]:
    """The details of a stream: pieces of one index and type are one item, their texts joined."""
    merged: list[Json] = []
    for detail in details:
        if not isinstance(detail, dict):
            continue
        last = merged[-1] if merged else None
        if last is None or (last.get("type"), last.get("index")) != (detail.get("type"), detail.get("index")):
            merged.append(dict(detail))
            continue
        for name, value in detail.items():
            if value is None:
                continue
            joins = name in {*_TEXTS, "data"} and isinstance(last.get(name), str) and isinstance(value, str)
            last[name] = last[name] + value if joins else value
    return merged


def native_thinking(text: str, details: list[Json], provider: str) -> Thinking:
    """A provider's reasoning. Details that nobody signed say no more than the text."""
    if not any(detail.get("signature") or detail.get("data") for detail in details):
        return Thinking(text or details_text(details))
    shown = details_text(details)
    text = text or shown
    texts = [detail for detail in details if any(name in detail for name in _TEXTS)]
    if len(texts) == 1 and shown == text:
        name = next(name for name in _TEXTS if name in texts[0])
        at = details.index(texts[0])
        details = [*details[:at], texts[0] | {name: None}, *details[at + 1 :]]
    signature = Signature("openai_chat", json_text(details).decode(), provider)
    return Thinking(text, signature, is_redacted=not text)


def native_details(thinking: Thinking) -> list[Json]:
    """The details again, as the provider gave them."""
    assert thinking.signature is not None
    try:
        details = msgspec.json.decode(thinking.signature.data, type=list[Json])
    except (msgspec.DecodeError, RecursionError):
        return []
    return [
        detail | {name: thinking.text for name in _TEXTS if name in detail and detail[name] is None}
        for detail in details
    ]


def sealed_details(thinking: Thinking, index: int, envelopes: Envelopes) -> list[Json]:
    """A signed block of reasoning for a caller, in the list's form."""
    signature = thinking.signature
    if signature is None:
        return []
    if signature.dialect == "openai_chat":
        return native_details(thinking)
    sealed = envelopes.seal(signature)
    if thinking.is_redacted:
        return [{"type": "reasoning.encrypted", "data": sealed, "format": FORMAT, "index": index}]
    return [
        {"type": "reasoning.text", "text": thinking.text, "signature": sealed, "format": FORMAT, "index": index}
    ]  # fmt: skip


def thoughts_of(text: str, details: object, envelopes: Envelopes, notes: list[str]) -> list[Thinking]:
    """A caller's history: blocks that we sealed come back one by one, a provider's own list as one block."""
    if not isinstance(details, list) or not details:
        return [Thinking(text)] if text else []
    ours = [detail for detail in details if isinstance(detail, dict) and detail.get("format") == FORMAT]
    if not ours:
        native = [detail for detail in details if isinstance(detail, dict)]
        return [native_thinking(text, native, "")] if native or text else []
    thoughts: list[Thinking] = []
    for detail in ours:
        kept = detail.get("signature") or detail.get("data")
        signature = opened(kept if isinstance(kept, str) else "", envelopes, notes)
        shown = detail.get("text")
        is_redacted = detail.get("type") == "reasoning.encrypted"
        thought = Thinking(shown if isinstance(shown, str) else "", signature, is_redacted=is_redacted)
        if thought.text or thought.signature:
            thoughts.append(thought)
    if text and not any(thought.text for thought in thoughts):
        thoughts.insert(0, Thinking(text))
    return thoughts
