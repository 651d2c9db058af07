"""Signatures of other dialects inside reasoning items, the one thing that clients of this dialect always send back.

A reasoning item holds its own dialect's `encrypted_content` as it came, or an envelope. The native value goes only with
the item id that it was made for: the provider compares the two. Reasoning of another dialect that nobody signed gets an
envelope of an empty signature: a provider of this dialect would look for an item without content in its own store. A signature of a text or of a call (Gemini) travels in
a reasoning item of its own, marked in its `id` with what it belongs to, wherever a client may put that item.
"""

from msgspec import structs

from gateway.dialects.codec import Stamp
from gateway.dialects.envelope import Envelopes
from gateway.domain.chat import Signature

_OF_CALL = "call:"
_OF_TEXT = "text"
_NOT_SIGNED = Signature("openai_chat", "")
"""Chat Completions has no signatures, so nothing real looks like this."""


def encrypted(signature: Signature | None, item_id: str, stamp: Stamp) -> str:
    """What stands in `encrypted_content` of the item with this id; empty = nothing."""
    if signature is None:
        is_foreign = stamp.answered_in not in (None, "openai_responses")
        return stamp.envelopes.seal(_NOT_SIGNED) if is_foreign else ""
    is_native = signature.dialect == "openai_responses" and signature.id in ("", item_id)
    return signature.data if is_native else stamp.envelopes.seal(signature)


def sealed_for_call(signature: Signature, call_id: str, envelopes: Envelopes) -> str:
    return envelopes.seal(structs.replace(signature, id=_OF_CALL + call_id))


def sealed_for_text(signature: Signature, envelopes: Envelopes) -> str:
    return envelopes.seal(structs.replace(signature, id=_OF_TEXT))


def is_signed(signature: Signature) -> bool:
    """Of what an envelope held: somebody did sign."""
    return bool(signature.data)


def owner(signature: Signature) -> tuple[str, str]:
    """(`call`, its id), (`text`, "") or ("", "") for a signature of the reasoning itself."""
    if signature.dialect == "openai_responses":
        return "", ""
    if signature.id.startswith(_OF_CALL):
        return "call", signature.id[len(_OF_CALL) :]
    return ("text", "") if signature.id == _OF_TEXT else ("", "")


def freed(signature: Signature) -> Signature:
    """The signature without its mark."""
    return structs.replace(signature, id="")
