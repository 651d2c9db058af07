"""A release of the chart, on this machine: its job, its two gateways and its admin, as real processes that get exactly the environment
that the chart renders, on a real PostgreSQL and a real Valkey."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.config.settings import load_settings
from gateway.state.address import Address
from tests.support.chart import CHART, Object, find, render, shape
from tests.support.pods import Pod, kubelet_environment
from tests.support.product import Product, clean_environment, wait_for
from tests.support.real_gateway import content_of
from tests.support.real_postgres import OWNER, PASSWORD, RealPostgres
from tests.support.real_valkey import RealValkey

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]

KEY, TOKEN = "sk-or-first-key-of-the-release", "admin-token-of-the-release"
OF_VALKEY = "of/valkey@100%?"
SECRETS = {
    "omniroute": {
        "API_KEY_SECRET": "pepper-of-the-release",
        "STORAGE_ENCRYPTION_KEY": "5a" * 32,
        "OMNIROUTE_INITIAL_KEY": KEY,
        "OMNIROUTE_ADMIN_TOKEN": TOKEN,
        "INITIAL_PASSWORD": "correct horse battery",
    },
    "valkey": {"password": OF_VALKEY},
    "database": {"password": PASSWORD},
}
CONFIG = [
    "config.inline.version=1",
    "config.inline.combos[0].name=from-the-file",
    "config.inline.combos[0].models[0]=demo/story",
]


@dataclass(frozen=True)
class Release:
    """What was rendered and what runs of it."""

    objects: tuple[Object, ...]
    migration: subprocess.CompletedProcess[str]
    admin: Product
    admin_pod: Pod
    gateways: list[Product]

    def chat(self, gateway: Product, model: str) -> httpx.Response:
        body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
        return httpx.post(
            f"{gateway.url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {KEY}"}, timeout=60
        )


@pytest.fixture(scope="module")
def release() -> Iterator[Release]:
    with (
        RealPostgres() as postgres,
        RealValkey(password=OF_VALKEY) as valkey,
        tempfile.TemporaryDirectory(prefix="or-", dir="/tmp") as folder,  # paths of sockets are limited
    ):
        database = urlsplit(postgres.make_database())
        said = [
            "redis.host=127.0.0.1", f"redis.port={valkey.port}", "redis.db=3", "redis.passwordSecret.name=valkey",
            "database.host=127.0.0.1", f"database.port={database.port}", f"database.name={database.path[1:]}",
            f"database.username={OWNER}", "database.passwordSecret.name=database", "database.options=sslmode=prefer",
            "drain.delaySeconds=0", "gateway.workers=1", "demo=true", *CONFIG,
        ]  # fmt: skip
        objects = render(shape("minimal"), *(word for one in said for word in ("--set", one)))
        config_maps = {one["metadata"]["name"]: one for one in objects if one["kind"] == "ConfigMap"}

        def pod(kind: str, ending: str, place: str) -> Pod:
            found = find(objects, kind, ending)["spec"]["template"]
            return Pod(found, Path(folder) / place, SECRETS, config_maps)

        migration = pod("Job", "-migrations", "m").run()
        admin_pod = pod("Deployment", "-admin", "a")
        started: list[Product] = []
        try:
            started += [admin_pod.start()]
            started += [pod("Deployment", "-gateway", f"g{number}").start() for number in range(2)]
            for product in started:
                product.wait_ready()
            yield Release(objects, migration, started[0], admin_pod, started[1:])
        finally:
            for product in started:
                product.end_all()


def test_the_job_makes_the_schema(release: Release) -> None:
    assert release.migration.returncode == 0, release.migration.stderr
    assert release.migration.stdout.endswith("was empty\n")


def test_every_gateway_streams_what_the_config_map_declares(release: Release) -> None:
    for gateway in release.gateways:
        wait_for(lambda gateway=gateway: release.chat(gateway, "from-the-file").status_code == 200, 20)
        answer = release.chat(gateway, "from-the-file")
        assert len(content_of(answer.content)) > 20
        assert answer.headers["x-omniroute-provider"] == "demo"


def test_gateways_serve_callers_and_admin_serves_operators(release: Release) -> None:
    as_admin = {"authorization": f"Bearer {TOKEN}"}
    assert httpx.get(f"{release.admin.url}/api/keys", headers=as_admin, timeout=60).status_code == 200
    for gateway in release.gateways:
        assert httpx.get(f"{gateway.url}/api/keys", headers=as_admin, timeout=60).status_code in (404, 503)
    callers = {"authorization": f"Bearer {KEY}"}
    assert httpx.get(f"{release.admin.url}/v1/models", headers=callers, timeout=60).status_code in (401, 404)


def test_the_probes_of_the_chart_are_answered(release: Release) -> None:
    for ending, running in (("-admin", [release.admin]), ("-gateway", release.gateways)):
        container = find(release.objects, "Deployment", ending)["spec"]["template"]["spec"]["containers"][0]
        for product in running:
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                asked = container[probe]["httpGet"]
                assert asked["port"] == "http"
                assert product.get(asked["path"]).status_code == 200
            assert product.metrics()


def run_the_test_pod(release: Release, limit_s: str, **addresses: str) -> subprocess.CompletedProcess[str]:
    program = (CHART / "files" / "check_release.py").read_text()
    (container,) = find(release.objects, "Pod", "-test")["spec"]["containers"]
    assert container["args"] == [program]
    environment = clean_environment() | kubelet_environment(container["env"], SECRETS)
    found = {
        "GATEWAY_URL": release.gateways[0].url,
        "ADMIN_URL": release.admin.url,
        "METRICS_URL": f"http://127.0.0.1:{release.gateways[0].metrics_port}",
    }
    return subprocess.run(
        [sys.executable, "-c", program], env={**environment, **found, **addresses, "LIMIT_S": limit_s},
        capture_output=True, text=True, timeout=550,
    )  # fmt: skip


def test_the_pod_of_helm_test_is_content(release: Release) -> None:
    done = run_the_test_pod(release, "500")
    assert done.returncode == 0, done.stderr
    assert "ok the first key is let in" in done.stdout


def test_the_pod_of_helm_test_fails_when_something_is_away(release: Release) -> None:
    done = run_the_test_pod(release, "0", ADMIN_URL="http://127.0.0.1:1")
    assert done.returncode == 1
    assert "FAILED admin is up" in done.stderr


def test_the_commands_of_the_notes_work_in_the_admin_pod(release: Release) -> None:
    made = release.admin_pod.run("reset-password")
    assert made.returncode == 0, made.stderr
    entered = httpx.post(f"{release.admin.url}/api/auth/login", json={"password": made.stdout.strip()}, timeout=60)
    assert entered.status_code in (200, 201), entered.text


def test_no_secret_is_in_what_the_pods_print(release: Release) -> None:
    for product in (release.admin, *release.gateways):
        for secrets in SECRETS.values():
            assert not [name for name, value in secrets.items() if value in product.output + product.errors]


def test_sentinels_are_named_as_the_product_reads_them() -> None:
    pod = find(render(shape("sentinel")), "Deployment", "-gateway")["spec"]["template"]
    secrets = {"omniroute": SECRETS["omniroute"], "valkey": {"valkey-password": "p/w", "sentinel-password": "s&s"}}
    address = Address(load_settings(kubelet_environment(pod["spec"]["containers"][0]["env"], secrets)).redis_url)
    assert address.sentinels == (("valkey-0.valkey", 26379), ("valkey-1.valkey", 26380), ("valkey-2.valkey", 26379))
    assert (address.primary, address.db) == ("shared", 0)
    assert (address.username, address.password, address.sentinel_password) == ("omniroute", "p/w", "s&s")


def test_traces_are_set_up_as_the_product_reads_them() -> None:
    pod = find(render(shape("full")), "Deployment", "-gateway")["spec"]["template"]
    keys = ("API_KEY_SECRET", "STORAGE_ENCRYPTION_KEY", "REDIS_URL", "REDIS_CACHE_URL", "OTEL_EXPORTER_OTLP_HEADERS")
    given = dict.fromkeys(keys, "authorization=Basic%20eA")
    secrets = dict.fromkeys(("omniroute", "omniroute-cache", "collector"), given)
    settings = load_settings(kubelet_environment(pod["spec"]["containers"][0]["env"], secrets))
    assert settings.trace_url == "http://collector.observability:4318/v1/traces"
    assert (settings.trace_ratio, settings.trace_headers) == (0.1, (("authorization", "Basic eA"),))
    assert ("k8s.namespace.name", "llm") in settings.trace_resource


def test_a_pod_ends_with_code_0_when_it_is_told_to(release: Release) -> None:
    """The last test: what it stops is gone."""
    assert [product.stop() for product in (*release.gateways, release.admin)] == [0, 0, 0]
