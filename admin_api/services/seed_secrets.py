"""Opens what the seed system sealed: `enc:v1:<iv>:<ciphertext>:<tag>` in hex, AES-256-GCM, the key by scrypt. Pure."""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

_PREFIX = "enc:v1:"
_SALT = b"omniroute-field-encryption-v1"
_LENGTH, _COST, _BLOCK, _PARALLEL = 32, 16_384, 8, 1


class SeedSecretError(ValueError):
    """No key given, or one that does not open the secret."""


class SeedSecrets:
    """`keys`: what `STORAGE_ENCRYPTION_KEY` may have been there, as text. Secrets that were never sealed pass."""

    def __init__(self, *keys: str) -> None:
        self._ciphers = [AESGCM(_derived(key)) for key in dict.fromkeys(keys) if key]

    def open(self, value: str) -> str:
        """Raises SeedSecretError, which says what is the matter and not what was sealed."""
        if not value.startswith(_PREFIX):
            return value
        if not self._ciphers:
            raise SeedSecretError("its secret is sealed: give the STORAGE_ENCRYPTION_KEY of the system it is from")
        try:
            nonce, text, tag = (bytes.fromhex(part) for part in value.removeprefix(_PREFIX).split(":"))
        except ValueError as error:
            raise SeedSecretError("its secret is not of the form enc:v1:iv:text:tag") from error
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(nonce, text + tag, None).decode()
            except (InvalidTag, ValueError):
                continue
        raise SeedSecretError("its secret does not open with the STORAGE_ENCRYPTION_KEY given")


def _derived(key: str) -> bytes:
    return Scrypt(salt=_SALT, length=_LENGTH, n=_COST, r=_BLOCK, p=_PARALLEL).derive(key.encode())
