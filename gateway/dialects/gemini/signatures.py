"""`thoughtSignature`: where Gemini callers keep state for us, and what they sent back.

A native signature belongs to the part it stands on. Another provider's travels in an envelope, in base64 since SDKs
treat the field as bytes; a word before it says whether it signs the part itself or reasoning that came before it.
"""

from base64 import b64decode, b64encode
from typing import Literal

import msgspec

from gateway.dialects.codec import Stamp
from gateway.dialects.envelope import MARK, Envelopes
from gateway.dialects.media import standard_base64
from gateway.domain.chat import Signature

Use = Literal["part", "thinking", "redacted"]

DUMMY = "skip_thought_signature_validator"
"""Google's documented text for calls that have no signature."""

_DUMMIES = (DUMMY, "context_engineering_is_the_way_to_go")
_DUMMY_BYTES = tuple(standard_base64(b64encode(text.encode()).decode()) for text in _DUMMIES)
_PREFIXES: dict[Use, bytes] = {"part": b"", "thinking": b"think:", "redacted": b"redacted:"}
_NOT_SIGNED = Signature("openai_chat", "")
"""Chat Completions has no signatures, so nothing real looks like this."""

_STARTS = tuple(b64encode(prefix + MARK)[: len(prefix + MARK) * 8 // 6].decode() for prefix in _PREFIXES.values())

MARKS = (MARK, *(start.encode() for start in _STARTS))
"""How envelopes look in a request's bytes."""


class Carried(msgspec.Struct, frozen=True):
    """What a `thoughtSignature` held. `note` is set when it was one of ours and could not be opened."""

    signature: Signature | None = None
    use: Use = "part"
    note: str = ""


def write_signature(signature: Signature, use: Use, envelopes: Envelopes) -> str:
    """As the value of `thoughtSignature`: natively when it is Gemini's own, else sealed."""
    if signature.dialect == "gemini":
        return signature.data
    return b64encode(_PREFIXES[use] + envelopes.seal(signature).encode()).decode()


def marked_unsigned(stamp: Stamp) -> dict[str, str]:
    """The `thoughtSignature` of a turn's first call that nobody signed, or nothing.

    Gemini refuses such a call, and in a history of one dialect only the envelope tells that it is not Gemini's own.
    """
    is_foreign = stamp.answered_in not in (None, "gemini")
    return {"thoughtSignature": write_signature(_NOT_SIGNED, "part", stamp.envelopes)} if is_foreign else {}


def read_signature(text: str, envelopes: Envelopes) -> Carried:
    """What a caller sent back. The documented dummies and empty texts are no signatures."""
    if not text or is_dummy(text):
        return Carried()
    if not text.startswith(_STARTS):
        return Carried(Signature(dialect="gemini", data=text))
    try:
        raw = b64decode(standard_base64(text))
    except ValueError:
        return Carried(Signature(dialect="gemini", data=text))
    for use, prefix in _PREFIXES.items():
        if raw.startswith(prefix + MARK):
            opened = envelopes.open(raw[len(prefix) :].decode("utf-8", "replace"))
            if opened == _NOT_SIGNED:
                return Carried()
            return Carried(opened, use, "" if opened else "a signature that is not ours or was changed")
    return Carried(Signature(dialect="gemini", data=text))


def is_dummy(text: str) -> bool:
    if len(text) > 64:
        return False
    if text in _DUMMIES:
        return True
    try:
        return standard_base64(text) in _DUMMY_BYTES
    except ValueError:
        return False
