"""Bodies are read within bounds; what is over them is thrown away once that is answered."""

import asyncio
import time
from collections.abc import Iterable
from typing import Any

import pytest

from gateway.domain.errors import BadRequest, BodyTooLarge, CallerGone, GatewayError, RequestTimeout, UnsupportedBody
from gateway.edge.body import MAX_BODY_BYTES, MAX_THROWN_AWAY_BYTES, BodyReader

MIB = 1024 * 1024


def part(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


GONE = {"type": "http.disconnect"}


class Caller:
    """Plays messages; when there are no more it waits forever, as a caller that sends nothing does."""

    def __init__(self, messages: Iterable[dict[str, Any]]) -> None:
        self._messages = iter(messages)
        self.taken = 0

    async def __call__(self) -> dict[str, Any]:
        await asyncio.sleep(0)
        message = next(self._messages, None)
        if message is None:
            await asyncio.Event().wait()
        assert message is not None
        self.taken += len(message.get("body", b""))
        return message


@pytest.mark.parametrize(
    ("messages", "length", "expected"),
    [
        ([part(b"all", more=False)], b"3", b"all"),
        ([{"type": "http.request", "body": b"all"}], b"", b"all"),
        ([{"type": "http.request"}], b"0", b""),
        ([part(b"a"), part(b"b"), part(b"c", more=False)], b"3", b"abc"),
        ([part(b"a"), part(b"", more=False)], b"", b"a"),
        ([part(b"whole already")], b"13", b"whole already"),
    ],
)
async def test_a_body_is_read_whole(messages: list[dict[str, Any]], length: bytes, expected: bytes) -> None:
    async with asyncio.timeout(20):
        assert await BodyReader().read(Caller(messages), length, b"") == expected


@pytest.mark.parametrize("size", [MAX_BODY_BYTES, MAX_BODY_BYTES + 1])
@pytest.mark.parametrize("pieces", [1, 16])
@pytest.mark.parametrize("tells_length", [True, False])
async def test_the_bound_is_exact(size: int, pieces: int, tells_length: bool) -> None:
    step = -(-size // pieces)
    whole = bytes(size)
    messages = [part(whole[at : at + step], more=at + step < size) for at in range(0, size, step)]
    caller = Caller(messages)
    bodies = BodyReader()
    reading = bodies.read(caller, b"%d" % size if tells_length else b"", b"")
    if size <= MAX_BODY_BYTES:
        assert len(await reading) == size
        return
    with pytest.raises(BodyTooLarge, match="32 MiB") as error:
        await reading
    assert error.value.status == 413
    assert error.value.is_body_unread == (caller.taken < size)


async def test_a_body_without_end_is_thrown_away_up_to_a_bound() -> None:
    caller, bodies = Caller(part(bytes(8 * MIB)) for _ in range(10_000)), BodyReader()
    with pytest.raises(BodyTooLarge) as error:
        await bodies.read(caller, b"", b"")
    assert error.value.is_body_unread
    assert caller.taken <= MAX_BODY_BYTES + 16 * MIB, "and answered before more of it comes"
    await bodies.throw_away(caller)
    assert caller.taken <= MAX_BODY_BYTES + MAX_THROWN_AWAY_BYTES + 16 * MIB


async def test_throwing_away_ends_with_the_body_the_caller_or_the_time() -> None:
    bodies = BodyReader(throw_away_s=0.05)
    async with asyncio.timeout(20):
        await bodies.throw_away(Caller([part(b"x"), part(b"", more=False)]))
        await bodies.throw_away(Caller([part(b"x"), GONE]))
        await bodies.throw_away(Caller([part(b"x")]))
        await bodies.throw_away(Caller([part(b"x")]))  # and the task goes on as if it had never been cancelled


async def test_a_body_that_came_whole_with_its_head_is_thrown_away_at_once() -> None:
    caller = Caller([part(b"whole"), part(b"", more=False)])
    await BodyReader().throw_away(caller, b"5")
    assert caller.taken == 5
    assert len(await BodyReader().read(caller, b"", b"")) == 0, "what follows was not read"


@pytest.mark.parametrize("messages", [[GONE], [part(b"a"), GONE]])
async def test_a_caller_who_leaves_while_sending_is_gone(messages: list[dict[str, Any]]) -> None:
    with pytest.raises(CallerGone):
        await BodyReader().read(Caller(messages), b"10", b"")


@pytest.mark.parametrize("messages", [[], [part(b"a")]])
async def test_a_slow_sender_is_given_up(messages: list[dict[str, Any]]) -> None:
    bodies = BodyReader(timeout_s=0.05)
    async with asyncio.timeout(20):
        with pytest.raises(RequestTimeout):
            await bodies.read(Caller(messages), b"10", b"")
        await asyncio.sleep(0)  # and the task goes on as if it had never been cancelled
    assert bodies.waiting == 0


async def test_each_sender_has_its_own_time() -> None:
    bodies = BodyReader(timeout_s=0.2)

    async def late(begin_s: float) -> float:
        await asyncio.sleep(begin_s)
        began_at = time.monotonic()
        with pytest.raises(RequestTimeout):
            await bodies.read(Caller([]), b"10", b"")
        return time.monotonic() - began_at

    async with asyncio.timeout(5):
        took = await asyncio.gather(late(0), late(0.1), late(0.15))
    assert all(span >= 0.19 for span in took)


async def test_a_cancelled_reader_is_cancelled() -> None:
    bodies = BodyReader(timeout_s=5)
    reading = asyncio.create_task(bodies.read(Caller([]), b"10", b""))
    await asyncio.sleep(0.01)
    assert bodies.waiting == 1
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert bodies.waiting == 0


@pytest.mark.parametrize(
    ("length", "encoding", "error"),
    [
        (b"", b"gzip", UnsupportedBody),
        (b"", b"GZIP, identity", UnsupportedBody),
        (b"x", b"", BadRequest),
        (b"-1", b"", BadRequest),
        (b"99999999999999999999", b"", BodyTooLarge),
    ],
)
async def test_headers_that_cannot_be_served_are_refused(
    length: bytes, encoding: bytes, error: type[GatewayError]
) -> None:
    with pytest.raises(error):
        await BodyReader().read(Caller([part(b"x", more=False)]), length, encoding)


async def test_identity_is_no_encoding() -> None:
    assert await BodyReader().read(Caller([part(b"x", more=False)]), b"1", b" Identity ") == b"x"
