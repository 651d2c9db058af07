"""URLs that operators are given for their PostgreSQL are understood, or refused by what is wrong with them."""

import pytest
import sqlalchemy as sa

from admin_api.store.database import open_database
from admin_api.store.faults import DatabaseAway
from admin_api.store.postgres_url import BadDatabaseUrl, connect_arguments


@pytest.mark.parametrize(
    "options",
    ["", "?sslmode=disable", "?sslmode=prefer&connect_timeout=3", "?ssl=disable&channel_binding=prefer", "?application_name=or"],
)  # fmt: skip
async def test_a_database_is_reached_with_the_options_that_operators_write(postgres, tmp_path, options):
    url = postgres.make_database()
    database = open_database(url + options, tmp_path)
    async with database.write() as connection:
        assert (await connection.execute(sa.text("SELECT 1"))).scalar_one() == 1
    await database.close()
    postgres.drop_database(url)


async def test_a_server_without_tls_is_refused_when_tls_is_asked_for(postgres, tmp_path):
    database = open_database(postgres.url("postgres") + "?sslmode=require", tmp_path)
    with pytest.raises(DatabaseAway, match="SSL"):
        async with database.read():
            pass
    await database.close()


async def test_a_unix_socket_will_do(postgres, tmp_path):
    database = open_database(postgres.socket_url("postgres"), tmp_path)
    async with database.read() as connection:
        assert (await connection.execute(sa.text("SELECT inet_client_addr()"))).scalar_one() is None
    await database.close()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://u:secret@h/d?sslmod=require", "sslmod"),
        ("postgresql://u:secret@h/d?connect_timeout=soon", "connect_timeout"),
        ("mysql://u:secret@h/d", "postgresql://"),
        ("postgresql+psycopg2://u:secret@h/d", "postgresql://"),
        ("postgresql://u:secret@h:port/d", "port"),
        ("postgresql://u:secret@h/d?sslmode=perhaps", "sslmode"),
        ("postgresql://u:secret@[::1/d", "DATABASE_URL"),
    ],
)
def test_what_cannot_be_used_is_named_and_no_secret_is(url, why):
    with pytest.raises(BadDatabaseUrl) as refusal:
        connect_arguments(url)
    assert why in str(refusal.value)
    assert "secret" not in str(refusal.value)


def test_the_password_is_handed_on_as_it_was_quoted():
    arguments = connect_arguments("postgres://u:p%2Fw%3F@h/d?sslmode=verify-full&connect_timeout=2")
    assert arguments["dsn"] == "postgresql://u:p%2Fw%3F@h/d?sslmode=verify-full"
    assert arguments["timeout"] == 2
