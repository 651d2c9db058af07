"""A code that logs in once: what the browser that `omniroute serve` opens brings with it.

Kept as a hash, in this process only: it is of no use after a restart, once used, or two minutes old.
"""

import hmac
import secrets
from collections.abc import Callable

from admin_api.auth.sessions import hash_token

LIFETIME_S = 120.0


class LoginLink:
    """At most one code at a time."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._hash = ""
        self._made_at = 0.0

    def make(self) -> str:
        """A new code in the place of one that was there."""
        code = secrets.token_urlsafe(32)
        self._hash, self._made_at = hash_token(code), self._now()
        return code

    def take(self, code: str) -> bool:
        """Whether it is the code. It is none any more afterwards."""
        is_fresh = bool(self._hash) and self._now() < self._made_at + LIFETIME_S
        if not is_fresh or not hmac.compare_digest(self._hash, hash_token(code)):
            return False
        self._hash = ""
        return True
