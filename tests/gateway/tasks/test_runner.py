"""A background task that breaks is started again; all end when the worker does."""

import asyncio

from gateway.tasks.runner import RESTART_MIN_S, Runner


async def test_a_task_that_breaks_is_started_again_with_backoff() -> None:
    runner, starts = Runner(), []

    async def break_twice() -> None:
        starts.append(asyncio.get_running_loop().time())
        if len(starts) < 3:
            raise ValueError("broken")
        await asyncio.Event().wait()

    runner.start("breaks", break_twice)
    async with asyncio.timeout(3):
        while len(starts) < 3:
            await asyncio.sleep(0.01)
    await runner.stop()
    assert starts[1] - starts[0] >= RESTART_MIN_S
    assert starts[2] - starts[1] >= 2 * RESTART_MIN_S


async def test_a_task_that_ends_is_not_started_again() -> None:
    runner, starts = Runner(), []

    async def end() -> None:
        starts.append(1)

    runner.start("ends", end)
    await asyncio.sleep(RESTART_MIN_S * 2)
    await runner.stop()
    assert starts == [1]


async def test_tasks_end_in_reverse_order_and_are_waited_for() -> None:
    runner, ended = Runner(), []

    def named(name: str):
        async def run() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.01)
                ended.append(name)

        return run

    for name in ("first", "second", "third"):
        runner.start(name, named(name))
    await asyncio.sleep(0)
    await runner.stop()
    assert ended == ["third", "second", "first"]
    await runner.stop()


async def test_a_task_that_loses_a_cancellation_is_cancelled_again() -> None:
    runner, lost = Runner(), []

    async def lose_one() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if lost:
                    raise
                lost.append(1)

    runner.start("loses one", lose_one)
    await asyncio.sleep(0.01)
    async with asyncio.timeout(10):
        await runner.stop()
    assert lost == [1]
