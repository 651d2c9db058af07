"""First start: the admin password and one gateway key, made when there is none, and shown once.

What was made stays sealed in SQL until it has been shown, so a start that is cut short shows the same again.
"""

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.auth.passwords import hash_password, new_password
from admin_api.services.key_rules import new_key_row
from admin_api.services.plane import Plane
from admin_api.store.credentials import (
    FirstStart,
    forget_first_start,
    get_first_start,
    keep_first_start,
    set_password_hash,
    users,
)
from admin_api.store.database import raise_revision, take_turns
from admin_api.store.keys import keys
from admin_api.store.settings import SettingRow, settings_rows
from gateway.config.envelope import EnvelopeError, open_sealed
from gateway.config.keys import new_key_secret

_OWNER = "first-start"


class Credentials(msgspec.Struct, frozen=True):
    """What must be shown now; empty when it was given or shown before."""

    password: str = ""
    key: str = ""

    def __repr__(self) -> str:
        return "Credentials()"


async def prepare_first_start(plane: Plane) -> Credentials:
    """Make what is missing; gives what has not been shown yet."""
    async with plane.database.read() as connection:
        pending = await get_first_start(connection)
        is_first = not await users.load_all(connection)
    if pending is not None:
        return _opened(plane, pending)
    fresh_password = new_password()
    # Hashing takes a fifth of a second and 64 MB: not at every start.
    password_hash = await hash_password(plane.settings.initial_password or fresh_password) if is_first else ""
    async with plane.act() as acting:
        connection = acting.connection
        await take_turns(connection)
        pending = await get_first_start(connection)
        if pending is not None:
            return _opened(plane, pending)
        has_password = not is_first or bool(await users.load_all(connection))
        if not has_password:
            await set_password_hash(connection, password_hash, plane.now())
            await _offer_guide(plane, connection)
        key = await _make_first_key(plane, connection)
        is_given = has_password or bool(plane.settings.initial_password)
        made = Credentials(password="" if is_given else fresh_password, key=key)
        await keep_first_start(connection, plane.seal(made.password, _OWNER), plane.seal(made.key, _OWNER))
        return made


async def confirm_shown(plane: Plane) -> None:
    """The credentials have been shown: forget them."""
    async with plane.database.write() as connection:
        await forget_first_start(connection)


async def _offer_guide(plane: Plane, connection: AsyncConnection) -> None:
    """Who starts for the first time is led through it by the dashboard, unless a config file says how all is to be."""
    if plane.settings.config_file is None:
        await settings_rows.insert(connection, SettingRow("setupComplete", value=False, managed=False))


async def _make_first_key(plane: Plane, connection: AsyncConnection) -> str:
    """Make the key "default" unless there are keys. Gives its secret if it is ours to show."""
    if await keys.load_all(connection):
        return ""
    secret = plane.settings.initial_key or new_key_secret()
    revision = await raise_revision(connection)
    await keys.insert(connection, new_key_row(plane, secret, "default", revision))
    return "" if plane.settings.initial_key else secret


def _opened(plane: Plane, pending: FirstStart) -> Credentials:
    try:
        return Credentials(
            open_sealed(pending.sealed_password, _OWNER, plane.encryption_key),
            open_sealed(pending.sealed_key, _OWNER, plane.encryption_key),
        )
    except EnvelopeError:
        # The encryption key was changed in between; `omniroute reset-password` helps.
        return Credentials()
