"""Lock-outs are shown and ended by an owner, who alone sees whose they are."""

from admin_api.auth.throttle import FAILURES
from tests.support.admin_plane import ADMIN_TOKEN, PASSWORD, client_of, make_plane, make_settings

PEER = "127.0.0.1"
"""The address of a client without a socket."""


async def lock(client):
    for _ in range(FAILURES):
        assert (await client.post("/api/auth/login", json={"password": "wrong password"})).status_code == 401
    assert (await client.post("/api/auth/login", json={"password": PASSWORD})).status_code == 429


async def test_an_owner_lets_an_address_try_again_at_once(admin, client):
    await lock(client)
    shown = (await admin.get("/api/policies")).json()
    (found,) = shown["lockouts"]
    assert shown["circuitBreakers"] == []
    assert (found["identifier"], found["kind"]) == (PEER, "address")
    assert found["waitS"] > 0
    answer = await admin.post("/api/policies", json={"action": "unlock", "identifier": PEER})
    assert answer.status_code == 200, answer.text
    assert (await admin.get("/api/policies")).json()["lockouts"] == []
    assert (await client.post("/api/auth/login", json={"password": PASSWORD})).status_code == 200
    entries = (await admin.get("/api/compliance/audit-log?action=lockout.ended")).json()["entries"]
    assert [entry["object"]["id"] for entry in entries] == [PEER]


async def test_what_is_not_locked_cannot_be_unlocked(admin):
    answer = await admin.post("/api/policies", json={"action": "unlock", "identifier": "10.0.0.1"})
    assert answer.status_code == 404
    assert (await admin.post("/api/policies", json={"action": "lock", "identifier": PEER})).status_code == 400


async def test_while_redis_is_away_the_process_counts_by_itself(tmp_path, own_valkey):
    plane = await make_plane(make_settings(tmp_path, own_valkey.url))
    own_valkey.stop()
    owner = {"authorization": f"Bearer {ADMIN_TOKEN}"}
    async with client_of(plane) as client:
        await lock(client)
        (found,) = (await client.get("/api/policies", headers=owner)).json()["lockouts"]
        assert found["identifier"] == PEER
        unlock = {"action": "unlock", "identifier": PEER}
        assert (await client.post("/api/policies", json=unlock, headers=owner)).status_code == 200
        assert (await client.post("/api/auth/login", json={"password": PASSWORD})).status_code == 200
    own_valkey.start()
    await plane.close()
