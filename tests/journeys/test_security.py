"""Keys, addresses and secrets through the started product, with two workers: what is bound stays bound."""

import io
import json
import re
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.support.product import wait_for
from tests.support.real_gateway import ADMIN_TOKEN, MESSAGES, running_gateway

pytestmark = pytest.mark.process

CANARIES = (
    "sk-canary-connection-7f3a", "canary password 7f3a", "canary-header-7f3a", "canary-proxy-7f3a", "sk-canary-newer-7f3a",
)  # fmt: skip


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with running_gateway(tmp_path_factory.mktemp("security"), OMNIROUTE_TRUSTED_PROXIES="127.0.0.1/32") as gateway:
        yield gateway


SERVER_SECRETS = "secrets.json"


def make_key(gateway, **body):
    answer = gateway.admin.post("/api/keys", json={"name": f"k-{gateway.new_id()}", **body})
    assert answer.status_code == 201, answer.text
    assert answer.json()["published"]
    return answer.json()


def from_address(address):
    return {"x-forwarded-for": address}


def code_of(answer):
    return answer.json()["error"]["code"]


def test_a_key_serves_at_its_provider_path_and_address_only(gateway):
    key = make_key(
        gateway,
        allowedProviders=["local"],
        allowedEndpoints=["/v1/chat/*", "/v1/models"],
        allowedIps=["198.51.100.0/24"],
    )
    inside, secret = from_address("198.51.100.9"), key["key"]
    assert gateway.chat(key=secret, headers=inside).status_code == 200
    for answer, code in (
        (gateway.chat(key=secret), "address_not_allowed"),
        (gateway.chat(key=secret, headers=from_address("203.0.113.1")), "address_not_allowed"),
        (gateway.chat("pair/ok", key=secret, headers=inside), "model_not_allowed"),
    ):
        assert (answer.status_code, code_of(answer)) == (403, code)
    named = {"authorization": f"Bearer {secret}", **inside}
    body = {"model": "local/ok", "messages": MESSAGES, "max_tokens": 5}
    assert gateway.client.post("/v1/messages", json=body, headers=named).status_code == 403
    listed = {entry["id"] for entry in gateway.client.get("/v1/models", headers=named).json()["data"]}
    assert not [name for name in listed if name.startswith(("one/", "two/"))]


def test_a_forged_hop_before_the_trusted_proxy_counts_for_nothing(gateway):
    secret = make_key(gateway, allowedIps=["198.51.100.9"])["key"]
    forged = from_address("198.51.100.9, 203.0.113.5")  # what the proxy itself saw comes last
    assert gateway.chat(key=secret, headers=forged).status_code == 403


def test_both_secrets_of_a_rotated_key_serve_and_count_as_one(gateway):
    key = make_key(gateway, rpm=6)
    for _ in range(2):
        assert gateway.chat(key=key["key"]).status_code == 200
    rotated = gateway.admin.post(f"/api/keys/{key['id']}/rotate", json={"overlapS": 60}).json()
    statuses = [gateway.chat(key=secret).status_code for secret in (key["key"], rotated["key"]) * 3]
    assert statuses.count(200) == 4
    assert statuses[4:] == [429, 429]


def test_the_old_secret_ends_when_its_time_is_over_and_the_new_one_goes_on(gateway):
    key = make_key(gateway)
    rotated = gateway.admin.post(f"/api/keys/{key['id']}/rotate", json={"overlapS": 1.5}).json()
    assert gateway.chat(key=key["key"]).status_code == 200
    wait_for(lambda: gateway.chat(key=key["key"]).status_code == 401, 10, lambda: "the old secret goes on")
    assert gateway.chat(key=rotated["key"]).status_code == 200


def test_a_revoked_key_is_refused_by_every_worker_from_the_answer_on(gateway):
    key = make_key(gateway)
    for _ in range(6):
        assert gateway.chat(key=key["key"]).status_code == 200
    assert gateway.admin.patch(f"/api/keys/{key['id']}", json={"isActive": False}).json()["published"]
    assert {gateway.chat(key=key["key"]).status_code for _ in range(12)} == {401}


