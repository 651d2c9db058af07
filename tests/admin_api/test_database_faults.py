"""A database that is away, full or given what it cannot hold: a clear answer, and all is well when it is back."""

import pytest

from admin_api.jobs.ledger import LedgerJob
from tests.admin_api.test_ledger import emit, record
from tests.support.admin_plane import ADMIN_TOKEN, client_of, make_plane, make_settings, rows_beside
from tests.support.real_postgres import RealPostgres


async def test_while_the_database_is_down_every_answer_is_503_and_afterwards_all_is_well(
    tmp_path, shared_valkey, redis
):
    with RealPostgres() as server:
        plane = await make_plane(make_settings(tmp_path, shared_valkey.url, database_url=server.make_database()))
        async with client_of(plane, headers={"authorization": f"Bearer {ADMIN_TOKEN}"}) as admin:
            made = await admin.post("/api/combos", json={"name": "kept", "models": ["demo/demo"]})
            server.kill()
            for method, path in (("GET", "/api/combos"), ("PATCH", "/api/settings"), ("GET", "/api/usage/logs")):
                answer = await admin.request(method, path, json={} if method == "PATCH" else None)
                assert answer.status_code == 503, answer.text
                assert "database" in answer.json()["error"]["message"]
            stranger = await admin.get("/api/combos", headers={"authorization": "Bearer somebody-else"})
            assert stranger.status_code == 503
            await emit(redis, record(1))
            with pytest.raises(Exception, match="database"):
                await LedgerJob(plane)()
            server.start()
            assert (await admin.get("/api/combos")).status_code == 200
            await LedgerJob(plane)()
            assert rows_beside(plane, "SELECT id, state FROM request_records") == [(record(1).id, "final")]
            assert made.status_code == 201
        await plane.close()


@pytest.mark.both_databases
@pytest.mark.parametrize("name", ["a\0b", "\U0001f600" * 3, "x" * 5000, "'; DROP TABLE combos; --"])
async def test_no_name_breaks_anything(admin, name):
    answer = await admin.post("/api/combos", json={"name": name, "models": ["demo/demo"]})
    assert answer.status_code in (201, 400), answer.text
    if answer.status_code == 201:
        assert name in [combo["name"] for combo in (await admin.get("/api/combos")).json()["combos"]]
