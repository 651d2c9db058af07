"""Users, roles, tokens and sessions: who may do what, and how it ends."""

import pytest

from admin_api.app import build_routes
from admin_api.auth.access import OWN_AFFAIRS, ROLES, is_in_scope, is_public, may
from admin_api.auth.sessions import IDLE_LIFETIME_S, MAX_SESSIONS, SESSION_LIFETIME_S
from admin_api.auth.throttle import ACCOUNT_FAILURES, FAILURES
from admin_api.store.credentials import sessions
from tests.support.admin_plane import PASSWORD, client_of

OTHER = "another good password"


async def log_in(client, name="", password=PASSWORD):
    body = {"password": password, **({"username": name} if name else {})}
    answer = await client.post("/api/auth/login", json=body)
    assert answer.status_code == 200, answer.text
    return {"x-csrf-token": answer.json()["csrfToken"]}


async def make_user(admin, name, role):
    answer = await admin.post("/api/users", json={"name": name, "role": role, "password": OTHER})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def make_token(admin, **body):
    answer = await admin.post("/api/admin-tokens", json={"name": "t", **body})
    assert answer.status_code == 201, answer.text
    return {"authorization": f"Bearer {answer.json()['token']}"}, answer.json()["id"]


async def test_every_route_called_as_every_role_is_refused_exactly_where_the_roles_say(plane, admin, client):
    """Refused is 403 of the guard; whatever else comes (404, 400, 2xx) was let in."""
    headers = {role: (await make_token(admin, role=role))[0] for role in ROLES}
    plane.stopping.set()  # so that the live stream ends
    seen = {role: [0, 0] for role in ROLES}
    for route in build_routes().routes:
        for method in sorted(route.methods - {"OPTIONS"}):
            path = route.path.replace("{", "").replace("}", "").replace(":str", "").replace(":path", "") or "/"
            if is_public(method, path):
                continue
            for role in ROLES:
                if may(role, method, path) and method not in ("GET", "HEAD") and role == "owner":
                    continue  # it would do it
                answer = await client.request(method, path, headers=headers[role])
                is_let_in = answer.status_code != 403 or "may not do this" not in answer.text
                assert is_let_in == may(role, method, path), (role, method, path, answer.status_code)
                assert answer.status_code != 401
                seen[role][is_let_in] += 1
    assert seen["viewer"][0] > 20
    assert seen["operator"][0] > 10
    assert seen["operator"][1] > seen["viewer"][1]
    assert seen["owner"][0] == 0


@pytest.mark.parametrize(
    ("role", "method", "path", "is_allowed"),
    [
        ("viewer", "GET", "/api/keys", True), ("viewer", "POST", "/api/keys", False), ("viewer", "GET", "/api/users", False),
        ("viewer", "GET", "/api/compliance/audit-log", False), ("viewer", "POST", "/api/auth/logout", True),
        ("viewer", "POST", "/api/auth/logout/", True), ("viewer", "POST", "/api/auth/password", True),
        ("operator", "POST", "/api/keys", True), ("operator", "POST", "/api/users", False),
        ("operator", "HEAD", "/api/compliance/audit-log", False), ("operator", "GET", "/api/users/", False),
        ("operator", "POST", "/api/admin-tokens", False), ("operator", "DELETE", "/api/admin-tokens/x", False),
        ("operator", "PATCH", "/api/settings", True), ("operator", "PUT", "/api/settings/ip-filter", False),
        ("owner", "DELETE", "/api/users/x", True),
    ],
)  # fmt: skip
def test_what_the_roles_may_do(role, method, path, is_allowed):
    assert may(role, method, path) is is_allowed


@pytest.mark.parametrize(
    ("path", "is_inside"),
    [("/api/keys", True), ("/api/keys/1", True), ("/api/keysmith", False), ("/api", False), ("/api/settings", False)],
)
def test_a_scope_holds_its_path_and_what_is_below(path, is_inside):
    assert is_in_scope(("/api/keys",), path) is is_inside