def test_a_key_is_told_when_its_budget_goes_to_its_end(gateway):
    price = {"local": {"priced": {"input": 1000, "output": 1000}}}
    assert gateway.admin.patch("/api/pricing", json=price).status_code == 200
    wide = make_key(gateway, budgetUsd=1000, budgetPeriod="daily", warningThreshold=0.8)["key"]
    near = make_key(gateway, budgetUsd=1000, budgetPeriod="daily", warningThreshold=0.000001)["key"]

    def told():
        return gateway.chat("local/priced", key=near, max_tokens=10).headers.get("x-omniroute-budget", "")

    wait_for(told, 10, lambda: "no warning came")
    assert re.fullmatch(r"[0-9.]+ of 1000\.0000 USD daily", told())
    assert "x-omniroute-budget" not in gateway.chat("local/priced", key=wide, max_tokens=10).headers


def test_of_two_budgets_the_one_that_is_spent_refuses_and_says_which(gateway):
    price = {"local": {"priced": {"input": 1000, "output": 1000}}}
    assert gateway.admin.patch("/api/pricing", json=price).status_code == 200
    wide = {"budgetUsd": 1000, "budgetPeriod": "daily", "warningThreshold": 0.000001}
    key = make_key(gateway, **wide, secondBudgetUsd=0.0001, secondBudgetPeriod="total")["key"]

    def said():
        return gateway.chat("local/priced", key=key, max_tokens=10).text

    wait_for(lambda: "$0.0001 in all" in said(), 10, lambda: f"the price is not known yet: {said()}")
    both = make_key(gateway, **wide, secondBudgetUsd=500, secondBudgetPeriod="total", secondWarningThreshold=0.000001)
    told = gateway.chat("local/priced", key=both["key"], max_tokens=10).headers["x-omniroute-budget"]
    assert re.fullmatch(r"[0-9.]+ of 1000\.0000 USD daily, [0-9.]+ of 500\.0000 USD total", told)


class TestAddresses:
    @pytest.fixture(autouse=True)
    def _open_again(self, gateway):
        yield
        clear = {"enabled": False, "blacklist": [], "rpm": 0, "mode": "blacklist", "whitelist": [], "force": True}
        assert gateway.admin.put("/api/settings/ip-filter", json=clear).status_code == 200
        wait_for(lambda: self.status(gateway, "203.0.113.5") == {200}, 10, lambda: "the gate stays shut")

    @staticmethod
    def status(gateway, address, tries=6):
        return {gateway.chat(headers=from_address(address)).status_code for _ in range(tries)}

    def test_a_banned_address_reaches_neither_callers_paths_nor_the_admin(self, gateway):
        ban = {"enabled": True, "tempBan": {"ip": "203.0.113.0/24", "durationS": 600}}
        assert gateway.admin.put("/api/settings/ip-filter", json=ban).status_code == 200
        wait_for(lambda: self.status(gateway, "203.0.113.5") == {403}, 10, lambda: "the ban does nothing")
        assert gateway.admin.get("/api/keys", headers=from_address("203.0.113.5")).status_code == 403
        assert self.status(gateway, "198.51.100.1") == {200}
        assert gateway.admin.put("/api/settings/ip-filter", json={"removeBan": "203.0.113.0/24"}).status_code == 200
        wait_for(lambda: self.status(gateway, "203.0.113.5") == {200}, 10, lambda: "the ban stays")

    def test_requests_of_one_address_are_counted_over_all_workers(self, gateway):
        assert gateway.admin.put("/api/settings/ip-filter", json={"rpm": 20}).status_code == 200
        wait_for(lambda: 429 in self.status(gateway, "192.0.2.77", 30), 10, lambda: "no limit")
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: gateway.chat(headers=from_address("192.0.2.78")), range(60)))
        assert sum(answer.status_code == 200 for answer in answers) == 20
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert code_of(refused) == "address_rate_limited"
        assert 1 <= int(refused.headers["retry-after"]) <= 61


