"""Every list that can grow is had in pages that meet, in the order of the whole list."""

import asyncio

import pytest

from admin_api.auth.sessions import create_admin_token
from admin_api.http.paging import MAX_PAGE
from admin_api.store.cursor import write_cursor
from tests.support.admin_plane import PASSWORD, client_of

pytestmark = pytest.mark.both_databases
COUNT = 5
LISTS = {
    "/api/providers": "connections",
    "/api/provider-nodes": "nodes",
    "/api/combos": "combos",
    "/api/keys": "keys",
    "/api/provider-models": "models",
    "/api/fallback/chains": "chains",
    "/api/models/alias": "managed",
    "/api/pricing/list": "prices",
    "/api/auth/sessions": "sessions",
    "/api/users": "users",
    "/api/admin-tokens": "tokens",
    "/api/usage/budget": "budgets",
}


async def fill(plane, admin):
    """COUNT or more of each kind, some made at the same instant and with names that sort apart from that."""
    began = plane.now()
    for number, name in enumerate(["é", "b", "A", "a", "ü/%"]):
        plane.now = lambda number=number: began + number // 2
        node = {"prefix": f"n{number}", "baseUrl": "http://127.0.0.1:9001/v1", "allowPrivate": True}
        bodies = {
            "/api/provider-nodes": node,
            "/api/providers": {"provider": "n0", "name": name, "priority": number // 3, "apiKey": "sk-x"},
            "/api/combos": {"name": f"combo-{number}", "models": ["n0/m"]},
            "/api/keys": {"name": name, "budgetUsd": 1.0},
            "/api/provider-models": {"provider": "n0", "modelId": name},
            "/api/fallback/chains": {"name": f"chain-{name}", "models": ["n0/m"]},
            "/api/users": {"name": f"user-{number}", "password": "correct horse battery", "role": "viewer"},
        }
        for path, body in bodies.items():
            answer = await admin.post(path, json=body)
            assert answer.status_code < 300, (path, answer.text)
        await admin.put("/api/models/alias", json={"alias": f"x{name}", "model": "n0/m"})
        await admin.patch("/api/pricing", json={"n0": {f"m{number}": {"input": 1.0, "output": 1.0}}})
        async with plane.database.write() as connection:
            await create_admin_token(connection, name, "viewer", plane.now())
        async with client_of(plane) as client:
            assert (await client.post("/api/auth/login", json={"password": PASSWORD})).status_code == 200


def rows_of(path, body):
    return list(body["aliases"].items()) if path == "/api/models/alias" else body[LISTS[path]]


async def test_pages_meet_and_are_the_whole_list(plane, admin):
    await fill(plane, admin)
    for path in LISTS:
        answer = (await admin.get(path)).json()
        assert answer["nextCursor"] is None, path
        whole = rows_of(path, answer)
        assert len(whole) >= COUNT, path
        for limit in (1, 2, len(whole), MAX_PAGE):
            seen, cursor = [], ""
            while cursor is not None:
                answer = await admin.get(path, params={"limit": limit, "cursor": cursor})
                assert answer.status_code == 200, (path, answer.text)
                page = rows_of(path, answer.json())
                assert 0 < len(page) <= limit, path
                seen += page
                cursor = answer.json()["nextCursor"]
            assert seen == whole, (path, limit)


async def test_a_row_that_comes_or_goes_between_two_pages_neither_doubles_nor_hides_another(plane, admin):
    for number in (1, 3, 5, 7):
        await admin.post("/api/combos", json={"name": f"c{number}", "models": ["demo/story"]})
    first = (await admin.get("/api/combos?limit=2")).json()
    await admin.delete(f"/api/combos/{first['combos'][1]['id']}")
    await admin.post("/api/combos", json={"name": "c2", "models": ["demo/story"]})
    rest = (await admin.get("/api/combos", params={"limit": 2, "cursor": first["nextCursor"]})).json()
    assert [one["name"] for one in rest["combos"]] == ["c5", "c7"]


@pytest.mark.parametrize("path", sorted(LISTS))
async def test_a_cursor_of_elsewhere_and_a_wrong_limit_are_refused(admin, path):
    wrong = [
        *({"cursor": text} for text in ("nonsense", "!!", "é", "W10", write_cursor([1, 2, 3, 4, 5]))),
        {"cursor": write_cursor([1.5, "a", "a\0b", "c"])}, {"cursor": write_cursor(["a\0b"])}, {"cursor": "x" * 5000},
        *({"limit": number} for number in (0, -1, MAX_PAGE + 1, "many")),
    ]  # fmt: skip
    answers = await asyncio.gather(*(admin.get(path, params=params) for params in wrong))
    assert [answer.status_code for answer in answers] == [400] * len(wrong)
