"""10,000 connections and 500 models: compiled without holding the loop, and a plan looks at a handful of them."""

import asyncio
import random

import msgspec
import pytest

from gateway.config.envelope import seal
from gateway.config.snapshot import (
    SCHEMA,
    Alias,
    Combo,
    ComboModel,
    Connection,
    FallbackChain,
    Node,
    Price,
    RoutingSettings,
    Snapshot,
    decode_snapshot,
    decoding_snapshot,
    encode_snapshot,
)
from gateway.domain.steps import MOST
from gateway.domain.target import Connection as Compiled
from gateway.routing.plan import MAX_TARGETS, lay_plan
from gateway.routing.speed import Speed
from gateway.routing.strategies import ACCOUNT_STRATEGIES, COMBO_STRATEGIES, MAX_COMPARED
from gateway.routing.view import Beliefs
from gateway.runtime import Runtime, compile_runtime, compiling_runtime

KEY = bytes(32)
PROVIDERS, ACCOUNTS, MODELS = 10, 1_000, 500


def snapshot(accounts: int) -> Snapshot:
    """Every connection lists all models, each with a list of its own, as decoding makes them."""
    names = [f"model-{number}" for number in range(MODELS)]
    return Snapshot(
        schema=SCHEMA,
        revision=1,
        nodes=tuple(Node(f"n{i}", f"n{i}", "openai_chat", "http://x.test/v1") for i in range(PROVIDERS)),
        connections=tuple(
            Connection(f"c{i}-{j}", f"n{i}", f"{j:05}", api_key=seal("sk", f"c{i}-{j}", KEY), models=tuple(names))
            for i in range(PROVIDERS)
            for j in range(accounts)
        ),
        combos=tuple(
            Combo(f"id-{strategy}", strategy, tuple(ComboModel(f"n{i}/model-{i}") for i in range(PROVIDERS)), strategy)
            for strategy in COMBO_STRATEGIES
        ),
        settings=RoutingSettings(),
    )


@pytest.fixture(scope="module")
def runtimes() -> tuple[Runtime, Runtime]:
    """With few connections and with many."""

    async def both() -> tuple[Runtime, Runtime]:
        return await compile_runtime(snapshot(20), {}, KEY), await compile_runtime(snapshot(ACCOUNTS), {}, KEY)

    return asyncio.run(both())


class Everything(frozenset[str]):
    def __contains__(self, name: object) -> bool:
        return True

    def isdisjoint(self, names: object, /) -> bool:
        return False


class Looking(Beliefs):
    """Counts how often a plan asks about a connection. One in ten rests."""

    looks = 0

    @property
    def is_calm(self) -> bool:
        return False

    @property
    def known(self) -> Everything:
        return Everything()

    def resting(self, connection: Compiled, model: str) -> bool:
        self.looks += 1
        return connection.name.endswith("0")

    def rest_s(self, connection: Compiled, model: str) -> float:
        return 60.0

    def speed(self, connection: Compiled, model: str) -> Speed | None:
        self.looks += 1
        return None

    def uses(self, connection: Compiled) -> int:
        self.looks += 1
        return 0


def looks(runtime: Runtime, name: str, account_strategy: str) -> int:
    """The most that any of some plans looked at."""
    settings = RoutingSettings(account_strategy=account_strategy)  # type: ignore[arg-type]
    chance, most = random.Random(1), 0
    for _ in range(20):
        view = Looking()
        plan = lay_plan(runtime.resolve("", name), runtime.catalog, chance.random(), settings=settings, view=view)
        assert len(plan.targets) == MAX_TARGETS
        most = max(most, view.looks)
    return most


@pytest.mark.parametrize("account_strategy", ACCOUNT_STRATEGIES)
@pytest.mark.parametrize("name", ["n3/model-77", "priority", "round-robin", "latency"])
def test_a_plan_looks_at_no_more_connections_when_there_are_more(
    runtimes: tuple[Runtime, Runtime], name: str, account_strategy: str
) -> None:
    few, many = (looks(runtime, name, account_strategy) for runtime in runtimes)
    assert many <= few + MAX_COMPARED
    assert many <= 200


def test_equal_lists_of_models_are_kept_once(runtimes: tuple[Runtime, Runtime]) -> None:
    connections = [one for accounts in runtimes[1].catalog.connections.values() for one in accounts]
    assert len(connections) == PROVIDERS * ACCOUNTS
    assert len({id(one.models) for one in connections}) == 1


def own_lists(number: int, one: Connection) -> Connection:
    return msgspec.structs.replace(one, models=tuple(f"model-{(number * 7 + each * 3) % 2_000}" for each in range(500)))


def shaped(shape: str) -> Snapshot:
    """A configuration that is large in another way."""
    plain = snapshot(100)
    match shape:
        case "own lists":
            return msgspec.structs.replace(plain, connections=tuple(map(own_lists, range(1_000), plain.connections)))
        case "one provider":
            accounts = tuple(
                msgspec.structs.replace(one, provider="n0", name=f"{number * 7_919 % 10_007}")
                for number, one in enumerate(plain.connections)
            )
            return msgspec.structs.replace(plain, connections=accounts)
        case "patterns":
            return msgspec.structs.replace(
                plain,
                aliases=tuple(Alias(f"a{number}-*", "n0/model-1") for number in range(500)),
                fallback_chains=tuple(FallbackChain(f"c{number}-*", ("n0/model-1",)) for number in range(500)),
                prices=tuple(Price(f"n0/m{number}" + "*" * (number % 2), 1.0, 2.0) for number in range(1_000)),
            )
    return plain


SHAPES = ["plain", "own lists", "one provider", "patterns"]


@pytest.mark.parametrize("shape", SHAPES)
def test_compiling_goes_in_short_steps_whatever_is_large(shape: str) -> None:
    large = shaped(shape)
    steps = [*compiling_runtime(large, {}, KEY)]
    assert max(steps) <= MOST + 150
    assert sum(steps) >= 30 * len(large.connections)
    assert sum(steps) > 100_000 or shape in ("plain", "one provider")


@pytest.mark.parametrize("shape", SHAPES)
def test_decoding_goes_in_short_steps_too_and_gives_what_was_published(shape: str) -> None:
    large = shaped(shape)
    data = encode_snapshot(large)
    steps = [*decoding_snapshot(data)]
    assert max(steps) <= MOST + 150
    assert sum(steps) >= len(data) / 200, "as long as the connections are"
    found = decode_snapshot(data)
    assert found == large
    assert len({id(one.models) for one in found.connections}) == len({one.models for one in large.connections})


@pytest.mark.parametrize("shape", SHAPES)
async def test_the_loop_gets_its_turn_while_a_large_configuration_is_compiled(shape: str) -> None:
    large = shaped(shape)
    turns, compiling = 0, asyncio.create_task(compile_runtime(large, {}, KEY))
    while not compiling.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= sum(compiling_runtime(large, {}, KEY)) / 2_000
