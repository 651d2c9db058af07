"""What an operator does through the API, seen by callers of the started product. Nothing comes from a config file.

Each setting is changed and the product is seen to behave otherwise; a setting without such a test fails here.
"""

import concurrent.futures
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest

from admin_api.resources.settings import SettingsBody
from tests.support.fake_provider import FakeProvider
from tests.support.product import REAL, Product, products, wait_for
from tests.support.real_gateway import running_fake

pytestmark = pytest.mark.process

ADMIN_TOKEN, KEY = "admin-token-of-the-operator", "sk-or-operator-key-0001"
FIRST, SECOND = "sk-operator-first-0001", "sk-operator-second-0002"
TAKEN_UP_S = 8.0


class Operated:
    """The product and the fake provider, and what a test does to both."""

    def __init__(self, product: Product, fake: FakeProvider) -> None:
        self.fake = fake
        self.admin = httpx.Client(base_url=product.url, headers={"authorization": f"Bearer {ADMIN_TOKEN}"}, timeout=60)
        self.caller = httpx.Client(base_url=product.url, headers={"authorization": f"Bearer {KEY}"}, timeout=60)

    def do(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = self.admin.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def change(self, **fields: Any) -> None:
        self.do("PATCH", "/api/settings", fields)

    def chat(self, model: str = "pair/ok", headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], **fields}
        return self.caller.post("/v1/chat/completions", json=body, headers=headers)

    def used(self, count: int = 8) -> set[str]:
        """Which connections of the pair answer so many requests."""
        self.fake.requests.clear()
        for _ in range(count):
            assert self.chat().status_code == 200
        return {record.header("authorization").removeprefix("Bearer ") for record in list(self.fake.requests)}

    def asked(self) -> int:
        return len([record for record in list(self.fake.requests) if record.method == "POST"])


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    with running_fake() as fake, products() as make:
        product = make(
            tmp_path_factory.mktemp("operator") / "data",
            REAL,
            OMNIROUTE_ADMIN_TOKEN=ADMIN_TOKEN,
            OMNIROUTE_INITIAL_KEY=KEY,
            INITIAL_PASSWORD="correct horse battery",
        ).wait_ready()
        operated = Operated(product, fake)
        for prefix in ("pair", "narrow", "failing"):
            node = {"prefix": prefix, "baseUrl": fake.base_url, "allowPrivate": True}
            operated.do("POST", "/api/provider-nodes", node, 201)
        for provider, name, key, more in (
            ("pair", "first", FIRST, {"priority": 1}),
            ("pair", "second", SECOND, {"priority": 2}),
            ("narrow", "narrow", FIRST, {"maxConcurrency": 1}),
            ("failing", "failing", FIRST, {}),
        ):
            body = {"provider": provider, "name": name, "apiKey": key, **more}
            operated.do("POST", "/api/providers", body, 201)
        operated.do("POST", "/api/combos", {"name": "goes-on", "models": ["failing/status:500", "pair/m2"]}, 201)
        wait_for(lambda: operated.chat("goes-on").status_code == 200, TAKEN_UP_S)
        yield operated
        operated.admin.close()
        operated.caller.close()


@pytest.fixture(autouse=True)
def calm(operated: Operated) -> Iterator[None]:
    """What one test made rest is not felt by the next."""
    yield
    operated.do("POST", "/api/resilience/reset", {})
    operated.fake.requests.clear()


def becomes(what: Callable[[], Any], wanted: Any) -> None:
    """Every worker has taken it up when it is seen three times in a row."""
    wait_for(lambda: all(what() == wanted for _ in range(3)), TAKEN_UP_S, lambda: f"{what()} is not {wanted}")


# -- settings --------------------------------------------------------------------------------------------------------


def fallback_strategy(it: Operated) -> None:
    becomes(it.used, {FIRST})
    it.change(fallbackStrategy="round-robin", stickyRoundRobinLimit=1)
    becomes(it.used, {FIRST, SECOND})
    it.change(fallbackStrategy="fill-first", stickyRoundRobinLimit=3)
    becomes(it.used, {FIRST})


def sticky_limit(it: Operated) -> None:
    it.change(fallbackStrategy="round-robin", stickyRoundRobinLimit=1000)
    becomes(lambda: len(it.used()), 1)
    it.change(stickyRoundRobinLimit=1)
    becomes(it.used, {FIRST, SECOND})
    it.change(fallbackStrategy="fill-first", stickyRoundRobinLimit=3)


