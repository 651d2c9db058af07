"""Proxies by level: which one counts for a connection, and that their credentials are nowhere to be read."""

import asyncio

import pytest

from gateway.providers.load import load_specs
from gateway.runtime import compile_runtime
from tests.support.admin_plane import ENCRYPTION_KEY, published_snapshot
from tests.support.fake_provider import FakeProvider

SECRET = "hunter2-of-the-proxy"
KEY = "sk-of-the-tests-123456"


async def proxies_of(redis):
    runtime = await compile_runtime(await published_snapshot(redis), load_specs(), bytes.fromhex(ENCRYPTION_KEY))
    return {
        one.name: (one.proxy, one.transport)
        for accounts in runtime.catalog.connections.values()
        for one in accounts
        if one.transport != "demo"
    }


async def test_the_nearest_level_counts_and_a_private_node_is_no_matter_of_the_global_one(admin, redis):
    for prefix, allow in (("inside", True), ("outside", False)):
        body = {"prefix": prefix, "baseUrl": "https://models.example/v1", "allowPrivate": allow}
        await admin.post("/api/provider-nodes", json=body)
    for provider, name, proxy in (
        ("openai", "plain", ""), ("openai", "own", "http://own:1"), ("anthropic", "other", ""),
        ("inside", "inside", ""), ("outside", "outside", ""),
    ):  # fmt: skip
        body = {"provider": provider, "name": name, "apiKey": KEY, "proxy": proxy}
        assert (await admin.post("/api/providers", json=body)).status_code == 201
    assert set((await proxies_of(redis)).values()) == {("", "direct"), ("http://own:1", "curl")}
    body = {"global": "http://all:8080", "providers": {"openai": {"type": "socks5", "host": "far"}}}
    answer = await admin.put("/api/settings/proxy", json=body)
    assert answer.status_code == 200, answer.text
    assert await proxies_of(redis) == {
        "own": ("http://own:1", "curl"),
        "plain": ("socks5://far:1080", "curl"),
        "other": ("http://all:8080", "curl"),
        "inside": ("", "direct"),
        "outside": ("http://all:8080", "curl"),
    }
    rows = (await admin.get("/api/providers")).json()["connections"]
    levels = {}
    for row in rows:
        levels[row["name"]] = (await admin.get(f"/api/settings/proxy?resolve={row['id']}")).json()["level"]
    assert levels == {
        "own": "connection", "plain": "provider", "other": "global", "inside": None, "outside": "global",
    }  # fmt: skip
    await admin.delete("/api/settings/proxy?level=provider&id=openai")
    await admin.put("/api/settings/proxy", json={"level": "global", "proxy": None})
    assert (await proxies_of(redis))["plain"] == ("", "direct")


async def test_the_proxy_of_a_provider_that_is_gone_can_still_be_taken_away(admin):
    await admin.post("/api/provider-nodes", json={"prefix": "gone", "baseUrl": "https://models.example/v1"})
    level = {"level": "provider", "id": "gone"}
    assert (await admin.put("/api/settings/proxy", json={**level, "proxy": "http://far:1"})).status_code == 200
    assert (await admin.delete("/api/provider-nodes/gone")).status_code == 200
    assert (await admin.put("/api/settings/proxy", json={**level, "proxy": "http://far:2"})).status_code == 400
    answer = await admin.put("/api/settings/proxy", json={**level, "proxy": None})
    assert answer.status_code == 200, answer.text
    assert (await admin.get("/api/settings/proxy")).json()["providers"] == {}


async def test_a_proxy_that_does_not_open_takes_its_connections_out_instead_of_going_round_it(admin, redis):
    await admin.post("/api/providers", json={"provider": "openai", "name": "a", "apiKey": KEY})
    await admin.put("/api/settings/proxy", json={"level": "global", "proxy": "http://all:8080"})
    snapshot = await published_snapshot(redis)
    runtime = await compile_runtime(snapshot, load_specs(), bytes.fromhex("6b" * 32))
    assert "openai" not in runtime.catalog.connections


async def test_credentials_of_a_proxy_are_nowhere_to_be_read(admin, redis):
    url = f"http://me:{SECRET}@proxy.example:3128"
    put = await admin.put("/api/settings/proxy", json={"level": "global", "proxy": url})
    paths = ("/api/settings/proxy", "/api/settings/proxy?level=global", "/api/settings", "/api/compliance/audit-log")
    texts = [put.text, *[(await admin.get(path)).text for path in paths]]
    revision = (await published_snapshot(redis)).revision
    texts.append((await redis.get(f"or1:snapshot:{revision}") or b"").decode())
    assert not any(SECRET in text for text in texts)
    assert (await admin.get("/api/settings/proxy")).json()["global"] == "http://proxy.example:3128"


async def test_the_same_proxies_are_published_once(admin, plane, redis):
    await admin.put("/api/settings/proxy", json={"level": "global", "proxy": "http://all:8080"})
    before = (await published_snapshot(redis)).revision
    assert await plane.publisher.publish(60.0)
    assert (await published_snapshot(redis)).revision == before


@pytest.fixture
async def passing_proxy():
    """An HTTP proxy for plain URLs that notes what is asked of it."""
    asked = []

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.split(b"\r\n")[0].decode())
        status = b"407 Proxy Authentication Required" if b"/needs-auth" in head else b"200 OK"
        writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], asked
    server.close()


async def test_a_proxy_is_tested_by_reaching_a_provider_through_it(admin, passing_proxy):
    port, asked = passing_proxy
    body = {"prefix": "local", "baseUrl": "http://models.example/v1", "allowPrivate": False}
    await admin.post("/api/provider-nodes", json=body)
    body = {"proxy": f"http://me:{SECRET}@127.0.0.1:{port}", "provider": "local"}
    answer = await admin.post("/api/settings/proxy/test", json=body)
    assert (answer.json()["success"], answer.json()["reached"]) == (True, "models.example"), answer.text
    assert asked == ["GET http://models.example/v1/models HTTP/1.1"]
    assert SECRET not in answer.text
    async with FakeProvider() as fake:
        closed = fake.port
    answer = await admin.post("/api/settings/proxy/test", json={**body, "proxy": f"http://127.0.0.1:{closed}"})
    assert (answer.json()["success"], answer.json()["code"]) == (False, "refused")
    assert (await admin.post("/api/settings/proxy/test", json={"proxy": body["proxy"]})).status_code == 400
