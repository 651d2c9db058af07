"""Every route that changes something is called, and each call leaves its row in the audit log."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from admin_api.app import build_routes
from admin_api.auth.access import DRY_RUNS
from admin_api.auth.throttle import FAILURES
from tests.support.admin_plane import ADMIN_TOKEN, PASSWORD, client_of

AS_OWNER = {"authorization": f"Bearer {ADMIN_TOKEN}"}
TELL_NOTHING = DRY_RUNS | {
    ("POST", "/api/settings/require-login"),  # logging in is always required: it takes nothing else
    ("POST", "/api/settings/proxy/test"),  # these four ask a provider and change nothing that anybody set
    ("POST", "/api/provider-nodes/validate"),
    ("POST", "/api/providers/validate"),
    ("POST", "/api/combos/test"),
    ("POST", "/api/providers/{connection_id:str}/test"),  # what was found is kept beside the connection
    ("POST", "/api/providers/test-batch"),
}
MADE_WITH = {
    "node": {"prefix": "local", "baseUrl": "http://127.0.0.1:9/v1", "allowPrivate": True},
    "connection": {"provider": "local", "name": "c", "apiKey": "sk-c"},
}


class Doer:
    """Calls routes as the owner, or with a session, and keeps the ids that it is told."""

    def __init__(self, plane: Any, client: httpx.AsyncClient) -> None:
        self.plane, self.client = plane, client
        self.ids: dict[str, str] = {}
        self.called: set[tuple[str, str]] = set()
        self.silent: list[str] = []
        self.csrf = ""

    async def newest(self) -> tuple[str, str]:
        """Of the log: the id and the action of its newest row."""
        answer = await self.client.get("/api/compliance/audit-log?limit=1", headers=AS_OWNER)
        entries = answer.json()["entries"]
        return (entries[0]["id"], entries[0]["action"]) if entries else ("", "")

    async def do(
        self,
        method: str,
        route: str,
        body: Any = None,
        *,
        told: str,
        query: str = "",
        keep: tuple[str, Callable[[Any], str]] | None = None,
        is_session: bool = False,
        status: tuple[int, ...] = (200, 201),
        data: bytes | None = None,
    ) -> Any:
        """`told`: the action of its newest row. `keep`: a name, and where the answer has the id that is kept under it."""
        path = route
        for name, value in self.ids.items():
            path = path.replace(f"{{{name}:str}}", value)
        before, _ = await self.newest()
        headers = {"x-csrf-token": self.csrf} if is_session else AS_OWNER
        more = {"content": data} if data is not None else {"json": body}
        answer = await self.client.request(method, path + query, headers=headers, **more)
        assert answer.status_code in status, f"{method} {path}: {answer.status_code} {answer.text}"
        after, action = await self.newest()
        if after == before or action != told:
            self.silent.append(f"{method} {route}: {action if after != before else 'nothing'}, not {told}")
        self.called.add((method, route))
        document = answer.json() if "json" in answer.headers.get("content-type", "") else None
        if keep:
            self.ids[keep[0]] = keep[1](document)
        return document


@pytest.fixture
async def doer(plane):
    async with client_of(plane) as client:
        yield Doer(plane, client)


def nested(kind: str) -> Callable[[Any], str]:
    return lambda document: str(document["id"] if "id" in document else document[kind]["id"])


async def _sessions(it: Doer) -> None:
    log_in = {"password": PASSWORD}

    async def enter() -> None:
        it.csrf = (await it.do("POST", "/api/auth/login", log_in, told="session.opened"))["csrfToken"]

    await enter()
    await it.do("POST", "/api/auth/logout", told="session.closed", is_session=True)
    await enter()
    await it.do("POST", "/api/auth/logout-all", told="session.closed_everywhere", is_session=True)
    await it.do("POST", "/api/auth/login-link", {"code": it.plane.login_link.make()}, told="session.opened")
    await enter()
    change = {"currentPassword": PASSWORD, "newPassword": PASSWORD + "!"}
    it.csrf = (await it.do("POST", "/api/auth/password", change, told="session.rotated", is_session=True))["csrfToken"]
    listed = (await it.client.get("/api/auth/sessions", headers=AS_OWNER)).json()["sessions"]
    it.ids["session_id"] = listed[0]["id"]
    await it.do("DELETE", "/api/auth/sessions/{session_id:str}", told="session.ended")
    it.client.cookies.clear()


async def _settings(it: Doer) -> None:
    await it.do("PATCH", "/api/settings", {"theme": "dark"}, told="setting.created")
    await it.do("PUT", "/api/settings", {"theme": "light"}, told="setting.changed")
    for method, strategy in (("PATCH", "random"), ("PUT", "priority")):
        body = {"comboDefaults": {"strategy": strategy}}
        await it.do(
            method,
            "/api/settings/combo-defaults",
            body,
            told=f"setting.{'created' if method == 'PATCH' else 'changed'}",
        )
    await it.do("PUT", "/api/settings/system-prompt", {"enabled": True, "prompt": "Be brief."}, told="setting.created")
    await it.do("PUT", "/api/settings/thinking-budget", {"mode": "auto"}, told="setting.changed")
    await it.do("PUT", "/api/settings/ip-filter", {"rpm": 1000}, told="setting.created")
    proxy = {"level": "global", "proxy": "http://127.0.0.1:9"}
    await it.do("PUT", "/api/settings/proxy", proxy, told="setting.created")
    await it.do("DELETE", "/api/settings/proxy", told="setting.changed", query="?level=global")
    profiles = {"profiles": {"apikey": {"circuitBreakerThreshold": 7}}}
    await it.do("PATCH", "/api/resilience", profiles, told="setting.created")
    await it.do("PUT", "/api/resilience", {"defaults": {"requestsPerMinute": 5}}, told="setting.created")


async def _what_serves(it: Doer) -> None:
    await it.do("POST", "/api/provider-nodes", MADE_WITH["node"], told="node.created", keep=("node_id", nested("node")))
    await it.do("PUT", "/api/provider-nodes/{node_id:str}", {"name": "other"}, told="node.changed")
    connection = MADE_WITH["connection"]
    await it.do(
        "POST", "/api/providers", connection, told="connection.created", keep=("connection_id", nested("connection"))
    )
    await it.do("PUT", "/api/providers/{connection_id:str}", {"priority": 3}, told="connection.changed")
    order = {"provider": "local", "ids": [it.ids["connection_id"]]}
    await it.do("POST", "/api/providers/reorder", order, told="connection.changed")
    limited = {"connectionId": it.ids["connection_id"], "enabled": False}
    await it.do("POST", "/api/rate-limits", limited, told="connection.changed")
    await it.do("POST", "/api/rate-limit", {**limited, "enabled": True}, told="connection.changed")
    await it.do("POST", "/api/provider-models", {"provider": "local", "modelId": "m1"}, told="model.created")
    await it.do("DELETE", "/api/provider-models", told="model.deleted", query="?provider=local&model=m1")
    combo = {"name": "c", "models": ["local/m1"]}
    await it.do("POST", "/api/combos", combo, told="combo.created", keep=("combo_id", nested("combo")))
    await it.do("POST", "/api/combos/{combo_id:str}/duplicate", {}, told="combo.created")
    await it.do("PUT", "/api/combos/{combo_id:str}", {"strategy": "random"}, told="combo.changed")
    await it.do("DELETE", "/api/combos/{combo_id:str}", told="combo.deleted")
    await it.do("PUT", "/api/models/alias", {"alias": "fast", "model": "local/m1"}, told="alias.created")
    await it.do("PUT", "/api/models", {"alias": "fast", "model": "local/m2"}, told="alias.changed")
    await it.do("DELETE", "/api/models/alias", told="alias.deleted", query="?alias=fast")
    chain = {"name": "chain", "models": ["local/m1", "local/m2"]}
    await it.do("POST", "/api/fallback/chains", chain, told="fallback_chain.created")
    await it.do("DELETE", "/api/fallback/chains", told="fallback_chain.deleted", query="?name=chain")
    price = {"local": {"m1": {"input": 1, "output": 2}}}
    await it.do("PATCH", "/api/pricing", price, told="price.created")
    await it.do("DELETE", "/api/pricing", told="price.deleted", query="?provider=local&model=m1")
    prices = (await it.client.get("/api/pricing/export", headers=AS_OWNER)).json()["prices"]
    listed = [*prices, {"model": "local/m2", "input": 1, "output": 2}]
    await it.do("POST", "/api/pricing/import", {"prices": listed}, told="price.created")


async def _what_rests(it: Doer) -> None:
    await it.do("DELETE", "/api/monitoring/health", told="resilience.reset")
    await it.do("POST", "/api/resilience/reset", {}, told="resilience.reset")
    await it.do(
        "POST", "/api/models/availability", {"action": "clearCooldown", "provider": "local"}, told="resilience.reset"
    )
    await it.do("POST", "/api/rate-limits/reset", {}, told="limits.reset")
    await it.do("DELETE", "/api/cache", told="cache.cleared")
    await it.do("DELETE", "/api/cache/stats", told="cache.cleared")


async def _who_may(it: Doer) -> None:
    await it.do("POST", "/api/keys", {"name": "k"}, told="key.created", keep=("key_id", nested("key")))
    await it.do("PATCH", "/api/keys/{key_id:str}", {"noLog": True}, told="key.changed")
    await it.do("POST", "/api/keys/{key_id:str}/rotate", {"overlapS": 5}, told="key.changed")
    await it.do("POST", "/api/usage/budget", {"apiKeyId": it.ids["key_id"], "dailyLimitUsd": 5}, told="key.changed")
    await it.do("DELETE", "/api/keys/{key_id:str}", told="key.deleted")
    await it.do("POST", "/api/translator/key", told="key.created")
    user = {"name": "ada", "password": PASSWORD, "role": "viewer"}
    await it.do("POST", "/api/users", user, told="user.created", keep=("user_id", nested("user")))
    await it.do("PATCH", "/api/users/{user_id:str}", {"role": "operator"}, told="user.changed")
    await it.do("DELETE", "/api/users/{user_id:str}", told="user.deleted")
    await it.do("POST", "/api/admin-tokens", {"name": "t"}, told="token.created", keep=("token_id", nested("token")))
    await it.do("DELETE", "/api/admin-tokens/{token_id:str}", told="token.deleted")
    await it.do("DELETE", "/api/providers/{connection_id:str}", told="connection.deleted")
    await it.do("DELETE", "/api/provider-nodes/{node_id:str}", told="node.deleted")


async def _backups(it: Doer) -> None:
    made = await it.do("PUT", "/api/db-backups", told="backup.created")
    it.ids["backup_id"] = made["backup"]["id"]
    restored = {"backupId": it.ids["backup_id"]}
    await it.do("POST", "/api/db-backups", restored, told="database.restored")
    file = (await it.client.get("/api/db-backups/export", headers=AS_OWNER)).content
    await it.do("POST", "/api/db-backups/import", told="database.restored", data=file)
    await it.do("DELETE", "/api/db-backups/{backup_id:str}", told="backup.deleted")


async def _lock_outs(it: Doer) -> None:
    for _ in range(FAILURES):
        refused = await it.client.post("/api/auth/login", json={"password": "wrong password"})
        assert refused.status_code == 401
    locked = (await it.client.get("/api/policies", headers=AS_OWNER)).json()["lockouts"]
    unlock = {"action": "unlock", "identifier": locked[0]["identifier"]}
    await it.do("POST", "/api/policies", unlock, told="lockout.ended")


async def test_every_route_that_changes_something_leaves_its_row(plane, doer):
    for part in (_sessions, _settings, _what_serves, _what_rests, _who_may, _backups, _lock_outs):
        await part(doer)
    changing = {
        (method, route.path) for route in build_routes().routes for method in route.methods - {"GET", "HEAD", "OPTIONS"}
    }
    assert doer.called == changing - TELL_NOTHING
    assert doer.silent == []
