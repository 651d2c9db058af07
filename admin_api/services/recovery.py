"""What an operator at the machine may do without logging in: a new admin token, a new password."""

import time

from admin_api.auth.actor import Role
from admin_api.auth.passwords import hash_password, new_password
from admin_api.auth.sessions import create_admin_token
from admin_api.store.credentials import delete_sessions, forget_first_start, set_password_hash
from admin_api.store.database import open_database
from gateway.config.settings import Settings


async def create_token(settings: Settings, name: str, role: Role) -> str:
    """Make an admin token; gives it once."""
    database = open_database(settings.database_url, settings.data_dir)
    try:
        await database.migrate()
        async with database.write() as connection:
            return await create_admin_token(connection, name, role, time.time())
    finally:
        await database.close()


async def reset_password(settings: Settings) -> str:
    """Make a random admin password and end all sessions; gives the password once."""
    database = open_database(settings.database_url, settings.data_dir)
    password = new_password()
    password_hash = await hash_password(password)
    try:
        await database.migrate()
        async with database.write() as connection:
            await set_password_hash(connection, password_hash, time.time())
            await delete_sessions(connection)
            await forget_first_start(connection, key_too=False)
    finally:
        await database.close()
    return password
