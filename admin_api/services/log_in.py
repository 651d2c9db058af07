"""Check a password: throttled by address and by account, at the same cost whether there is such a user or not."""

import math

import msgspec

from admin_api.auth.actor import Actor
from admin_api.auth.passwords import MAX_LENGTH, MIN_LENGTH, NOBODYS_HASH, hash_password, is_password
from admin_api.auth.throttle import LockOut
from admin_api.http.errors import ApiError, bad_request
from admin_api.services.plane import Plane
from admin_api.store.credentials import FIRST_USER, UserRow, get_user_by_name, load_sessions_of, users
from gateway.config.settings import REFUSED_LITERALS


async def check_password(plane: Plane, name: str, password: str, peer: str) -> UserRow:
    """The user with this name and password. Raises 401, or 429 when there were too many wrong ones.

    Every try counts as a failure until it has proved right, so tries at once count too. An account is locked for all
    but the addresses at which its user is logged in: nobody can lock a user out of a session that he has.
    """
    name = (name or FIRST_USER).lower()
    if len(password) > MAX_LENGTH:
        raise bad_request(("password", f"is longer than {MAX_LENGTH} characters"))
    async with plane.database.read() as connection:
        user = await get_user_by_name(connection, name)
        known = {row.address for row in await load_sessions_of(connection, user.id)} if user else set()
    _refuse_late(plane, await plane.logins.count(peer, name, may_lock_account=peer not in known))
    can_log_in = user is not None and user.is_active
    async with plane.password_slots:
        is_right = await is_password(password, user.password_hash if user and can_log_in else NOBODYS_HASH)
    if user is None or not is_right or not can_log_in:
        await _refused(plane, name, peer)
        raise ApiError(401, "the name or the password is wrong")
    await plane.logins.forgive(address=peer, account=name)
    plane.login_counts["right"] += 1
    return user


async def check_link(plane: Plane, code: str, peer: str) -> UserRow:
    """The first user, for a code that was made for the browser of whoever started us. Raises 401, or 429."""
    _refuse_late(plane, await plane.logins.count(peer))
    async with plane.database.read() as connection:
        user = await users.get(connection, FIRST_USER)
    if user is None or not user.is_active or not plane.login_link.take(code):
        await _refused(plane, FIRST_USER, peer)
        raise ApiError(401, "this link has been used or is too old")
    await plane.logins.forgive(address=peer)
    plane.login_counts["right"] += 1
    return user


async def new_password_hash(plane: Plane, new: str, field: str = "newPassword") -> str:
    """The hash of a password that may be one. Raises 400."""
    if not MIN_LENGTH <= len(new) <= MAX_LENGTH or new in REFUSED_LITERALS:
        raise bad_request((field, f"must have {MIN_LENGTH} to {MAX_LENGTH} characters and not be a known default"))
    async with plane.password_slots:
        return await hash_password(new)


async def user_of(plane: Plane) -> UserRow:
    """The user who asks; for a token, which is nobody's, the first one. Raises 401."""
    user_id = plane.actor.id if plane.actor.kind == "user" else FIRST_USER
    async with plane.database.read() as connection:
        user = await users.get(connection, user_id)
    if user is None:
        raise ApiError(401, "there is no such user any more")
    return user


async def _refused(plane: Plane, name: str, peer: str) -> None:
    plane.login_counts["wrong"] += 1
    nobody = Actor("user", name[:100] or "-", role="viewer", address=peer)
    await plane.acting_as(nobody).audit("session.refused", "session", name=name)


def _refuse_late(plane: Plane, late: LockOut | None) -> None:
    if late is not None:
        plane.login_counts["throttled"] += 1
        headers = {"Retry-After": str(math.ceil(late.wait_s))}
        raise ApiError(429, f"too many wrong passwords for this {late.kind}: wait", headers=headers)


def blank_user(plane: Plane, name: str) -> UserRow:
    """A user who can do nothing yet."""
    now = plane.now()
    return UserRow(plane.new_id(), name.lower(), "viewer", "", True, 0.0, now, now)


def renewed(user: UserRow, plane: Plane, **fields: object) -> UserRow:
    """The user with other fields, a version on."""
    return msgspec.structs.replace(user, **fields, updated_at=plane.now(), version=user.version + 1)
