"""Whatever is sent to whichever route by whomever: never a 5xx, and nobody does what the role may not.

Requests come from the OpenAPI document (schemathesis): such as fit it, such as do not, and such as fit but for one value that is
hostile. The admin process is a real one, on SQLite and on PostgreSQL. `make check` sends few; OMNIROUTE_FUZZ=50 sends fifty
times as many.
"""

import copy
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from admin_api.auth.access import is_public, may
from tests.support.admin_plane import ADMIN_TOKEN, ENCRYPTION_KEY, Valkey
from tests.support.product import REPOSITORY, free_port, wait_for

TIMES = float(os.environ.get("OMNIROUTE_FUZZ", "1"))
SEED = int(os.environ.get("OMNIROUTE_FUZZ_SEED", "1"))
pytestmark = [pytest.mark.process, pytest.mark.timeout(600 + 300 * TIMES)]

HOSTILE = [
    "", "\0", "a\0b", "x" * 1_000_000, "'; DROP TABLE settings; --", "\U0001f600", "../../etc/passwd", "%s%n", "\r\nX: y", "NaN",
    None, True, -1, 0, 2**31, 2**63, 2**70, -(2**70), 1e308, 0.1, [], {}, [[[[]]]], {"a": {"b": {}}}, [None], ["\0"] * 3,
]  # fmt: skip
NOT_OFFERED = 501
"""Said of backups where the database is not a file of ours."""
NOT_WITHIN = ("/api/live",)
"""They end the process, or do not end."""


class AdminProcess:
    """One real admin process, and what a caller of it knows."""

    def __init__(self, folder: Path, redis_url: str, database_url: str) -> None:
        self.log = folder / "admin.log"
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        environment = {
            "PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), "DATA_DIR": str(folder / "data"), "REDIS_URL": redis_url,
            "DATABASE_URL": database_url, "STORAGE_ENCRYPTION_KEY": ENCRYPTION_KEY, "API_KEY_SECRET": "pepper",
            "JWT_SECRET": "jwt", "OMNIROUTE_ADMIN_TOKEN": ADMIN_TOKEN, "INITIAL_PASSWORD": "correct horse battery",
        }  # fmt: skip
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "admin_api", "serve", "--host", "127.0.0.1", "--port", str(port)],
                env=environment, stdout=log, stderr=log,
            )  # fmt: skip
        wait_for(self._answers, 30, self.log.read_text)
        self.client = httpx.Client(base_url=self.url, timeout=60)
        self.owner = {"authorization": f"Bearer {ADMIN_TOKEN}"}
        self.headers = {
            "owner": self.owner,
            "nobody": {},
            "operator": self._token("operator"),
            "viewer": self._token("viewer"),
        }
        self.ids = self._objects()

    def stop(self) -> int:
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def send(self, request: httpx.Request) -> httpx.Response:
        """On a connection of its own when the kept one has just been closed; cut there too, it is the request's doing."""
        try:
            return self.client.send(request)
        except httpx.TransportError:
            try:
                with httpx.Client(timeout=60) as fresh:
                    return fresh.send(request)
            except httpx.TransportError as error:
                asked = f"{request.method} {request.url} {dict(request.headers)} {request.content[:2000]!r}"
                raise AssertionError(f"{asked}: {error!r}\n{self.tail()}") from error

    def tail(self) -> str:
        return self.log.read_text()[-3000:]

    def _answers(self) -> bool:
        try:
            return httpx.get(self.url + "/healthz", timeout=30).is_success
        except httpx.HTTPError:
            return False

    def _token(self, role: str) -> dict[str, str]:
        made = self.client.post("/api/admin-tokens", json={"name": role, "role": role}, headers=self.owner)
        assert made.status_code == 201, made.text
        return {"authorization": f"Bearer {made.json()['token']}"}

    def _objects(self) -> dict[str, str]:
        """One object of each kind, so that its routes find something. By the name of the path's parameter."""
        node = {"name": "n", "prefix": "local", "baseUrl": "http://127.0.0.1:9/v1", "allowPrivate": True}
        found = {"node_id": self._make("/api/provider-nodes", node)}
        found["connection_id"] = self._make(
            "/api/providers", {"provider": found["node_id"], "name": "c", "apiKey": "sk-x"}
        )
        found["combo_id"] = self._make("/api/combos", {"name": "c", "models": ["local/m1"]})
        found["key_id"] = self._make("/api/keys", {"name": "k"})
        return found

    def _make(self, path: str, body: dict[str, object]) -> str:
        made = self.client.post(path, json=body, headers=self.owner)
        assert made.status_code == 201, made.text
        document = made.json()
        return str(document.get("id") or next(one["id"] for one in document.values() if isinstance(one, dict)))