async def test_a_user_logs_in_with_a_name_and_acts_in_a_role_that_can_change(admin, client):
    user = await make_user(admin, "Ada", "viewer")
    assert user["name"] == "ada"
    csrf = await log_in(client, "ADA", OTHER)
    assert (await client.get("/api/auth/status")).json()["role"] == "viewer"
    assert (await client.post("/api/keys", json={"name": "k"}, headers=csrf)).status_code == 403
    assert (await admin.patch(f"/api/users/{user['id']}", json={"role": "operator"})).status_code == 200
    assert (await client.post("/api/keys", json={"name": "k"}, headers=csrf)).status_code == 201
    assert (await client.get("/api/users")).status_code == 403


async def test_a_user_made_inactive_deleted_or_given_a_password_is_logged_out_at_once(admin, client):
    for body in ({"isActive": False}, {"password": OTHER + "!"}, None):
        user = await make_user(admin, f"u{len(str(body))}", "operator")
        await log_in(client, user["name"], OTHER)
        assert (await client.get("/api/keys")).status_code == 200
        if body is None:
            assert (await admin.delete(f"/api/users/{user['id']}")).status_code == 200
        else:
            assert (await admin.patch(f"/api/users/{user['id']}", json=body)).status_code == 200
        assert (await client.get("/api/keys")).status_code == 401


async def test_the_last_owner_stays(admin):
    [first] = (await admin.get("/api/users")).json()["users"]
    for answer in (
        await admin.delete(f"/api/users/{first['id']}"),
        await admin.patch(f"/api/users/{first['id']}", json={"role": "operator"}),
        await admin.patch(f"/api/users/{first['id']}", json={"isActive": False}),
    ):
        assert answer.status_code == 409
    await make_user(admin, "second", "owner")
    assert (await admin.patch(f"/api/users/{first['id']}", json={"role": "operator"})).status_code == 200


async def test_a_stale_version_of_a_user_changes_nothing(admin):
    user = await make_user(admin, "ada", "viewer")
    path = f"/api/users/{user['id']}"
    assert (
        await admin.patch(path, json={"role": "operator"}, headers={"if-match": f'"{user["version"]}"'})
    ).status_code == 200
    late = await admin.patch(path, json={"role": "owner"}, headers={"if-match": f'"{user["version"]}"'})
    assert (late.status_code, late.json()["error"]["version"]) == (409, user["version"] + 1)


async def test_an_admin_token_is_bound_to_its_scopes_ends_in_time_and_can_be_revoked(plane, admin, client):
    clock = [plane.now()]
    scoped, token_id = await make_token(admin, role="operator", scopes=["/api/keys"], expiresAt=clock[0] + 60)
    assert (await client.get("/api/keys", headers=scoped)).status_code == 200
    assert (await client.get("/api/combos", headers=scoped)).status_code == 403
    [shown] = (await admin.get("/api/admin-tokens")).json()["tokens"]
    assert shown["lastUsedAt"] > 0
    assert shown["createdBy"] == "OMNIROUTE_ADMIN_TOKEN"
    assert "token" not in shown
    plane.now = lambda: clock[0] + 61
    async with client_of(plane) as later:
        assert (await later.get("/api/keys", headers=scoped)).status_code == 401
        assert (await later.get("/api/keys")).status_code == 401
    assert (await admin.delete(f"/api/admin-tokens/{token_id}")).status_code == 200
    assert (await client.get("/api/keys", headers=scoped)).status_code == 401


async def test_a_log_in_ends_the_session_that_was_there_before(client):
    await log_in(client)
    planted = client.cookies["auth_token"]
    await log_in(client)
    assert client.cookies["auth_token"] != planted
    client.cookies.clear()
    client.cookies.set("auth_token", planted)
    assert (await client.get("/api/keys")).status_code == 401


async def test_logging_out_everywhere_ends_every_session_of_that_user_only(plane, admin, client):
    await make_user(admin, "ada", "operator")
    async with client_of(plane) as laptop, client_of(plane) as other:
        await log_in(laptop)
        await log_in(other, "ada", OTHER)
        csrf = await log_in(client)
        listed = (await client.get("/api/auth/sessions")).json()["sessions"]
        assert sorted(one["isOwn"] for one in listed) == [False, False, True]
        assert (await client.post("/api/auth/logout-all", headers=csrf)).status_code == 200
        assert (await laptop.get("/api/keys")).status_code == 401
        assert (await other.get("/api/keys")).status_code == 200


