"""A snapshot compiled: whole URLs, open secrets, and what cannot be opened left out."""

import asyncio
import time

import pytest

from gateway.config.envelope import seal
from gateway.config.snapshot import SCHEMA, Connection, Node, RoutingSettings, Snapshot
from gateway.domain.errors import NotFound, Unavailable
from gateway.providers.load import load_specs
from gateway.providers.spec import DropFields, HeaderAuth, ProviderSpec, RefuseStreamOptions
from gateway.runtime import MAX_RESOLUTIONS, Runtime, RuntimeHolder, compile_runtime
from tests.support.catalogs import catalog, connection

KEY = bytes(32)


def entry(name: str, provider: str, secret: str = "sk-secret", **more: object) -> Connection:
    return Connection(id=name, provider=provider, name=name, api_key=seal(secret, name, KEY), **more)  # type: ignore[arg-type]


async def compiled(
    *connections: Connection, specs: dict[str, ProviderSpec] | None = None, nodes: tuple[Node, ...] = (), **more: object
) -> Runtime:
    snapshot = Snapshot(
        schema=SCHEMA, revision=3, connections=connections, nodes=nodes, settings=RoutingSettings(**more)  # type: ignore[arg-type]
    )  # fmt: skip
    return await compile_runtime(snapshot, specs or {}, KEY)


async def test_a_nodes_connection_is_compiled() -> None:
    node = Node("n1", "mine", "openai_chat", "http://127.0.0.1:9/v1/", allow_private=True)
    runtime = await compiled(entry("c1", "n1", models=("m",), priority=4), nodes=(node,))
    (one,) = runtime.catalog.connections["n1"]
    assert runtime.revision == 3
    assert (one.prefix, one.priority, one.allow_private, one.models) == ("mine", 4, True, frozenset({"m"}))
    assert one.paths == {
        "chat": "http://127.0.0.1:9/v1/chat/completions",
        "models": "http://127.0.0.1:9/v1/models",
        "embeddings": "http://127.0.0.1:9/v1/embeddings",
    }
    assert one.headers == (b"Authorization: Bearer sk-secret",)
    assert "sk-secret" not in repr(one)


@pytest.mark.parametrize(
    ("dialect", "header"),
    [
        ("anthropic_messages", b"x-api-key: s"),
        ("gemini", b"x-goog-api-key: s"),
        ("openai_chat", b"Authorization: Bearer s"),
    ],
)
async def test_a_node_sends_its_key_as_its_dialect_does(dialect: str, header: bytes) -> None:
    runtime = await compiled(entry("c", "n", "s"), nodes=(Node("n", "n", dialect, "http://x.test"),))  # type: ignore[arg-type]
    assert runtime.catalog.connections["n"][0].headers == (header,)


async def test_a_provider_brings_its_headers_and_quirks() -> None:
    spec = ProviderSpec(
        id="p", name="P", base_url="https://p.test/v1", auth=HeaderAuth(name="X-Key"), headers={"X-Title": "t"},
        quirks=(DropFields(fields=("a",)), DropFields(fields=("b",)), RefuseStreamOptions()), is_limited_by_model=True,
    )  # fmt: skip
    runtime = await compiled(entry("c", "p"), specs={"p": spec})
    (one,) = runtime.catalog.connections["p"]
    assert one.headers == (b"X-Title: t", b"X-Key: sk-secret")
    assert (one.drop_request_fields, one.refuses_stream_options, one.is_limited_by_model) == (("a", "b"), True, True)


@pytest.mark.parametrize(
    "bad",
    [
        Connection(id="bad", provider="n", name="bad", api_key="not sealed"),
        Connection(id="bad", provider="n", name="bad", api_key=seal("s", "another id", KEY)),
        Connection(id="bad", provider="n", name="bad", api_key=seal("s", "bad", bytes([1] * 32))),
        entry("bad", "no-such-provider"),
        entry("bad", "n", "line\r\nX-Injected: 1"),
        entry("bad", "n", "模型"),
    ],
)
async def test_a_connection_that_cannot_be_used_is_left_out_and_the_rest_serve(bad: Connection) -> None:
    runtime = await compiled(bad, entry("good", "n"), nodes=(Node("n", "n", "openai_chat", "http://x.test"),))
    assert [one.id for one in runtime.catalog.connections["n"]] == ["good"]


async def test_the_demo_is_there_until_it_is_switched_off() -> None:
    assert "demo" in (await compiled(specs=dict(load_specs()))).catalog.connections
    assert "demo" not in (await compiled(specs=dict(load_specs()), is_demo_enabled=False)).catalog.connections


async def test_compiling_many_connections_gives_the_loop_its_turn() -> None:
    entries = [entry(f"c{i}", "n") for i in range(2_000)]
    longest, running = 0.0, True

    async def tick() -> None:
        nonlocal longest
        while running:
            before = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)

    ticking = asyncio.ensure_future(tick())
    await asyncio.sleep(0)
    await compiled(*entries, nodes=(Node("n", "n", "openai_chat", "http://x.test"),))
    running = False
    await ticking
    assert longest < 0.5, "all of it takes seconds"


def test_without_a_configuration_nothing_is_served() -> None:
    holder = RuntimeHolder()
    assert (holder.is_ready, holder.revision) == (False, 0)
    with pytest.raises(Unavailable) as error:
        holder.current()
    assert error.value.code == "not_ready"


def test_what_a_name_means_is_found_once_and_errors_are_not_kept() -> None:
    runtime = Runtime(1, catalog(connection(models=["m1"])), RoutingSettings())
    assert runtime.resolve("", "local/m1") is runtime.resolve("", "local/m1")
    assert runtime.resolve("local", "m1").models[0].model == "m1"
    with pytest.raises(NotFound):
        runtime.resolve("", "nowhere/m1")
    assert set(runtime.resolutions) == {("", "local/m1"), ("local", "m1")}


def test_meanings_kept_are_bounded() -> None:
    runtime = Runtime(1, catalog(connection(models=[])), RoutingSettings())
    for number in range(MAX_RESOLUTIONS + 5):
        runtime.resolve("", f"local/{number}")
    assert len(runtime.resolutions) == MAX_RESOLUTIONS
