"""The whole product as a user starts it: what the lifetime rules promise, with the real workers and admin process."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.product import REAL, REPOSITORY, Product, clean_environment, is_alive, products, wait_for

pytestmark = pytest.mark.process

Make = Callable[..., Product]


@pytest.fixture
def make() -> Iterator[Make]:
    with products() as maker:
        yield lambda data_dir, **variables: maker(data_dir, REAL, **variables)


@pytest.fixture
def product(make: Make, tmp_path: Path) -> Product:
    return make(tmp_path).wait_ready()


def gateway_key(product: Product) -> str:
    found = re.search(r"Gateway key +(\S+)", product.output)
    assert found, product.output
    return found.group(1)


def ask(product: Product, key: str, *, stream: bool = False, limit_s: float = 10) -> httpx.Response:
    body = {"model": "demo/echo", "stream": stream, "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.post(f"{product.url}/v1/chat/completions", json=body, headers=headers, timeout=limit_s)


def is_served(product: Product, key: str) -> bool:
    try:
        return ask(product, key).status_code == 200
    except httpx.HTTPError:
        return False


def test_the_printed_call_streams_an_answer_within_seconds_of_the_start(make: Make, tmp_path: Path) -> None:
    product = make(tmp_path).wait_ready()
    wait_for(lambda: "curl -N" in product.output, 1)
    call = next(line for line in product.output.splitlines() if "curl -N" in line)
    answer = subprocess.run(shlex.split(call), capture_output=True, text=True, timeout=60).stdout
    assert answer.count("data: ") > 10
    assert answer.rstrip().endswith("data: [DONE]")
    assert "Admin password" in product.output


def test_secrets_are_printed_on_the_first_start_only(make: Make, tmp_path: Path) -> None:
    first = make(tmp_path).wait_ready()
    wait_for(lambda: "curl -N" in first.output, 1)
    key = gateway_key(first)
    assert first.stop() == 0
    second = make(tmp_path).wait_ready()
    wait_for(lambda: "reset-password" in second.output, 1)
    assert "Gateway key" not in second.output
    assert is_served(second, key)


def test_every_child_may_be_killed_and_callers_are_served_again(product: Product) -> None:
    wait_for(lambda: "curl -N" in product.output, 1)
    key = gateway_key(product)
    assert is_served(product, key)
    for name in ("valkey", "admin", "gateway"):
        before = product.kill(name)
        wait_for(lambda name=name, before=before: product.child(name) not in (0, before), 5)
        wait_for(lambda: is_served(product, key), 10, lambda: product.errors)
    worker = product.workers()[0]
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: len(set(product.workers()) - {worker}) == 2 and is_served(product, key), 5)
    assert product.stop() == 0


def test_a_kill_of_the_supervisor_leaves_nothing(product: Product) -> None:
    tree = product.tree()
    assert len(tree) == 6
    product.process.kill()
    wait_for(lambda: not any(is_alive(pid) for pid in tree), 5)


def test_a_stream_that_runs_at_the_stop_signal_ends_whole_and_the_product_with_code_0(product: Product) -> None:
    wait_for(lambda: "curl -N" in product.output, 1)
    body = {"model": "demo/story", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"Authorization": f"Bearer {gateway_key(product)}"}
    url = f"{product.url}/v1/chat/completions"
    with httpx.stream("POST", url, json=body, headers=headers, timeout=60) as answer:
        chunks = answer.iter_bytes()
        first = next(chunks)
        product.process.send_signal(signal.SIGTERM)
        text = first + b"".join(chunks)
    assert text.rstrip().endswith(b"data: [DONE]")
    assert product.wait() == 0
    assert not product.tree()


def test_metrics_of_all_workers_are_served(product: Product) -> None:
    wait_for(lambda: "curl -N" in product.output, 1)
    key = gateway_key(product)
    for _ in range(6):
        assert is_served(product, key)
    wait_for(lambda: _answered(product) == 6, 3, lambda: str(product.metrics()))
    for pid in product.workers():
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: is_served(product, key), 5)
    wait_for(lambda: _answered(product) == 7, 3, lambda: str(product.metrics()))


def test_token_and_password_commands_work_beside_the_running_product(product: Product) -> None:
    environment = {**clean_environment(), "DATA_DIR": str(product.data_dir)}
    for command in (["token", "create"], ["reset-password"]):
        done = subprocess.run(
            [sys.executable, "-m", "gateway", *command],
            env=environment,
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.strip()) > 10


def _answered(product: Product) -> float:
    return sum(
        value
        for name, value in product.metrics().items()
        if name.startswith("omniroute_requests_total{") and 'status="200"' in name
    )