def session_affinity(it: Operated) -> None:
    it.change(fallbackStrategy="round-robin", stickyRoundRobinLimit=1)
    becomes(it.used, {FIRST, SECOND})
    it.change(sessionAffinity="turns")
    becomes(lambda: len(it.used()), 1)
    it.change(fallbackStrategy="fill-first", stickyRoundRobinLimit=3, sessionAffinity="named")


def timeouts(it: Operated) -> None:
    slow = lambda: it.chat("failing/slow-headers:0.8").status_code  # noqa: E731  (read once, below)
    assert slow() == 200
    it.change(timeouts={"headers_s": 0.2, "first_event_s": 0.2, "first_event_reasoning_s": 0.2})
    wait_for(lambda: slow() == 504, TAKEN_UP_S)
    it.change(timeouts={"headers_s": 30, "first_event_s": 15, "first_event_reasoning_s": 120})
    it.do("POST", "/api/resilience/reset", {})
    wait_for(lambda: slow() == 200, TAKEN_UP_S)


def waiting(it: Operated) -> None:
    def two_at_once() -> set[int]:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            calls = [pool.submit(it.chat, "narrow/slow-headers:0.4") for _ in range(2)]
            return {call.result().status_code for call in calls}

    assert two_at_once() == {200}
    it.change(waiting={"max_wait_s": 0})
    becomes(lambda: 200 in (found := two_at_once()) and len(found) == 2, True)
    it.change(waiting={"max_wait_s": 30})


def resilience(it: Operated) -> None:
    def asked_of_three() -> int:
        it.do("POST", "/api/resilience/reset", {})
        it.fake.requests.clear()
        for _ in range(3):
            it.chat("failing/status:500")
        return it.asked()

    assert asked_of_three() == 3
    it.change(resilience={"failures": 1, "open_s": 30})
    wait_for(lambda: asked_of_three() < 3, TAKEN_UP_S)
    it.change(resilience={"failures": 5, "open_s": 30})


def retry_budget(it: Operated) -> None:
    it.change(resilience={"failures": 100})
    assert it.chat("goes-on").status_code == 200
    it.change(retryBudget={"share": 0, "floor_per_s": 0})
    becomes(lambda: it.chat("goes-on").status_code >= 500, True)
    it.change(retryBudget={"share": 0.2, "floor_per_s": 10}, resilience={"failures": 5})
    becomes(lambda: it.chat("goes-on").status_code, 200)


def cache(it: Operated) -> None:
    def second() -> str | None:
        it.chat(temperature=0)
        return it.chat(temperature=0).headers.get("x-omniroute-cache")

    assert second() == "HIT"
    it.change(cache={"mode": "off"})
    becomes(second, None)
    it.change(cache={"mode": "on"})
    becomes(second, "HIT")


def sharing(it: Operated) -> None:
    numbers = iter(range(1000))

    def asked_of_a_pair() -> int:
        it.fake.requests.clear()
        headers = {"idempotency-key": f"operator-{next(numbers)}"}
        for _ in range(2):
            assert it.chat(headers=headers).status_code == 200
        return it.asked()

    becomes(asked_of_a_pair, 1)
    it.change(sharing={"idempotency_window_s": 0})
    becomes(asked_of_a_pair, 2)
    it.change(sharing={"idempotency_window_s": 5})


def early_headers(it: Operated) -> None:
    def has_comment() -> bool:
        return it.chat("pair/slow-first:0.8", stream=True).text.startswith(":")

    assert not has_comment()
    it.change(earlyHeadersS=0.2)
    becomes(has_comment, True)
    it.change(earlyHeadersS=5)


def shaping(it: Operated) -> None:
    def first_role() -> str:
        it.fake.requests.clear()
        it.chat()
        return str(it.fake.requests[-1].json()["messages"][0]["content"])

    assert first_role() == "Hello"
    it.change(shaping={"system_prompt": "Be brief."})
    becomes(first_role, "Be brief.")
    it.change(shaping={"system_prompt": ""})
    becomes(first_role, "Hello")


def progress(it: Operated) -> None:
    def told() -> int:
        text = it.chat("pair/paced:0.2", {"x-omniroute-progress": "true"}, stream=True).text
        return text.count("event: progress")

    before = told()
    it.change(progressS=0.2)
    wait_for(lambda: told() > before + 1, TAKEN_UP_S)
    it.change(progressS=2)