async def test_a_new_password_of_ones_own_rotates_the_session_and_ends_the_others(plane, client):
    async with client_of(plane) as laptop:
        await log_in(laptop)
        csrf = await log_in(client)
        before = client.cookies["auth_token"]
        body = {"currentPassword": PASSWORD, "newPassword": OTHER}
        wrong = await client.post("/api/auth/password", json={**body, "currentPassword": "no"}, headers=csrf)
        assert wrong.status_code == 401
        answer = await client.post("/api/auth/password", json=body, headers=csrf)
        assert answer.status_code == 200
        assert client.cookies["auth_token"] != before
        assert (await client.get("/api/keys")).status_code == 200
        assert (await laptop.get("/api/keys")).status_code == 401
        await log_in(laptop, "admin", OTHER)


async def test_sessions_end_when_they_are_idle_or_old_and_a_user_has_few(plane):
    clock = [plane.now()]
    plane.now = lambda: clock[0]
    async with client_of(plane) as client:
        await log_in(client)
        for _ in range(5):
            clock[0] += IDLE_LIFETIME_S - 10
            status = (await client.get("/api/keys")).status_code
            if clock[0] > plane.started_at + SESSION_LIFETIME_S:
                assert status == 401
            else:
                assert status == 200
        assert status == 401
        await log_in(client)
        clock[0] += IDLE_LIFETIME_S + 1
        assert (await client.get("/api/keys")).status_code == 401
    for _ in range(MAX_SESSIONS + 3):
        async with client_of(plane) as client:
            await log_in(client)
    async with plane.database.read() as connection:
        assert len(await sessions.load_all(connection)) == MAX_SESSIONS


async def test_an_account_locks_for_strangers_but_not_where_its_user_is_logged_in(plane):
    async def attempt(client, address, password="wrong"):
        headers = {"x-omniroute-peer": address}
        return await client.post("/api/auth/login", json={"password": password, "username": "admin"}, headers=headers)

    async with client_of(plane, is_relayed=True) as client:
        assert (await attempt(client, "198.51.100.200", PASSWORD)).status_code == 200
        client.cookies.clear()
        for number in range(ACCOUNT_FAILURES):
            assert (await attempt(client, f"203.0.113.{number // (FAILURES - 1)}")).status_code == 401
        stranger = await attempt(client, "192.0.2.1", PASSWORD)
        assert stranger.status_code == 429
        assert int(stranger.headers["retry-after"]) > 0
        assert (await attempt(client, "198.51.100.200", PASSWORD)).status_code == 200


async def test_a_name_that_is_nobodys_is_answered_like_a_wrong_password(client):
    nobody = await client.post("/api/auth/login", json={"username": "nobody", "password": "x"})
    wrong = await client.post("/api/auth/login", json={"username": "admin", "password": "x"})
    assert (nobody.status_code, nobody.json()) == (wrong.status_code, wrong.json())


async def test_log_ins_good_and_bad_are_in_the_audit_log(client, admin):
    await client.post("/api/auth/login", json={"username": "admin", "password": "x"})
    await log_in(client)
    entries = (await admin.get("/api/compliance/audit-log", params={"kind": "session"})).json()["entries"]
    assert [entry["action"] for entry in entries] == ["session.opened", "session.refused"]


@pytest.mark.parametrize(
    "body",
    [
        {"name": "a b", "password": OTHER}, {"name": "", "password": OTHER}, {"name": "x", "password": "short"},
        {"name": "x", "password": OTHER, "role": "god"}, {"name": "x"}, {"name": "x", "password": OTHER, "passwordHash": "h"},
        {"name": "<script>", "password": OTHER},
    ],
)  # fmt: skip
async def test_a_user_that_makes_no_sense_is_refused(admin, body):
    assert (await admin.post("/api/users", json=body)).status_code == 400


def test_what_is_ones_own_affair_is_no_way_in():
    assert all(path.startswith("/api/auth/") for _, path in OWN_AFFAIRS)
