"""A worker's start either succeeds or ends the worker."""

import asyncio
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.serve.startup import StartsOrEnds


@pytest.fixture(autouse=True)
def handlers_as_granian_sets_them() -> Iterator[None]:
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT)}
    for signum in before:
        signal.signal(signum, graceful)
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


def graceful(*_: object) -> None:
    """Stands for the server's handler."""


async def receive() -> Any:
    return {"type": "lifespan.startup"}


async def test_until_it_serves_a_stop_signal_has_its_plain_effect_and_then_the_servers() -> None:
    sent: list[str] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        await send({"type": "lifespan.startup.complete"})

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await StartsOrEnds(app)({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    await asyncio.sleep(0.1)
    assert signal.getsignal(signal.SIGTERM) is graceful


async def test_a_lifespan_that_raises_is_a_failed_start() -> None:
    sent: list[Any] = []

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise OSError("no disk")

    async def send(message: Any) -> None:
        sent.append(message)

    await StartsOrEnds(app)({"type": "lifespan"}, receive, send)
    assert sent[0]["type"] == "lifespan.startup.failed"
    assert "no disk" in sent[0]["message"]


async def test_requests_pass_straight_through() -> None:
    seen: list[Any] = []

    async def app(*arguments: Any) -> None:
        seen.append(arguments)

    scope = {"type": "http"}
    await StartsOrEnds(app)(scope, receive, receive)  # type: ignore[arg-type]  # any three objects will do
    assert seen == [(scope, receive, receive)]
