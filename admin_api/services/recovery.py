"""What an operator at the machine may do without logging in: a new admin token, a new password."""

import time

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.auth.actor import COMMAND, Role
from admin_api.auth.passwords import hash_password, new_password
from admin_api.auth.sessions import create_admin_token
from admin_api.services.audit import write_trail
from admin_api.services.backups import migrate_safely
from admin_api.store.credentials import FIRST_USER, delete_sessions, forget_first_start, set_password_hash, users
from admin_api.store.database import open_database
from gateway.config.settings import Settings


async def create_token(settings: Settings, name: str, role: Role, days: float = 0.0) -> str:
    """Make an admin token; gives it once. `days` of 0 = it never expires."""
    database = open_database(settings.database_url, settings.data_dir)
    try:
        await migrate_safely(database, settings, time.time)
        now = time.time()
        async with database.act() as acting:
            _, token = await create_admin_token(
                acting.connection,
                name,
                role,
                now,
                expires_at=now + days * 86_400 if days else 0.0,
                created_by=COMMAND.name,
            )
            await write_trail(acting.connection, acting.trail, COMMAND, now, acting.revision)
        return token
    finally:
        await database.close()


async def reset_password(settings: Settings) -> str:
    """Make a random password for the first user, an owner again, and end all sessions; gives the password once."""
    database = open_database(settings.database_url, settings.data_dir)
    password = new_password()
    password_hash = await hash_password(password)
    try:
        await migrate_safely(database, settings, time.time)
        async with database.act() as acting:
            connection, now = acting.connection, time.time()
            await set_password_hash(connection, password_hash, now)
            await _let_in(connection)
            await delete_sessions(connection)
            await forget_first_start(connection, key_too=False)
            await write_trail(connection, acting.trail, COMMAND, now, acting.revision)
    finally:
        await database.close()
    return password


async def _let_in(connection: AsyncConnection) -> None:
    """The first user can log in and do everything, whatever was made of him."""
    user = await users.get(connection, FIRST_USER)
    if user is not None and (user.role != "owner" or not user.is_active):
        await users.replace(connection, msgspec.structs.replace(user, role="owner", is_active=True))
