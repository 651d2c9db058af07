"""Who gets in: log-in, sessions, CSRF, tokens, hosts, and that no route was forgotten."""

import pytest

from admin_api.app import build_routes
from admin_api.auth.access import is_public
from admin_api.auth.sessions import create_admin_token
from admin_api.auth.throttle import FAILURES, MAX_PEERS, WINDOW_S, LoginThrottle
from tests.support.admin_plane import ADMIN_TOKEN, PASSWORD, client_of


async def log_in(client):
    answer = await client.post("/api/auth/login", json={"password": PASSWORD})
    assert answer.status_code == 200
    return answer.json()["csrfToken"]


async def test_every_route_that_is_not_public_asks_for_a_credential(plane, client):
    seen = 0
    for route in build_routes().routes:
        for method in sorted(route.methods - {"OPTIONS"}):
            path = route.path.replace("{", "").replace("}", "").replace(":str", "") or "/"
            if is_public(method, path):
                continue
            answer = await client.request(method, path)
            assert answer.status_code == 401, (method, path)
            seen += 1
    assert seen >= 35


async def test_a_path_without_a_route_asks_for_a_credential_too_and_is_then_json(client, admin):
    assert (await client.get("/api/nothing")).status_code == 401
    answer = await admin.get("/api/nothing")
    assert answer.status_code == 404
    assert answer.json()["error"]["details"] == []


async def test_the_right_password_opens_a_session_in_a_guarded_cookie(client):
    answer = await client.post("/api/auth/login", json={"password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert "auth_token=" in cookie
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert "secure" not in cookie.lower()
    assert (await client.get("/api/settings")).status_code == 200
    status = (await client.get("/api/auth/status")).json()
    assert status["authenticated"]
    assert status["csrfToken"] == answer.json()["csrfToken"]


async def test_a_session_is_told_whether_the_first_start_guide_is_done(client):
    csrf = (await client.post("/api/auth/login", json={"password": PASSWORD})).json()["csrfToken"]
    assert not (await client.get("/api/auth/status")).json()["setupComplete"]
    changed = await client.patch("/api/settings", json={"setupComplete": True}, headers={"x-csrf-token": csrf})
    assert changed.status_code == 200, changed.text
    assert (await client.get("/api/auth/status")).json()["setupComplete"]


async def test_a_wrong_password_is_refused_and_the_sixth_try_has_to_wait(client):
    for _ in range(FAILURES):
        assert (await client.post("/api/auth/login", json={"password": "wrong"})).status_code == 401
    answer = await client.post("/api/auth/login", json={"password": PASSWORD})
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= WINDOW_S
    assert "set-cookie" not in answer.headers


async def test_a_change_by_cookie_needs_the_csrf_token(client):
    csrf = await log_in(client)
    body = {"name": "n"}
    assert (await client.post("/api/keys", json=body)).status_code == 403
    assert (await client.post("/api/keys", json=body, headers={"x-csrf-token": "0" * 64})).status_code == 403
    assert (await client.post("/api/keys", json=body, headers={"x-csrf-token": csrf})).status_code == 201


@pytest.mark.parametrize("header", ["origin", "referer"])
async def test_a_change_by_cookie_from_another_site_is_refused(client, header):
    csrf = await log_in(client)
    for site, status in (("http://evil.example", 403), ("null", 403), ("http://localhost:20128", 201)):
        answer = await client.post("/api/keys", json={"name": "n"}, headers={"x-csrf-token": csrf, header: site})
        assert answer.status_code == status, site


async def test_a_log_in_from_another_site_is_refused(client):
    answer = await client.post(
        "/api/auth/login", json={"password": PASSWORD}, headers={"origin": "http://evil.example"}
    )
    assert answer.status_code == 403


async def test_logging_out_ends_the_session_on_the_server(client):
    csrf = await log_in(client)
    token = client.cookies["auth_token"]
    assert (await client.post("/api/auth/logout", headers={"x-csrf-token": csrf})).status_code == 200
    client.cookies.set("auth_token", token)
    assert (await client.get("/api/settings")).status_code == 401


async def test_an_admin_token_needs_no_csrf_and_a_viewers_may_only_look(plane, client):
    async with plane.database.write() as connection:
        _, admin = await create_admin_token(connection, "ci", "owner", plane.now())
        _, viewer = await create_admin_token(connection, "wall", "viewer", plane.now())
    for token, status in ((admin, 201), (viewer, 403), (ADMIN_TOKEN, 201), ("omni-admin-guess", 401)):
        answer = await client.post("/api/keys", json={"name": "n"}, headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == status
    assert (await client.get("/api/keys", headers={"authorization": f"Bearer {viewer}"})).status_code == 200


async def test_a_gateway_key_is_no_admin_credential(admin, client):
    key = (await admin.post("/api/keys", json={"name": "n"})).json()["key"]
    for headers in ({"authorization": f"Bearer {key}"}, {"x-api-key": key}, {"cookie": f"auth_token={key}"}):
        assert (await client.get("/api/keys", headers=headers)).status_code == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200), ("localhost:1", 200), ("127.0.0.1:20128", 200), ("[::1]:20128", 200), ("LOCALHOST", 200),
        ("evil.example", 403), ("localhost.evil.example", 403), ("127.0.0.1.evil.example", 403), ("", 403),
        ("gateway.example", 403),
    ],
)  # fmt: skip
async def test_on_loopback_only_our_own_names_are_served(client, host, status):
    assert (await client.get("/api/auth/status", headers={"host": host})).status_code == status


async def test_the_peer_header_counts_only_over_the_unix_socket(plane):
    async with client_of(plane, is_relayed=False) as direct, client_of(plane, is_relayed=True) as relayed:
        for number in range(FAILURES):
            headers = {"x-omniroute-peer": f"198.51.100.{number}"}
            await direct.post("/api/auth/login", json={"password": "wrong"}, headers=headers)
        answer = await direct.post("/api/auth/login", json={"password": PASSWORD})
        assert answer.status_code == 429
        headers = {"x-omniroute-peer": "203.0.113.9"}
        answer = await relayed.post("/api/auth/login", json={"password": PASSWORD}, headers=headers)
        assert answer.status_code == 200


async def test_answers_carry_security_headers_and_no_cors(client):
    answer = await client.get("/api/auth/status", headers={"origin": "http://evil.example"})
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_the_front_door_leads_to_a_page_that_asks_for_nothing_outside(client):
    answer = await client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "dashboard/")
    page = await client.get("/dashboard/")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http:" not in page.text
    assert "https:" not in page.text


async def test_the_api_describes_itself(client):
    document = (await client.get("/api/openapi.json")).json()
    assert "/api/combos/{combo_id}" in document["paths"]


async def test_a_body_over_the_limit_is_refused(admin):
    answer = await admin.post("/api/keys", json={"name": "n" * (1 << 20)})
    assert answer.status_code == 413
    assert "error" in answer.json()


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b'{"name": 5}', b'{"name": ""}', b"{}", b"\xff"])
async def test_a_body_that_does_not_fit_is_a_400_that_says_why(admin, body):
    answer = await admin.post("/api/keys", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_the_throttle_forgets_after_its_window_and_is_bounded():
    clock = [1000.0]
    throttle = LoginThrottle(lambda: clock[0])
    for _ in range(FAILURES):
        throttle.report_failure("a")
    assert throttle.wait_s("a") > 0
    clock[0] += WINDOW_S + 1
    assert throttle.wait_s("a") == 0
    for number in range(MAX_PEERS + 10):
        throttle.report_failure(f"peer {number}")
    assert len(throttle._failures) == MAX_PEERS