def explains_all(it: Operated) -> None:
    def is_kept() -> bool:
        it.chat(headers={"x-request-id": "to-explain"})
        newest = it.do("GET", "/api/usage/logs?limit=1")["logs"]
        return bool(newest) and newest[0]["routing"] is not None

    assert not is_kept()
    it.change(explainsAll=True)
    wait_for(is_kept, TAKEN_UP_S)
    it.change(explainsAll=False)


def blocked_providers(it: Operated) -> None:
    assert it.chat().status_code == 200
    it.change(blockedProviders=["pair"])
    becomes(lambda: it.chat().status_code >= 400, True)
    it.change(blockedProviders=[])
    becomes(lambda: it.chat().status_code, 200)


def instance_name(it: Operated) -> None:
    it.change(instanceName="north")
    assert it.do("GET", "/api/monitoring/health")["instanceName"] == "north"


def setup_complete(it: Operated) -> None:
    it.change(setupComplete=False)
    assert it.do("GET", "/api/monitoring/health")["setupComplete"] is False
    it.change(setupComplete=True)


def dashboard_words(it: Operated) -> None:
    it.change(theme="dark", language="de")
    found = it.do("GET", "/api/settings")
    assert (found["theme"], found["language"]) == ("dark", "de")


SETTINGS = {
    "fallbackStrategy": fallback_strategy,
    "stickyRoundRobinLimit": sticky_limit,
    "sessionAffinity": session_affinity,
    "timeouts": timeouts,
    "waiting": waiting,
    "resilience": resilience,
    "retryBudget": retry_budget,
    "cache": cache,
    "sharing": sharing,
    "earlyHeadersS": early_headers,
    "shaping": shaping,
    "progressS": progress,
    "explainsAll": explains_all,
    "blockedProviders": blocked_providers,
    "instanceName": instance_name,
    "setupComplete": setup_complete,
    "theme": dashboard_words,
    "language": dashboard_words,
}
ELSEWHERE = {
    "logs": "tests/journeys/test_bodies.py",
    "backups": "tests/admin_api/test_backups.py",
    "tierBudgets": "tests/journeys/test_shared_view.py",
    "requireLogin": "tests/admin_api/test_admin_resources.py",
    "currentPassword": "tests/admin_api/test_admin_resources.py",
    "newPassword": "tests/admin_api/test_admin_resources.py",
    "version": "tests/admin_api/test_versions.py",
}


def test_every_setting_has_a_test_that_sees_what_it_does() -> None:
    known = {field.encode_name for field in msgspec.structs.fields(SettingsBody)}
    assert known == {*SETTINGS, *ELSEWHERE}


@pytest.mark.parametrize("name", list(SETTINGS))
def test_a_setting_is_seen_by_callers(operated: Operated, name: str) -> None:
    SETTINGS[name](operated)


# -- resources -------------------------------------------------------------------------------------------------------


def test_a_model_that_was_added_is_listed_to_callers(operated: Operated) -> None:
    operated.do("POST", "/api/provider-models", {"provider": "pair", "modelId": "brand-new", "maxOutput": 50}, 201)

    def listed() -> set[str]:
        return {one["id"] for one in operated.caller.get("/v1/models").json()["data"]}

    wait_for(lambda: "pair/brand-new" in listed(), TAKEN_UP_S)
    operated.do("DELETE", "/api/provider-models?provider=pair&model=brand-new")
    wait_for(lambda: "pair/brand-new" not in listed(), TAKEN_UP_S)


def test_connections_and_combos_are_tried_through_the_workers_port(operated: Operated) -> None:
    rows = operated.do("GET", "/api/providers")["connections"]
    assert operated.do("POST", f"/api/providers/{rows[0]['id']}/test")["valid"] is True
    summary = operated.do("POST", "/api/providers/test-batch", {"mode": "all"})["summary"]
    assert summary == {"total": 4, "passed": 4, "failed": 0, "untested": 0}
    found = operated.do("POST", "/api/combos/test", {"comboName": "goes-on"})
    assert (found["resolvedBy"], [one["status"] for one in found["results"]]) == ("pair/m2", ["error", "ok"])


def test_the_order_of_connections_is_that_in_which_callers_get_them(operated: Operated) -> None:
    rows = [one for one in operated.do("GET", "/api/providers")["connections"] if one["provider"] == "pair"]
    ids = [one["id"] for one in sorted(rows, key=lambda one: one["priority"])]
    operated.do("POST", "/api/providers/reorder", {"provider": "pair", "ids": ids[::-1]})
    becomes(operated.used, {SECOND})
    operated.do("POST", "/api/providers/reorder", {"provider": "pair", "ids": ids})
    becomes(operated.used, {FIRST})


