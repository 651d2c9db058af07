"""What callers notice when a process of ours dies or the configuration changes under load: nothing; and the ledger
gets each request once.
"""

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import redis

from gateway.state import keys as redis_keys
from tests.support.product import wait_for
from tests.support.real_gateway import KEY, MESSAGES, RealGateway, running_gateway

pytestmark = pytest.mark.process

CALLERS = 50
PAUSE_S = 0.1
SLOWEST_S = 15.0
"""No caller waits longer for a fault of ours; it is about 0.1 s on a machine of its own."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with running_gateway(tmp_path_factory.mktemp("state"), timeouts={"gap_s": 100.0}) as running:
        yield running


@dataclass(slots=True)
class Load:
    """Callers that ask, one request after another on a kept connection, half of them streamed. Plain sockets: a
    client library would take more of the machine than the product."""

    gateway: RealGateway
    sent: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    must_stop: bool = False

    async def caller(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.gateway.product.port)
        try:
            while not self.must_stop:
                await self._ask(reader, writer)
                await asyncio.sleep(PAUSE_S)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.failed.append(repr(error))
        finally:
            writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request_id = self.gateway.new_id()
        stream = len(self.sent) % 2 == 0
        self.sent.append(request_id)
        body = json.dumps({"model": "local/m1", "messages": MESSAGES, "stream": stream}).encode()
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\nX-Request-Id: %b\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (KEY.encode(), request_id.encode(), len(body), body)
        )
        before = time.monotonic()
        async with asyncio.timeout(60):
            head = await reader.readuntil(b"\r\n\r\n")
            if b"chunked" in head:
                answer = await reader.readuntil(b"\r\n0\r\n\r\n")
            else:
                length = re.search(rb"content-length: (\d+)", head)
                assert length, head
                answer = await reader.readexactly(int(length[1]))
        self.slowest_s = max(self.slowest_s, time.monotonic() - before)
        if not head.startswith(b"HTTP/1.1 200") or (stream and b"data: [DONE]" not in answer):
            self.failed.append((head + answer)[-500:].decode())


@asynccontextmanager
async def load(gateway: RealGateway, callers: int = CALLERS) -> AsyncIterator[Load]:
    """Load for as long as the block runs; every caller ends its last request."""
    running = Load(gateway)
    tasks = [asyncio.create_task(running.caller()) for _ in range(callers)]
    try:
        await asyncio.sleep(0.5)
        yield running
    finally:
        running.must_stop = True
        await asyncio.gather(*tasks)
        print(f"requests={len(running.sent)} slowest_s={running.slowest_s:.3f}")


async def until(wish: Callable[[], Any], limit_s: float, explain: Callable[[], str] = lambda: "") -> None:
    await asyncio.to_thread(wait_for, wish, limit_s, explain)


async def all_rows_arrive(gateway: RealGateway, done: Load, within_s: float = 15.0) -> None:
    """Each request has one row, final, with the usage that the provider told."""
    wanted = set(done.sent)

    def rows() -> list[dict[str, Any]]:
        return [row for row in gateway.rows() if row["request_id"] in wanted]

    def missing() -> str:
        absent = wanted - {row["request_id"] for row in rows()}
        return f"{len(absent)} of {len(wanted)} rows are missing: {sorted(absent)[:5]}; {gateway.health()}"

    await until(lambda: len({row["request_id"] for row in rows()}) == len(wanted), within_s, missing)
    await asyncio.sleep(0.6)  # a second row of the same request would have come by now
    found = rows()
    assert len(found) == len(wanted)
    assert {(row["status"], row["state"], row["output_tokens"], row["is_estimated"]) for row in found} == {
        (200, "final", 5, 0)
    }


def in_flight(gateway: RealGateway) -> int:
    """Notes in flight in the shared state."""
    with redis.Redis(unix_socket_path=str(gateway.product.data_dir / "run" / "valkey.sock")) as client:
        return sum(int(client.hlen(name)) for name in client.scan_iter(redis_keys.INFLIGHT_PREFIX + "*"))


async def test_valkey_killed_under_load_costs_no_request_and_no_row(gateway):
    async with load(gateway) as running:
        before = gateway.product.kill("valkey")
        await until(lambda: gateway.product.child("valkey") not in (0, before), 5)
        await asyncio.sleep(1.5)
    assert running.failed == []
    assert len(running.sent) > 100
    assert running.slowest_s < SLOWEST_S
    await all_rows_arrive(gateway, running)
    await until(lambda: in_flight(gateway) == 0, 10, lambda: str(in_flight(gateway)))
    await until(lambda: gateway.health()["status"] == "healthy", 10, lambda: str(gateway.health()))


async def test_valkey_that_hangs_costs_no_request_and_no_row(gateway):
    async with load(gateway, callers=20) as running:
        pid = gateway.product.child("valkey")
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(1.5)
        finally:
            os.kill(pid, signal.SIGCONT)
        await asyncio.sleep(0.5)
    assert running.failed == []
    assert running.slowest_s < SLOWEST_S
    await all_rows_arrive(gateway, running)


async def test_a_key_that_cannot_be_checked_is_503_and_never_401(gateway):
    pid = gateway.product.child("valkey")
    os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(2):
            answer = await asyncio.to_thread(gateway.chat, key="sk-or-never-seen-before")
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "cannot_check_key"
            assert answer.headers["retry-after"]
    finally:
        os.kill(pid, signal.SIGCONT)
    await until(lambda: gateway.chat(key="sk-or-never-seen-before").status_code == 401, 3)


async def test_admin_killed_under_load_costs_no_request_and_no_row(gateway):
    async with load(gateway) as running:
        before = gateway.product.kill("admin")
        await until(lambda: gateway.product.child("admin") not in (0, before), 5)
        await asyncio.sleep(0.5)
    assert running.failed == []
    assert running.slowest_s < SLOWEST_S
    await all_rows_arrive(gateway, running)


async def test_the_dashboards_paths_are_503_while_admin_is_away_and_chat_goes_on(gateway):
    gateway.product.kill("admin")
    answer = await asyncio.to_thread(gateway.admin.get, "/api/monitoring/health")
    assert answer.status_code in (200, 503)
    if answer.status_code == 503:
        assert answer.headers["retry-after"]
    assert (await asyncio.to_thread(gateway.chat)).status_code == 200
    await until(lambda: gateway.admin.get("/api/monitoring/health").status_code == 200, 10)


async def test_a_broken_config_file_changes_nothing_and_is_shown_on_health(gateway):
    good = gateway.config.read_text()
    async with load(gateway, callers=10) as running:
        gateway.reload(good.replace('"aliases"', '"aliasses"'))
        await until(lambda: gateway.health()["config"]["error"], 5)
        health = gateway.health()
    assert health["status"] == "degraded"
    assert "aliasses" in health["config"]["error"]
    assert "line " in health["config"]["error"]
    assert running.failed == []
    assert gateway.chat("exact-name").status_code == 200
    gateway.reload(good)
    await until(lambda: not gateway.health()["config"]["error"], 5)
    assert gateway.health()["status"] == "healthy"


async def test_a_change_reaches_every_worker_and_fails_no_request(gateway):
    config = json.loads(gateway.config.read_text())
    config["aliases"].append({"pattern": "brand-new", "target": "local/m2"})
    callers = await one_client_per_worker(gateway)
    try:
        async with load(gateway) as running:
            gateway.reload(json.dumps(config, indent=1))
            before = time.monotonic()
            await asyncio.gather(*(served(client, "brand-new") for client in callers.values()))
            took_s = time.monotonic() - before
            print(f"took_s={took_s:.2f}")
            await asyncio.sleep(0.3)
    finally:
        for client in callers.values():
            await client.aclose()
    assert len(callers) == 2
    assert running.failed == []


async def test_a_change_over_the_admin_api_reaches_every_worker(gateway):
    callers = await one_client_per_worker(gateway)
    made = await asyncio.to_thread(
        gateway.admin.post, "/api/combos", json={"name": "from-the-api", "models": ["local/m1"], "strategy": "priority"}
    )
    assert made.status_code in (200, 201), made.text
    await asyncio.gather(*(served(client, "from-the-api") for client in callers.values()))
    for client in callers.values():
        await client.aclose()


async def test_a_killed_worker_loses_no_finished_row_and_leaves_one_for_each_open_stream(gateway):
    """About 20 s: a worker counts as gone when its heartbeat has been missing for 15 s."""
    callers = await one_client_per_worker(gateway)
    assert len(callers) == 2
    victim, witness = callers
    pids = {worker["id"]: worker["pid"] for worker in gateway.health()["workers"]}
    finished = {worker: [gateway.new_id() for _ in range(20)] for worker in callers}
    opened = {worker: [gateway.new_id() for _ in range(5)] for worker in callers}
    for worker, client in callers.items():
        for request_id in finished[worker]:
            assert (await ask(client, "local/m1", request_id)).status_code == 200
    streams = [
        asyncio.create_task(streamed(gateway, worker, request_id))
        for worker in callers
        for request_id in opened[worker]
    ]
    # A connection may land on either worker: what counts is the worker that its row names.
    await until(lambda: in_flight(gateway) >= 10, 5)
    await asyncio.sleep(0.3)
    for _ in range(3):
        assert (await ask(callers[victim], "local/m1", gateway.new_id())).status_code == 200
    os.kill(pids[victim], signal.SIGKILL)
    results = dict(await asyncio.gather(*streams))
    broken = {request_id for request_id, is_whole in results.items() if not is_whole}
    every = [request_id for ids in (*finished.values(), *opened.values()) for request_id in ids]
    newborn = await killed_in_their_first_moments(gateway)
    await until(gateway.product.answers, 8)
    every += newborn
    await until(
        lambda: len(gateway.rows(*every)) == len(every), 28, lambda: f"{len(gateway.rows(*every))} of {len(every)}"
    )
    await asyncio.sleep(0.6)
    rows = {row["request_id"]: row for row in gateway.rows(*every)}
    assert len(gateway.rows(*every)) == len(every)
    print(f"broken={len(broken)}")
    assert all(rows[request_id]["state"] == "lost" for request_id in newborn)
    lost = {request_id for request_id, row in rows.items() if row["state"] == "lost"} - set(newborn)
    assert lost == broken
    assert {rows[request_id]["worker"] for request_id in lost} <= {victim}
    assert all(rows[request_id]["is_estimated"] and rows[request_id]["input_tokens"] > 0 for request_id in lost)
    kept = [row for request_id, row in rows.items() if request_id not in lost and request_id not in newborn]
    assert {(row["status"], row["state"], row["is_estimated"]) for row in kept} == {(200, "final", 0)}
    assert all(rows[request_id]["output_tokens"] == 5 for ids in finished.values() for request_id in ids)
    assert witness in {row["worker"] for row in kept}
    for client in callers.values():
        await client.aclose()


async def killed_in_their_first_moments(gateway: RealGateway) -> list[str]:
    """Kill all workers, and those that follow as soon as they serve; the requests that these had begun."""
    old = set(gateway.product.workers())
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    mark, ids = gateway.mark, [gateway.new_id() for _ in range(6)]
    asks = [asyncio.create_task(asked_until_taken(gateway, request_id, mark)) for request_id in ids]
    await until(lambda: taken(gateway, mark) == set(ids), 8, lambda: str(taken(gateway, mark)))
    for pid in set(gateway.product.workers()) - old:
        os.kill(pid, signal.SIGKILL)
    await asyncio.gather(*asks)
    return ids


async def asked_until_taken(gateway: RealGateway, request_id: str, mark: int) -> None:
    """Ask for a stream that does not end, again while nobody listens, and wait for its connection to break."""
    body = {"model": "local/stall-after:2", "messages": MESSAGES, "stream": True, "safety_identifier": request_id}
    headers = {"authorization": f"Bearer {KEY}", "x-request-id": request_id}
    async with httpx.AsyncClient(base_url=gateway.url, headers=headers, timeout=60) as client:
        while request_id not in taken(gateway, mark):
            try:
                await client.post("/v1/chat/completions", json=body)
            except httpx.HTTPError:
                await asyncio.sleep(0.01)


def taken(gateway: RealGateway, mark: int) -> set[str]:
    """The requests that have reached the provider since `mark`."""
    return {str(record.json().get("safety_identifier")) for record in gateway.seen(mark)}


async def streamed(gateway: RealGateway, worker: str, request_id: str) -> tuple[str, bool]:
    """A stream of about 2 s on a connection of its own: did it end well?"""
    body = {"model": "local/m1", "messages": MESSAGES, "stream": True, "user": json.dumps({"chunks": 40, "gap": 0.05})}
    headers = {"authorization": f"Bearer {KEY}", "x-request-id": request_id}
    try:
        async with httpx.AsyncClient(base_url=gateway.url, headers=headers, timeout=60) as client:
            answer = await client.post("/v1/chat/completions", json=body)
            return request_id, answer.text.endswith("[DONE]\n\n")
    except httpx.HTTPError:
        return request_id, False


async def one_client_per_worker(gateway: RealGateway) -> dict[str, httpx.AsyncClient]:
    """Kept connections, one to each of the two workers: the rows tell which worker answered."""
    found: dict[str, httpx.AsyncClient] = {}
    for _ in range(5):
        clients = {gateway.new_id(): _kept_connection(gateway) for _ in range(6)}
        for request_id, client in clients.items():
            assert (await ask(client, "local/m1", request_id)).status_code == 200
        await until(lambda ids=tuple(clients): len(gateway.rows(*ids)) == len(ids), 5)
        for row in gateway.rows(*clients):
            client = clients[row["request_id"]]
            if found.setdefault(row["worker"], client) is not client:
                await client.aclose()
        if len(found) == 2:
            break
    return found


def _kept_connection(gateway: RealGateway) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
    return httpx.AsyncClient(
        base_url=gateway.url, headers={"authorization": f"Bearer {KEY}"}, limits=limits, timeout=60
    )


def ask(client: httpx.AsyncClient, model: str, request_id: str = "") -> Awaitable[httpx.Response]:
    return client.post(
        "/v1/chat/completions", json={"model": model, "messages": MESSAGES}, headers={"x-request-id": request_id}
    )


async def served(client: httpx.AsyncClient, model: str, limit_s: float = 60.0) -> None:
    """Wait until a worker knows a name."""
    async with asyncio.timeout(limit_s):
        while (await ask(client, model)).status_code != 200:
            await asyncio.sleep(0.02)