def test_planted_secrets_stand_in_no_reply_log_metric_export_backup_or_page(gateway):
    connection, password, header, proxy, newer = CANARIES
    made = gateway.admin.post("/api/providers", json={"provider": "local", "name": "canary", "apiKey": connection})
    assert made.status_code == 201, made.text
    made_id = made.json()["connection"]["id"]
    proxied = {"level": "connection", "id": made_id, "proxy": f"http://canary:{proxy}@127.0.0.1:9"}
    said = [made.text, gateway.admin.put("/api/settings/proxy", json=proxied).text]
    of_provider = {"level": "provider", "id": "two", "proxy": f"http://canary:{proxy}@127.0.0.1:9"}
    said.append(gateway.admin.put("/api/settings/proxy", json=of_provider).text)
    said.append(
        gateway.admin.post("/api/settings/proxy/test", json={"proxy": proxied["proxy"], "provider": "local"}).text
    )
    user = gateway.admin.post("/api/users", json={"name": "canary", "role": "viewer", "password": password})
    token = gateway.admin.post("/api/admin-tokens", json={"name": "canary", "role": "viewer"}).json()["token"]
    key = make_key(gateway)
    rotated = gateway.admin.post(f"/api/keys/{key['id']}/rotate", json={"overlapS": 60}).json()["key"]
    logged_in = httpx.post(
        f"{gateway.url}/api/auth/login", json={"username": "canary", "password": password}, timeout=60
    )
    assert logged_in.status_code == 200
    secrets = [*CANARIES, token, key["key"], rotated, logged_in.cookies["auth_token"], ADMIN_TOKEN]
    secrets += of_the_server(gateway.product.data_dir)
    said += [
        gateway.chat(model, key=key["key"], headers={"x-anything": header}).text
        for model in ("local/ok", "local/status:500", "two/only-here")
    ]
    for path, body in (
        ("/api/auth/login", {"username": "canary", "password": password + "x"}),
        ("/api/users", {"name": "canary", "role": "viewer", "password": password}),
        ("/api/providers", {"provider": "local", "name": "canary", "apiKey": connection, "nonsense": 1}),
        ("/api/providers", {"provider": "local", "name": "canary", "apiKey": [connection]}),
        ("/api/settings/proxy/test", {"proxy": f"ftp://canary:{proxy}@h"}),
        ("/api/provider-nodes", {"prefix": "canary", "baseUrl": f"http://canary:{proxy}@h/v1"}),
        ("/api/auth/login", {"username": "canary", "password": {"is": password}}),
    ):
        answer = gateway.admin.post(path, json=body)
        assert answer.status_code >= 400, answer.text
        said.append(answer.text)
    changed = gateway.admin.put(f"/api/providers/{made_id}", json={"apiKey": newer})
    assert changed.status_code == 200, changed.text
    said += [user.text, changed.text, gateway.admin.post(f"/api/providers/{made_id}/test").text]

    document = gateway.admin.get("/api/openapi.json").json()
    for path, operations in document["paths"].items():
        if "get" in operations and path != "/api/live":  # it does not end
            named = re.sub(r"\{[^}]*\}", made_id, path)
            said.append(gateway.admin.get(named).text)
    with gateway.admin.stream("GET", "/api/live") as live:
        said.append(next(text for text in live.iter_text() if "event: health" in text))
    said.append(gateway.client.get("/dashboard/").text)
    said.append(httpx.get(f"http://127.0.0.1:{gateway.product.metrics_port}/metrics", timeout=60).text)
    backup = gateway.admin.put("/api/db-backups")
    assert backup.status_code == 201, backup.text
    database = gateway.admin.get("/api/db-backups/export")
    assert database.status_code == 200
    assert database.content.startswith(b"SQLite format 3")
    said += [
        database.content.decode("latin-1"),
        *inside_archive(gateway.admin.get("/api/db-backups/exportAll").content),
    ]
    time.sleep(0.3)
    said += [gateway.product.errors, gateway.product.output, *kept_on_disk(gateway.product.data_dir)]
    assert len(said) > 60
    assert any("canary" in text for text in kept_on_disk(gateway.product.data_dir / "backups"))
    for secret in secrets:
        assert not [text[:200] for text in said if secret in text], secret[:10]


def inside_archive(packed):
    """What stands in each file of an archive."""
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        texts = [archive.extractfile(one).read().decode("latin-1") for one in archive if one.isfile()]
    assert texts
    return texts


def kept_on_disk(folder):
    """What stands in each file under the data dir: database, its log, backups, snapshots, the stream, the spool."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != SERVER_SECRETS]
    return [path.read_bytes().decode("latin-1") for path in files]


def of_the_server(folder):
    """What it seals, signs and digests with: in one file, and in no other."""
    found = [value for value in json.loads((folder / SERVER_SECRETS).read_text()).values() if isinstance(value, str)]
    assert len(found) >= 3
    return found
