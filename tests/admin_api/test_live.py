"""The live stream: what it tells, to whom, and when it ends."""

import asyncio

import msgspec
import pytest

from admin_api.http.errors import ApiError
from admin_api.services.live import MAX_LISTENERS, QUEUE_EVENTS, Live, growth
from tests.admin_api.test_ledger import record
from tests.admin_api.test_usage_sums import keep

LIMIT_S = 30.0


async def always():
    return True


async def next_event(stream, name):
    """The data of the next event of this name."""
    async with asyncio.timeout(LIMIT_S):
        async for event in stream:
            if event.startswith(f"event: {name}\n".encode()):
                return msgspec.json.decode(event.split(b"data: ", 1)[1])
    raise AssertionError("the stream has ended")


async def test_a_listener_hears_how_it_is_what_is_recorded_and_what_is_changed(plane, admin):
    stream = Live(plane).listen(always)
    assert (await next_event(stream, "health"))["status"] in ("healthy", "degraded")
    now = plane.now()
    await keep(plane, record(1, at=now), record(2, at=now, status=500))
    traffic = await next_event(stream, "traffic")
    while not traffic["requests"]:
        traffic = await next_event(stream, "traffic")
    assert (traffic["requests"], traffic["errors"]) == (2, 1)
    rows = await next_event(stream, "requests")
    assert [row["status"] for row in rows["rows"]].count(500) == 1
    assert len(rows["rows"]) == 2
    assert rows["more"] is False
    await admin.post("/api/combos", json={"name": "c", "models": ["demo/story"]})
    assert (await next_event(stream, "config"))["revision"] > 0
    await stream.aclose()


async def test_each_listener_is_told_what_was_recorded_just_before_it_began_to_hear(plane):
    """Who has read rows before knows by it whether some came in between."""
    now = plane.now()
    await keep(plane, record(1, at=now - 3600), record(2, at=now - 3600, duration_ms=3_600_000.0))
    live = Live(plane)
    first = live.listen(always)
    just_ended = [record(2).id]
    assert (await next_event(first, "begun"))["newest"] == just_ended
    await keep(plane, record(3, at=now))
    second = live.listen(always)
    assert (await next_event(second, "begun"))["newest"] == [record(3).id, *just_ended]
    await first.aclose()
    await second.aclose()


async def test_a_listener_whose_session_has_ended_hears_no_more(plane):
    now = [1000.0]
    plane.now = lambda: now[0]

    async def never():
        return False

    stream = Live(plane).listen(never)
    await anext(stream)
    now[0] += 60
    async with asyncio.timeout(LIMIT_S):
        assert [event async for event in stream] == []


async def test_everybody_is_let_go_when_all_ends(plane):
    live = Live(plane)
    streams = [live.listen(always) for _ in range(3)]
    for stream in streams:
        await anext(stream)
    plane.stopping.set()
    async with asyncio.timeout(LIMIT_S):
        for stream in streams:
            async for _ in stream:
                pass
    assert plane.live_counts.listeners == 0
    with pytest.raises(ApiError) as refusal:
        live.listen(always)
    assert refusal.value.status == 503


async def test_who_does_not_keep_up_is_cut_and_the_others_are_not(plane):
    live = Live(plane)
    slow, quick = live.listen(always), live.listen(always)
    await anext(slow)
    await anext(quick)
    for _ in range(QUEUE_EVENTS + 1):
        live._tell(b"event: x\ndata: {}\n\n", live._queues)
        await anext(quick)
    async with asyncio.timeout(LIMIT_S):
        assert [event async for event in slow] == []
    assert plane.live_counts.dropped == 1
    await quick.aclose()


async def test_there_is_a_bound_to_listeners(plane):
    live = Live(plane)
    streams = [live.listen(always) for _ in range(MAX_LISTENERS)]
    for stream in streams:
        await anext(stream)
    with pytest.raises(ApiError):
        live.listen(always)
    await streams[0].aclose()
    live.listen(always)
    plane.stopping.set()


def test_sums_grow_by_what_came_and_an_hour_that_left_takes_nothing():
    before = {3600: (5, 1, 0, 0, 0, 0), 7200: (10, 0, 0, 0, 0, 0)}
    after = {7200: (12, 1, 0, 0, 0, 0), 10800: (3, 0, 0, 0, 0, 0)}
    assert growth(before, after)[:2] == (5, 1)
