"""The reader's side of a call: all that has come in one read, faults after the bytes, cancel at once."""

import asyncio

import pytest

from gateway.upstream.seam import Cancelled, UpstreamCall, UpstreamFault


class Tape:
    """Counts what a call asks of its transport."""

    def __init__(self) -> None:
        self.cancels = self.drains = 0
        self.call = UpstreamCall(self._cancel, self._drained)

    def _cancel(self) -> None:
        self.cancels += 1

    def _drained(self) -> None:
        self.drains += 1


async def test_a_read_gives_all_that_has_come_and_tells_the_transport() -> None:
    tape = Tape()
    tape.call.feed_head(200, {"a": "b"})
    tape.call.feed(b"one")
    tape.call.feed(b"two")
    tape.call.feed_end()
    await tape.call.head()
    assert (tape.call.status, tape.call.headers, tape.call.held, tape.call.bytes_in) == (200, {"a": "b"}, 6, 6)
    assert await tape.call.read() == b"onetwo"
    assert (tape.call.held, tape.drains) == (0, 1)
    assert await tape.call.read() == b""
    assert await tape.call.read() == b""


async def test_bytes_before_a_cut_are_read_first() -> None:
    call = Tape().call
    call.feed_head(200, {})
    call.feed(b"part")
    call.feed_end(UpstreamFault("reset", "cut"))
    await call.head()
    assert await call.read() == b"part"
    for _ in range(2):
        with pytest.raises(UpstreamFault, match="cut"):
            await call.read()


async def test_a_waiting_reader_is_woken_by_head_bytes_and_end() -> None:
    call = Tape().call
    for step, wait in (
        (lambda: call.feed_head(200, {}), call.head),
        (lambda: call.feed(b"x"), call.read),
        (call.feed_end, call.read),
    ):
        waiting = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        assert call.is_waiting
        step()
        await asyncio.wait_for(waiting, 1)
        assert not call.is_waiting


@pytest.mark.parametrize("is_waiting", [True, False])
async def test_cancel_tells_the_transport_once_and_the_reader_why(is_waiting: bool) -> None:
    tape = Tape()
    tape.call.feed_head(200, {})
    reading = asyncio.ensure_future(tape.call.read()) if is_waiting else None
    await asyncio.sleep(0)
    tape.call.cancel(UpstreamFault("gap_timeout", "silent"))
    tape.call.cancel(UpstreamFault("draining", "a later reason does not count"))
    tape.call.feed_end()
    with pytest.raises(UpstreamFault, match="silent"):
        await (reading or tape.call.read())
    assert (tape.cancels, tape.call.is_over) == (1, True)


async def test_cancel_drops_bytes_nobody_will_read() -> None:
    call = Tape().call
    call.feed_head(200, {})
    call.feed(b"x")
    call.cancel()
    with pytest.raises(Cancelled):
        await call.read()


async def test_cancel_after_the_end_closes_nothing() -> None:
    tape = Tape()
    tape.call.feed_end()
    tape.call.cancel()
    assert tape.cancels == 0


async def test_a_nudge_wakes_a_waiting_reader_and_nobody_else() -> None:
    call = Tape().call
    nudges: list[bool] = []

    async def on_nudge() -> None:
        nudges.append(call.has_head)

    call.on_nudge = on_nudge
    call.nudge()
    waiting = asyncio.ensure_future(call.head())
    await asyncio.sleep(0)
    call.nudge()
    call.nudge()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    call.feed_head(200, {})
    await asyncio.wait_for(waiting, 1)
    assert nudges == [False]


async def test_a_whole_body_is_read_in_as_few_wakes_as_it_comes_in() -> None:
    tape = Tape()
    tape.call.feed_head(200, {})
    reading = asyncio.ensure_future(tape.call.read_to_end(10))
    await asyncio.sleep(0)
    tape.call.feed(b"abc")
    tape.call.feed(b"def")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tape.call.feed(b"g")
    tape.call.feed_end()
    assert await asyncio.wait_for(reading, 1) == b"abcdefg"
    assert tape.call.held == 0


async def test_a_whole_body_over_the_bound_closes_the_connection() -> None:
    tape = Tape()
    tape.call.feed_head(200, {})
    tape.call.feed(b"abcdef")
    with pytest.raises(UpstreamFault, match="larger"):
        await tape.call.read_to_end(5)
    assert tape.cancels == 1