@pytest.fixture(scope="module")
def admins(tmp_path_factory, postgres):
    """By the name of the database that they are on."""
    valkeys = [Valkey(tmp_path_factory.mktemp("v")).start() for _ in range(2)]
    urls = {"sqlite": "", "postgres": postgres.make_database()}
    made = {
        name: AdminProcess(tmp_path_factory.mktemp(name), valkey.url, url)
        for (name, url), valkey in zip(urls.items(), valkeys, strict=True)
    }
    yield made
    codes = [one.stop() for one in made.values()]
    for valkey in valkeys:
        valkey.stop()
    assert codes == [0, 0]


def operations(process):
    document = process.client.get("/api/openapi.json", headers=process.owner).json()
    found = [one.ok() for one in schemathesis.openapi.from_dict(document).get_all_operations()]
    return [one for one in found if one.path not in NOT_WITHIN]


def with_hostile_value(body, chance):
    """The same document with one value somewhere in it exchanged."""
    changed = copy.deepcopy(body)
    places = []

    def walk(value):
        for name in list(value) if isinstance(value, dict) else range(len(value)):
            places.append((value, name))
            if isinstance(value[name], dict | list):
                walk(value[name])

    if isinstance(changed, dict | list):
        walk(changed)
    if places:
        holder, name = chance.choice(places)
        holder[name] = chance.choice(HOSTILE)
    return changed


def request_of(process, case):
    """What httpx is to send, without a credential; None when it is no HTTP request at all."""
    try:
        given = case.as_transport_kwargs(base_url=process.url)
        headers = {
            name: value for name, value in (given.get("headers") or {}).items() if name.lower() != "authorization"
        }
        data = given.get("data") if isinstance(given.get("data"), str | bytes) else None
        return process.client.build_request(
            given["method"],
            given["url"],
            params=given.get("params"),
            json=given.get("json"),
            content=data,
            headers=headers,
        )
    except (ValueError, TypeError, UnicodeError, httpx.InvalidURL):
        return None


def shape(case, kind, process, chance):
    """Make a case of the kind that is wanted, about objects that are there, mostly."""
    for name in case.path_parameters or {}:
        if name in process.ids and chance.random() < 0.6:
            case.path_parameters[name] = process.ids[name]
    if kind == "hostile" and isinstance(case.body, dict | list):
        case.body = with_hostile_value(case.body, chance)


def judge(process, who, answer):
    told = f"{who}: {answer.request.method} {answer.request.url} {answer.request.content[:500]!r} → {answer.status_code} {answer.text[:500]}"
    assert answer.status_code < 500 or answer.status_code == NOT_OFFERED, f"{told}\n{process.tail()}"
    method, path = answer.request.method, answer.request.url.path
    if who == "nobody" and not is_public(method, path):
        assert answer.status_code in (401, 404, 405), told
    if who in ("operator", "viewer") and not is_public(method, path) and not may(who, method, path):
        assert answer.status_code == 403, told


COUNTS = {"fit": 1, "unfit": 1, "hostile": 2}
"""Requests to each route by the owner; one that fits by the others too, before: whom the door refuses, it refuses whatever the request holds."""
OTHERS = ("nobody", "viewer", "operator")


def ask_many(admins, operation, kind, chance, statuses):
    """Requests of one kind to one route. What was wrong with an answer, or nothing."""
    mode = GenerationMode.NEGATIVE if kind == "unfit" else GenerationMode.POSITIVE
    asked = 0

    @seed(SEED)
    @settings(
        max_examples=max(1, int(COUNTS[kind] * TIMES)), deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case):
        nonlocal asked
        asked += 1
        for process in admins.values():
            shape(case, kind, process, chance)
            request = request_of(process, case)
            if request is None:
                return
            for who in (*(OTHERS if asked == 1 and kind == "fit" else ()), "owner"):
                request.headers.pop("authorization", None)
                request.headers.update(process.headers[who])
                answer = process.send(request)
                statuses[who, answer.status_code] += 1
                judge(process, who, answer)

    try:
        ask()
    except Unsatisfiable:
        return ""  # a route without a parameter cannot be asked wrongly
    except AssertionError as error:
        return f"{operation.label} ({kind}): {str(error)[:2500]}"
    return ""


def test_no_request_makes_the_admin_process_fail(admins):
    chance, statuses = random.Random(SEED), Counter()
    found = operations(admins["sqlite"])
    problems = [
        problem
        for operation in found
        for kind in COUNTS
        if (problem := ask_many(admins, operation, kind, chance, statuses))
    ]
    print(f"{statuses.total()} requests to {len(found)} routes: {dict(sorted(statuses.items()))}")
    assert not problems, f"{len(problems)} failed:\n" + "\n\n".join(problems)
    assert statuses["owner", 200] > len(found) / 2, "most of it must get past the door, and past the checks"
    for who in ("viewer", "operator"):
        assert statuses[who, 403] > 0
        assert statuses[who, 200] > 0
