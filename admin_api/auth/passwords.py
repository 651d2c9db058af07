"""Admin passwords: argon2id. Hashing takes tens of ms of a core, so it runs beside the event loop."""

import asyncio
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MIN_LENGTH = 8
MAX_LENGTH = 512

NOBODYS_HASH = "$argon2id$v=19$m=65536,t=3,p=4$3yuiD921gqn5mkRpjl22Jw$t7XpF76BNMilWo3IubeFAWOxvFenHvYYzFvHfKi1naQ"
"""Checked where there is no such user, so that it takes as long."""

_hasher = PasswordHasher()


def new_password() -> str:
    """A random password of 120 bits, easy to copy."""
    return secrets.token_urlsafe(15)


async def hash_password(password: str) -> str:
    return await asyncio.to_thread(_hasher.hash, password)


async def is_password(password: str, password_hash: str) -> bool:
    return await asyncio.to_thread(_verify, password, password_hash)


def _verify(password: str, password_hash: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
