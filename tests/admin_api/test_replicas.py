"""Two admin processes on one database: one first start, edits that queue up, one publisher's word after the other's."""

import asyncio

import pytest

from admin_api.app import build_plane, connect_redis
from admin_api.auth.throttle import FAILURES
from admin_api.services.first_start import prepare_first_start
from gateway.state import keys as redis_keys
from tests.support.admin_plane import ADMIN_TOKEN, PASSWORD, client_of, make_settings, rows_beside

pytestmark = pytest.mark.both_databases


@pytest.fixture
async def planes(tmp_path, redis, shared_valkey, database_url):
    settings = make_settings(tmp_path, shared_valkey.url, database_url=database_url)
    made = [build_plane(settings, connect_redis(settings.redis_url)) for _ in range(3)]
    await made[0].database.migrate()
    yield made
    for plane in made:
        await plane.close()


async def test_a_first_start_in_all_replicas_at_once_is_one(planes):
    """Whoever comes second shows what the first has made, until it has been shown."""
    shown = await asyncio.gather(*(prepare_first_start(plane) for plane in planes))
    assert {one.key for one in shown} == {shown[0].key}
    assert shown[0].key
    assert rows_beside(planes[0], "SELECT COUNT(*) FROM api_keys") == [(1,)]
    assert rows_beside(planes[0], "SELECT COUNT(*) FROM users") == [(1,)]


async def test_edits_in_all_replicas_at_once_all_count_and_the_newest_is_published(planes, redis):
    await prepare_first_start(planes[0])
    clients = [client_of(plane, headers={"authorization": f"Bearer {ADMIN_TOKEN}"}) for plane in planes]
    await asyncio.gather(
        *(_post_until_taken(clients[n % 3], {"name": f"c{n}", "models": ["demo/demo"]}) for n in range(30))
    )
    ((revision,),) = rows_beside(planes[0], "SELECT value FROM revision")
    assert (
        int(await redis.get(redis_keys.SNAPSHOT_CURRENT)) == revision == 31
    )  # the key of the first start, and the edits
    for client in clients:
        names = {combo["name"] for combo in (await client.get("/api/combos")).json()["combos"]}
        assert names == {f"c{n}" for n in range(30)}
        await client.aclose()


async def _post_until_taken(client, body):
    """On a slow machine the last in the queue wait longer than SQLite's five seconds and are told to come again."""
    async with asyncio.timeout(100):
        while (answer := await client.post("/api/combos", json=body)).status_code == 503:
            pass
    assert answer.status_code == 201, answer.text


async def test_of_two_who_take_the_same_name_at_once_one_is_told(planes):
    await prepare_first_start(planes[0])
    clients = [client_of(plane, headers={"authorization": f"Bearer {ADMIN_TOKEN}"}) for plane in planes]
    for n in range(5):
        answers = await asyncio.gather(
            *(client.post("/api/combos", json={"name": f"same{n}", "models": ["demo/demo"]}) for client in clients)
        )
        codes = sorted(answer.status_code for answer in answers)
        assert codes[0] == 201
        assert set(codes[1:]) <= {400, 409}, [answer.text for answer in answers]
    for client in clients:
        await client.aclose()


async def test_who_guesses_at_all_replicas_has_no_more_tries_than_at_one(planes):
    await prepare_first_start(planes[0])
    clients = [client_of(plane) for plane in planes]
    guesses = [clients[n % 3].post("/api/auth/login", json={"password": "wrong password"}) for n in range(FAILURES + 4)]
    answers = await asyncio.gather(*guesses)
    assert sorted(answer.status_code for answer in answers) == [401] * FAILURES + [429] * 4
    for client in clients:
        assert (await client.post("/api/auth/login", json={"password": PASSWORD})).status_code == 429
    owner = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    (locked,) = (await clients[1].get("/api/policies", headers=owner)).json()["lockouts"]
    unlock = {"action": "unlock", "identifier": locked["identifier"]}
    assert (await clients[1].post("/api/policies", json=unlock, headers=owner)).status_code == 200
    assert (await clients[2].post("/api/auth/login", json={"password": PASSWORD})).status_code == 200
    for client in clients:
        await client.aclose()