def test_a_connection_that_is_switched_off_is_not_asked(operated: Operated) -> None:
    rows = {one["name"]: one["id"] for one in operated.do("GET", "/api/providers")["connections"]}
    operated.do("PUT", f"/api/providers/{rows['first']}", {"isActive": False})
    becomes(operated.used, {SECOND})
    operated.do("PUT", f"/api/providers/{rows['first']}", {"isActive": True})
    becomes(operated.used, {FIRST})


def test_defaults_of_combos_are_obeyed_by_workers(operated: Operated) -> None:
    operated.do("PATCH", "/api/settings/combo-defaults", {"comboDefaults": {"system_prompt": "Of all combos."}})

    def prompt() -> str:
        operated.fake.requests.clear()
        operated.chat("goes-on")
        return str(operated.fake.requests[-1].json()["messages"][0]["content"])

    becomes(prompt, "Of all combos.")
    operated.do("PATCH", "/api/settings/combo-defaults", {"comboDefaults": {"system_prompt": None}})
    becomes(prompt, "Hello")


def test_what_a_provider_tells_of_its_limits_is_a_bar_with_its_reset(operated: Operated) -> None:
    told = "x-ratelimit-limit-requests=200:x-ratelimit-remaining-requests=150:x-ratelimit-reset-requests=90s"
    narrow = next(one for one in operated.do("GET", "/api/providers")["connections"] if one["name"] == "narrow")

    def bars() -> dict[str, Any]:
        found = operated.do("GET", f"/api/usage/quota?connectionId={narrow['id']}")
        return {one["name"]: one for one in found["quotas"]}

    assert bars()["openRequests"]["limit"] == 1
    assert operated.chat(f"narrow/with-headers:{told}").status_code == 200
    wait_for(lambda: "providerRequests" in bars(), 20)  # workers tell it every 5 s
    bar = bars()["providerRequests"]
    assert (bar["used"], bar["limit"], bar["remainingPercentage"]) == (50, 200, 75.0)
    assert bar["resetsAt"] == pytest.approx(bar["toldAt"] + 90)


def test_the_product_looks_at_its_own_database_and_stores(operated: Operated) -> None:
    wait_for(lambda: operated.do("GET", "/api/storage/health")["database"]["integrity"], 30)
    shown = operated.do("GET", "/api/storage/health")
    assert shown["database"]["integrity"]["ok"] is True
    assert shown["stateStore"]["writesLast"] is True
    assert 0 < shown["stateStore"]["usedShare"] < 0.5
    assert shown["cacheStore"]["up"] is True


def test_the_way_through_a_proxy_and_a_refused_credential_are_seen(operated: Operated) -> None:
    fake = operated.fake
    operated.do("POST", "/api/provider-nodes", {"prefix": "far", "baseUrl": fake.base_url, "allowPrivate": True}, 201)
    secret = "hunter2-of-the-proxy"
    body = {
        "provider": "far", "name": "far", "apiKey": "sk-operator-far-0003",
        "proxy": f"http://me:{secret}@127.0.0.1:{fake.port}",
    }  # fmt: skip
    far = operated.do("POST", "/api/providers", body, 201)["connection"]["id"]
    wait_for(lambda: operated.chat("far/ok").status_code == 200, TAKEN_UP_S)

    def entries() -> list[dict[str, Any]]:
        return list(operated.do("GET", "/api/usage/proxy-logs")["logs"])

    wait_for(entries, TAKEN_UP_S)
    assert {(one["connectionId"], one["level"], one["status"]) for one in entries()} == {(far, "connection", "success")}
    assert entries()[0]["proxy"] == {"type": "http", "host": "127.0.0.1", "port": fake.port}
    assert secret not in str(operated.do("GET", "/api/usage/logs"))

    def state() -> str:
        found = operated.do("GET", "/api/token-health")["connections"]
        return str(next(one["state"] for one in found if one["connectionId"] == far))

    wait_for(lambda: state() == "healthy", TAKEN_UP_S)
    operated.chat("far/status:401")
    wait_for(lambda: state() == "refused", TAKEN_UP_S)
    operated.do("DELETE", f"/api/providers/{far}")
    operated.do("DELETE", "/api/provider-nodes/far")
