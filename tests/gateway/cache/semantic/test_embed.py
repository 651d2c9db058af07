"""Vectors from a provider: within a budget of time, and a provider that fails is left alone for a while."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.cache.semantic.embed import FAILURES_TO_REST, MAX_OPEN, REST_S, Embedder
from gateway.domain.target import Connection, Target
from gateway.upstream.addresses import Resolver
from gateway.upstream.direct import DirectTransport
from gateway.upstream.seam import UpstreamCall, UpstreamFault, UpstreamRequest
from tests.support import forbidden_hosts
from tests.support.scripted_transport import ScriptedTransport, cut, head, whole

NEVER = [60.0]
QUICK_S, PATIENT_S = 0.05, 10.0


def connection(name: str, **paths: str) -> Connection:
    return Connection(
        id=name, name=name, provider="vec", prefix="vec", dialect="openai_chat", headers=(),
        paths=paths or {"embeddings": f"http://{name}/v1/embeddings"},
    )  # fmt: skip


def good(*values: float, **usage: int) -> list[Any]:
    said = {"data": [{"index": 0, "embedding": values or (1.0, -0.5)}], "usage": usage or {"prompt_tokens": 5}}
    return whole(200, json.dumps(said).encode())


class Setting:
    """An embedder over scripts by connection; `now` is its clock."""

    def __init__(self, scripts: dict[str, Any], targets: Sequence[Target] | None = None) -> None:
        self.transport = ScriptedTransport(scripts)
        self.now = 100.0
        found = [Target(connection(name), "small") for name in scripts] if targets is None else targets
        self.embedder = Embedder(lambda _: self.transport, lambda _: found, lambda: self.now)

    async def ask(self, budget_s: float = PATIENT_S) -> str:
        """The failure, or `ok`."""
        embedded = await self.embedder.embed("some text", "vec/small", budget_s)
        return "ok" if embedded.vector is not None else embedded.failure


async def test_the_text_is_asked_for_in_openais_shape_and_its_tokens_are_told() -> None:
    setting = Setting({"a": [good(3.0, -1.0, prompt_tokens=7)]})
    embedded = await setting.embedder.embed("some text", "vec/small", PATIENT_S)
    assert embedded.vector is not None
    assert embedded.vector.dimensions == 2
    assert (embedded.tokens, embedded.status, embedded.failure) == (7, 200, "")
    [request] = setting.transport.requests
    assert request.url == "http://a/v1/embeddings"
    assert json.loads(request.body) == {"model": "small", "input": "some text", "encoding_format": "float"}


@pytest.mark.parametrize(
    "script",
    [
        whole(500, b"oh"), whole(200, b""), whole(200, b"{}"), whole(200, b"[]"), whole(200, b"<html>"),
        whole(200, b'{"data":[]}'), whole(200, b'{"data":[{"embedding":[]}]}'), whole(200, b'{"data":[{"embedding":[0,0]}]}'),
        whole(200, b'{"data":[{"embedding":["a"]}]}'), [head(200), cut()], UpstreamFault("refused", "nobody is there"),
    ],
    ids=["500", "empty", "no data", "list", "page", "no vector", "empty vector", "zeros", "words", "cut", "refused"],
)  # fmt: skip
async def test_what_is_no_vector_is_a_failure(script: Any) -> None:
    assert await Setting({"a": [script]}).ask() == "failed"


async def test_a_vector_that_is_late_is_done_without_and_its_call_ended() -> None:
    setting = Setting({"a": [NEVER]})
    assert await setting.ask(QUICK_S) == "late"
    assert setting.transport.cancelled == setting.transport.calls
    assert setting.embedder.open_calls == 0
    await setting.transport.close()


async def test_after_failures_in_a_row_nobody_is_asked_for_a_while() -> None:
    setting = Setting({"a": [*[whole(500, b"")] * FAILURES_TO_REST, good()]})
    assert [await setting.ask() for _ in range(FAILURES_TO_REST)] == ["failed"] * FAILURES_TO_REST
    assert [await setting.ask() for _ in range(5)] == ["resting"] * 5
    assert len(setting.transport.requests) == FAILURES_TO_REST
    setting.now += REST_S
    assert await setting.ask() == "ok"
    assert await setting.ask() == "ok"


async def test_a_provider_that_is_still_ill_rests_again_after_one_failure() -> None:
    setting = Setting({"a": [whole(500, b"")]})
    for _ in range(FAILURES_TO_REST):
        await setting.ask()
    setting.now += REST_S
    assert await setting.ask() == "failed"
    assert await setting.ask() == "resting"


async def test_failures_that_are_not_in_a_row_change_nothing() -> None:
    setting = Setting({"a": [whole(500, b""), good()] * 5})
    assert {await setting.ask() for _ in range(10)} == {"ok", "failed"}


async def test_after_a_failure_the_next_connection_is_asked() -> None:
    setting = Setting({"a": [whole(500, b"")], "b": [good()]})
    assert [await setting.ask(), await setting.ask()] == ["failed", "ok"]


async def test_more_at_once_than_the_bound_are_not_asked() -> None:
    setting = Setting({"a": [NEVER]})
    asking = [asyncio.ensure_future(setting.ask(PATIENT_S)) for _ in range(MAX_OPEN)]
    await asyncio.sleep(0)
    assert setting.embedder.open_calls == MAX_OPEN
    assert await setting.ask() == "busy"
    for one in asking:
        one.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    assert setting.embedder.open_calls == 0
    assert len(setting.transport.cancelled) == MAX_OPEN
    await setting.transport.close()


async def test_a_model_without_embeddings_is_not_asked() -> None:
    assert await Setting({}, [Target(connection("a", chat="http://a/v1/chat"), "small")]).ask() == "no_target"
    assert await Setting({}, []).ask() == "no_target"


class Telling(DirectTransport):
    """The real transport, telling why it made no call."""

    refusals: tuple[str, ...] = ()

    async def start(self, request: UpstreamRequest) -> UpstreamCall:
        try:
            return await super().start(request)
        except UpstreamFault as fault:
            self.refusals += (fault.kind,)
            raise


@pytest.mark.parametrize("host", forbidden_hosts.NEVER + forbidden_hosts.PRIVATE)
async def test_vectors_are_not_asked_for_at_a_forbidden_address(host: str) -> None:
    transport = Telling(Resolver())
    target = Target(connection("a", embeddings=f"http://{host}:9/v1/embeddings"), "small")
    embedder = Embedder(lambda _: transport, lambda _: [target], lambda: 0.0)
    assert (await embedder.embed("some text", "vec/small", PATIENT_S)).failure == "failed"
    assert transport.refusals == ("blocked_address",)
    await transport.close()
