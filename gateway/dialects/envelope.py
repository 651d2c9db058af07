"""State of one provider, carried home through a client of another dialect: `OMROMROMROMR1.<payload>.<checksum>`.

A signed thought must reach who signed it in the next turn, and the client is the only memory there is. So the signature
travels where that client keeps such things, in an envelope: told from native values by its prefix, and signed, so that a
client cannot make up state. It holds no secret: the client has seen all of it.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec

from gateway.domain.chat import Signature

PREFIX = "OMROMROMROMR1."
MARK = b"OMROMROMROMR"
"""Looked for in every body. Long and of few, rare letters: CPython then skips most of a text, and a search takes 0.5 µs in 2 KB
instead of 1.4, 24 in 100 KB instead of 61.
"""
_CHECKSUM_CHARS = 22

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Signature).decode


class Envelopes:
    """Seals and opens with one key, which all workers share."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = hmac.digest(key, b"omniroute envelope", hashlib.sha256)

    def seal(self, signature: Signature) -> str:
        payload = urlsafe_b64encode(_encode(signature)).rstrip(b"=")
        return f"{PREFIX}{payload.decode()}.{self._checksum(payload)}"

    def open(self, text: str) -> Signature | None:
        """The signature inside; None when it is no envelope, or not one of ours."""
        if not text.startswith(PREFIX):
            return None
        payload, _, checksum = text[len(PREFIX) :].partition(".")
        raw = payload.encode("ascii", "replace")
        if not hmac.compare_digest(checksum.encode("utf-8", "replace"), self._checksum(raw).encode()):
            return None
        try:
            return _decode(urlsafe_b64decode(raw + b"=" * (-len(raw) % 4)))
        except (ValueError, msgspec.MsgspecError):
            return None

    def _checksum(self, payload: bytes) -> str:
        digest = hmac.digest(self._key, payload, hashlib.sha256)
        return urlsafe_b64encode(digest).decode()[:_CHECKSUM_CHARS]
