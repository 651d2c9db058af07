"""Of two people who change one object the second is told, with the version as it is now."""

import asyncio

import pytest

NODE = {"name": "Local", "prefix": "local", "baseUrl": "http://127.0.0.1:9001/v1", "allowPrivate": True}
SET_ALIAS = ("PUT", "/api/models/alias", {"alias": "a", "model": "local/m1"})
SET_CHAIN = ("POST", "/api/fallback/chains", {"name": "f", "models": ["local/m1"]})


async def make(admin, kind):
    """An object; how to change it, how to delete it, and its version."""
    await admin.post("/api/provider-nodes", json=NODE)
    match kind:
        case "node":
            path, body, made = "/api/provider-nodes/local", {"name": "N"}, await admin.get("/api/provider-nodes/local")
            return ("PUT", path, body), ("DELETE", path), made.json()["node"]["version"]
        case "connection":
            made = await admin.post("/api/providers", json={"provider": "local", "name": "a"})
            path = f"/api/providers/{made.json()['connection']['id']}"
            return ("PUT", path, {"rpm": 5}), ("DELETE", path), made.json()["connection"]["version"]
        case "combo":
            made = await admin.post("/api/combos", json={"name": "c", "models": ["local/m1"]})
            path = f"/api/combos/{made.json()['id']}"
            return ("PUT", path, {"isActive": False}), ("DELETE", path), made.json()["version"]
        case "alias":
            made = await admin.request(SET_ALIAS[0], SET_ALIAS[1], json=SET_ALIAS[2])
            return SET_ALIAS, ("DELETE", "/api/models/alias?alias=a"), made.json()["version"]
        case "chain":
            made = await admin.request(SET_CHAIN[0], SET_CHAIN[1], json=SET_CHAIN[2])
            return SET_CHAIN, ("DELETE", "/api/fallback/chains?name=f"), made.json()["version"]
        case "settings":
            made = await admin.patch("/api/settings", json={"theme": "dark"})
            return ("PATCH", "/api/settings", {"theme": "light"}), None, made.json()["version"]


@pytest.mark.parametrize("kind", ["node", "connection", "combo", "alias", "chain", "settings"])
async def test_who_saw_an_older_version_changes_nothing_and_is_told_the_newest(admin, kind):
    (method, path, body), deletion, version = await make(admin, kind)
    if kind == "settings":
        first = await admin.request(method, path, json=body, headers={"if-match": f'"{version}"'})
    else:
        first = await admin.request(method, path, json={**body, "version": version})
    assert first.status_code == 200, first.text
    newest = int(first.headers["etag"].strip('"'))
    assert newest > version
    for late in (
        {"json": body, "headers": {"if-match": f'"{version}"'}},
        {"json": {**body, "version": version}},
    ):
        refused = await admin.request(method, path, **late)
        assert refused.status_code == 409
        assert refused.json()["error"]["version"] == newest
        assert refused.headers["etag"] == f'"{newest}"'
    if deletion:
        assert (await admin.request(*deletion, headers={"if-match": f'"{version}"'})).status_code == 409
        assert (await admin.request(*deletion, headers={"if-match": f'"{newest}"'})).status_code == 200


async def test_of_ten_at_once_who_saw_the_same_version_one_wins(admin):
    (method, path, _), _, version = await make(admin, "connection")
    answers = await asyncio.gather(
        *(admin.request(method, path, json={"rpm": number, "version": version}) for number in range(10))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9
    winner = next(answer for answer in answers if answer.status_code == 200)
    assert (await admin.get(path)).json()["connection"]["rpm"] == winner.json()["connection"]["rpm"]


async def test_who_does_not_say_what_they_saw_is_not_held_up(admin):
    (method, path, body), _, _ = await make(admin, "combo")
    for headers in ({}, {"if-match": "*"}):
        assert (await admin.request(method, path, json=body, headers=headers)).status_code == 200
    assert (await admin.request(method, path, json=body, headers={"if-match": "newest"})).status_code == 400


async def test_an_object_that_was_made_again_is_not_the_one_that_was_seen(admin):
    change, deletion, version = await make(admin, "alias")
    await admin.request(*deletion)
    await admin.request(change[0], change[1], json=change[2])
    assert (await admin.request(*deletion, headers={"if-match": f'"{version}"'})).status_code == 409
