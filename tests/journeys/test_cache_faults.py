"""The cache store full, frozen or gone: nothing is found, and nothing else is felt. Limits and ledger go on."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from redis import Redis

from tests.support.product import wait_for
from tests.support.real_gateway import RealGateway, running_gateway
from tests.support.real_valkey import RealValkey

pytestmark = pytest.mark.process

RPM_KEY = "sk-or-journey-key-of-5-a-minute"


@pytest.fixture(scope="module")
def valkey() -> Iterator[RealValkey]:
    with RealValkey() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, valkey: RealValkey) -> Iterator[RealGateway]:
    with on(tmp_path_factory.mktemp("faults"), REDIS_CACHE_URL=valkey.url) as gateway:
        yield gateway


def on(folder: Path, **variables: str) -> "_On":
    return _On(folder, variables)


class _On:
    """A gateway that keeps answers, without any in the workers' own memory."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self._running = running_gateway(folder, **variables)

    def __enter__(self) -> RealGateway:
        gateway = self._running.__enter__()
        config = json.loads(gateway.config.read_text())
        config["settings"]["cache"] = {"mode": "on", "front_bytes": 0}
        config["keys"].append({"name": "rpm", "secret": RPM_KEY, "rpm": 5})
        gateway.reload(json.dumps(config))
        wait_for(lambda: ask(gateway, "is it on?").headers.get("x-omniroute-cache") is not None, 10)
        time.sleep(0.5)
        return gateway

    def __exit__(self, *error: object) -> None:
        self._running.__exit__(*error)  # type: ignore[arg-type]


def ask(gateway: RealGateway, text: str, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return gateway.chat(temperature=0, messages=[{"role": "user", "content": text}], headers=named)


def found(gateway: RealGateway, text: str) -> str:
    return ask(gateway, text).headers["x-omniroute-cache"]


def test_a_store_that_takes_nothing_more_stops_neither_limits_nor_ledger(
    gateway: RealGateway, valkey: RealValkey
) -> None:
    with valkey.client() as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1")
        try:
            ids = [gateway.new_id() for _ in range(20)]
            for request_id in ids:
                answer = ask(gateway, "full", x_request_id=request_id)
                assert (answer.status_code, answer.headers["x-omniroute-cache"]) == (200, "MISS")
            assert {gateway.row(request_id)["status"] for request_id in ids} == {200}
            statuses = [gateway.chat(key=RPM_KEY, temperature=0).status_code for _ in range(8)]
            assert statuses == [200] * 5 + [429] * 3
        finally:
            client.config_set("maxmemory", "0")
    wait_for(lambda: found(gateway, "after it was full") == "HIT", 10)


def test_a_frozen_store_costs_no_request(gateway: RealGateway, valkey: RealValkey) -> None:
    wait_for(lambda: found(gateway, "before it froze") == "HIT", 10)
    valkey.freeze()
    try:
        answers = [ask(gateway, "before it froze") for _ in range(30)]
    finally:
        valkey.thaw()
    assert {(answer.status_code, answer.headers["x-omniroute-cache"]) for answer in answers} == {(200, "MISS")}
    wait_for(lambda: found(gateway, "before it froze") == "HIT", 15)


def test_a_store_killed_under_load_is_missed_by_nobody_and_found_again(tmp_path: Path) -> None:
    with on(tmp_path) as gateway:
        wait_for(lambda: found(gateway, "embedded") == "HIT", 10)
        ids = [gateway.new_id() for _ in range(300)]
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(ask, gateway, f"load {at % 20}", x_request_id=one) for at, one in enumerate(ids)]
            time.sleep(0.1)
            dead = gateway.product.kill("cache")
            answers = [one.result() for one in asked]
        assert {answer.status_code for answer in answers} == {200}
        assert {answer.headers["x-omniroute-cache"] for answer in answers} <= {"HIT", "MISS"}
        assert httpx.get(f"{gateway.url}/readyz", timeout=60).status_code == 200
        wait_for(lambda: gateway.product.child("cache") not in (0, dead), 10)
        wait_for(lambda: found(gateway, "embedded") == "HIT", 15)
        wait_for(lambda: len(gateway.rows(*ids)) == len(ids), 10)


def test_answers_are_in_the_cache_store_and_not_in_the_state_store(gateway: RealGateway, valkey: RealValkey) -> None:
    wait_for(lambda: found(gateway, "where is it?") == "HIT", 10)
    state = Redis(unix_socket_path=str(gateway.product.data_dir / "run" / "valkey.sock"))
    with valkey.client() as cache, state:
        assert cache.keys("*:cache:answer:*")
        assert state.keys("*")
        assert not state.keys("*:cache:answer:*")
