"""AES-256-GCM envelopes for secrets at rest: in SQL, in the snapshot, in Valkey and in last-good files.

Shape: `v1:` + base64url(nonce of 12 bytes + ciphertext + tag). The id of the record that owns the secret is the
associated data, so a sealed value copied to another record does not open.
"""

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_PREFIX = "v1:"
_NONCE_BYTES = 12


class EnvelopeError(ValueError):
    """A sealed value that this key, or this record id, does not open."""


def parse_encryption_key(text: str) -> bytes:
    """Read `STORAGE_ENCRYPTION_KEY`: 32 bytes as 64 hex digits or as base64. Raises ValueError."""
    try:
        key = bytes.fromhex(text) if len(text) == 64 else base64.b64decode(text, altchars=b"-_", validate=True)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise ValueError(
            "STORAGE_ENCRYPTION_KEY must be 32 bytes, as 64 hex digits or base64: try `openssl rand -hex 32`"
        )
    return key


def seal(plaintext: str, owner_id: str, key: bytes) -> str:
    """Encrypt `plaintext` for the record `owner_id`. An empty secret stays empty."""
    if not plaintext:
        return ""
    nonce = os.urandom(_NONCE_BYTES)
    sealed = AESGCM(key).encrypt(nonce, plaintext.encode(), owner_id.encode())
    return _PREFIX + base64.urlsafe_b64encode(nonce + sealed).decode()


def open_sealed(sealed: str, owner_id: str, key: bytes) -> str:
    """Decrypt what `seal` made. Raises EnvelopeError when the key or the owner is another one."""
    if not sealed:
        return ""
    try:
        raw = base64.urlsafe_b64decode(sealed.removeprefix(_PREFIX).encode())
        return AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], owner_id.encode()).decode()
    except (InvalidTag, ValueError) as error:
        raise EnvelopeError(f"the secret of {owner_id} does not open with this STORAGE_ENCRYPTION_KEY") from error
