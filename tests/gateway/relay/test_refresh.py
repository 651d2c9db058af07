"""A refused OAuth credential is fetched anew once, by one request for all, and the same connection is asked again."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from gateway.domain.errors import CallerGone
from gateway.domain.target import Connection, Target
from gateway.relay.attempt import Attempts, Committed, Failed
from gateway.relay.refresh import Refreshes
from gateway.upstream.deadlines import Wheel
from tests.gateway.relay.test_attempt import ANSWER, NoPictures, exchange, silent
from tests.support.catalogs import connection
from tests.support.patience import PATIENCE
from tests.support.scripted_transport import ScriptedTransport, whole

OLD, FRESH = (b"Authorization: Bearer sk-upstream",), (b"Authorization: Bearer sk-fresh-token",)
REFUSED, GOOD = whole(401, b'{"error":{"message":"token expired"}}'), whole(200, ANSWER)


class Fetching:
    """Gives what it is told, when it is told."""

    def __init__(self, answer: tuple[bytes, ...] | Exception | None = FRESH, after_s: float = 0.0) -> None:
        self.answer = answer
        self.after_s = after_s
        self.asked: list[Connection] = []

    async def refresh(self, connection: Connection) -> tuple[bytes, ...] | None:
        self.asked.append(connection)
        await asyncio.sleep(self.after_s)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Bench:
    """Attempts over scripts, with credentials that can be fetched."""

    def __init__(self, fetching: Fetching, *scripts: Any, limit_s: float = 5.0, **more: Any) -> None:
        self.transport = ScriptedTransport({"a": list(scripts)})
        self.refreshes = Refreshes(fetching, limit_s)
        self.attempts = Attempts({"direct": self.transport}, Wheel(), NoPictures(), self.refreshes)
        self.target = Target(connection(name="a", **{"is_oauth": True, **more}), "m1")

    async def ask(self, asked: Any = None) -> Committed | Failed:
        asked = asked or exchange(streamed=False)
        self.attempts.wheel.add(asked.watch)
        try:
            return await self.attempts.make(asked, self.target, silent, is_last=True)
        finally:
            self.attempts.wheel.release(asked.watch)

    @property
    def sent(self) -> list[tuple[bytes, ...]]:
        """The credentials that calls were made with."""
        return [request.connection.headers for request in self.transport.requests]


@pytest.mark.parametrize("refusal", [REFUSED, whole(403, b'{"error":{"message":"no"}}')])
async def test_a_refused_token_is_fetched_anew_and_the_connection_asked_again(refusal: Any) -> None:
    fetching = Fetching()
    bench = Bench(fetching, refusal, GOOD)
    assert isinstance(await bench.ask(), Committed)
    assert bench.sent == [OLD, FRESH]
    assert isinstance(await bench.ask(), Committed)
    assert (bench.sent[-1], len(fetching.asked)) == (FRESH, 1), "the next request begins with the fresh one"


async def test_it_is_fetched_once_only_and_then_the_failure_counts() -> None:
    fetching = Fetching()
    bench = Bench(fetching, REFUSED)
    result = await bench.ask()
    assert isinstance(result, Failed)
    assert (result.outcome.name, result.outcome.cools, bench.sent) == ("auth", "connection", [OLD, FRESH])
    assert len(fetching.asked) == 1


@pytest.mark.parametrize("answer", [None, OLD, OSError("the provider's login is away")])
async def test_without_a_fresh_token_the_failure_counts_at_once(answer: Any) -> None:
    bench = Bench(Fetching(answer), REFUSED)
    result = await bench.ask()
    assert isinstance(result, Failed)
    assert (result.outcome.name, bench.sent) == ("auth", [OLD])


async def test_a_login_that_hangs_is_waited_for_no_longer_than_its_limit() -> None:
    bench = Bench(Fetching(after_s=60), REFUSED, limit_s=0.1)
    result = await asyncio.wait_for(bench.ask(), 5)
    assert isinstance(result, Failed)
    await asyncio.sleep(0.05)
    assert bench.refreshes.under_way == 0


async def test_many_requests_that_are_refused_together_fetch_once() -> None:
    fetching = Fetching(after_s=0.05)
    bench = Bench(fetching, *[REFUSED] * 20, GOOD)
    results = await asyncio.gather(*(bench.ask() for _ in range(20)))
    assert {type(result) for result in results} == {Committed}
    assert len(fetching.asked) == 1


async def test_a_key_is_never_refreshed() -> None:
    fetching = Fetching()
    bench = Bench(fetching, REFUSED, is_oauth=False)
    assert isinstance(await bench.ask(), Failed)
    assert (fetching.asked, bench.sent) == ([], [OLD])


@pytest.mark.parametrize(
    "script", [whole(500, b"{}"), whole(429, b"{}"), whole(403, b'{"error":"insufficient_quota"}')]
)
async def test_another_failure_is_no_reason_to_refresh(script: Any) -> None:
    fetching = Fetching()
    bench = Bench(fetching, script)
    assert isinstance(await bench.ask(), Failed)
    assert fetching.asked == []


async def test_a_caller_that_leaves_ends_its_wait_and_the_refresh_serves_the_others() -> None:
    fetching = Fetching(after_s=0.2)
    bench = Bench(fetching, REFUSED, GOOD)
    asked = exchange(streamed=False)
    waiting = asyncio.ensure_future(bench.ask(asked))
    await until(lambda: bool(fetching.asked))
    asked.caller_left()
    with pytest.raises(CallerGone):
        await waiting
    await until(lambda: bench.refreshes.under_way == 0)
    assert isinstance(await bench.ask(), Committed)
    assert (bench.sent, len(fetching.asked)) == ([OLD, FRESH], 1)


async def test_a_new_credential_in_the_configuration_wins_over_the_fetched_one() -> None:
    bench = Bench(Fetching(), REFUSED, GOOD)
    await bench.ask()
    same = connection(name="a", is_oauth=True, rpm=7)
    assert (bench.refreshes.current(same).headers, bench.refreshes.current(same).rpm) == (FRESH, 7)
    changed = connection(name="a", is_oauth=True, headers=(b"Authorization: Bearer sk-by-hand",))
    assert bench.refreshes.current(changed) is changed
    assert bench.refreshes.fresh == 0


async def until(wish: Callable[[], bool], limit_s: float = 5.0) -> None:
    deadline = time.monotonic() + limit_s * PATIENCE
    while not wish():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)
