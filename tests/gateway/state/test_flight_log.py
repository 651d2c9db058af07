"""One leader a flight whoever races, its lease is its life, and followers anywhere read what passed, whole and in order."""

import asyncio
import time
from typing import Any

import pytest
from redis import Redis

from gateway.state import keys
from gateway.state.flight_log import END, FlightLog
from gateway.state.resp import StateAway
from tests.support.real_valkey import RealValkey


async def log_of(connect: Any, url: str, worker: str, lease_s: float = 30.0) -> FlightLog:
    return FlightLog(await connect(url, budget_s=5.0), worker, lease_s=lease_s)


async def test_of_many_that_race_one_leads_and_the_others_follow_it(valkey: RealValkey, connect: Any) -> None:
    logs = [await log_of(connect, valkey.url, f"w{number}") for number in range(4)]
    boarded = await asyncio.gather(*(log.board("f", "same") for log in logs * 25))
    assert sum(one.leads for one in boarded) == 1
    assert len({one.token for one in boarded}) == 1


async def test_another_request_under_the_same_name_is_told_so(valkey: RealValkey, connect: Any) -> None:
    one, two = await log_of(connect, valkey.url, "w1"), await log_of(connect, valkey.url, "w2")
    await one.board("f", "a")
    assert (await two.board("f", "b")).is_other


async def test_who_does_not_renew_loses_the_flight_and_cannot_write_to_the_next_ones(
    valkey: RealValkey, connect: Any
) -> None:
    dead, next_one = await log_of(connect, valkey.url, "w1", 0.05), await log_of(connect, valkey.url, "w2")
    first = await dead.board("f", "a")
    await asyncio.sleep(0.06)
    second = await next_one.board("f", "a")
    assert second.leads
    assert second.token != first.token
    assert await dead.feed("f", first.token, [("0", b"late")]) == -1
    assert (await next_one.follow("f", second.token, 0)).parts == []


async def test_who_renews_keeps_the_flight(valkey: RealValkey, connect: Any) -> None:
    leader, other = await log_of(connect, valkey.url, "w1", 1.0), await log_of(connect, valkey.url, "w2", 1.0)
    token = (await leader.board("f", "a")).token
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        assert await leader.feed("f", token) >= 0
        await asyncio.sleep(0.05)
    assert (await other.board("f", "a")).token == token


async def test_followers_read_from_the_start_and_on_and_the_end_comes_last(valkey: RealValkey, connect: Any) -> None:
    leader, other = await log_of(connect, valkey.url, "w1"), await log_of(connect, valkey.url, "w2")
    token = (await leader.board("f", "a")).token
    await other.board("f", "a")
    assert await leader.feed("f", token, [("0", b"head"), ("1", b"one")]) == 1
    followed = await other.follow("f", token, 0)
    assert (followed.is_led, followed.end, followed.parts) == (True, b"", [b"head", b"one"])
    await leader.feed("f", token, [("2", b"two"), (END, b"well")])
    followed = await other.follow("f", token, 2)
    assert (followed.end, followed.parts) == (b"well", [b"two"])


async def test_much_is_read_in_trips_and_the_end_only_with_the_last(valkey: RealValkey, connect: Any) -> None:
    leader, other = await log_of(connect, valkey.url, "w1"), await log_of(connect, valkey.url, "w2")
    token = (await leader.board("f", "a")).token
    await leader.feed("f", token, [(str(number), b"x" * 100_000) for number in range(6)] + [(END, b"well")])
    first = await other.follow("f", token, 0)
    assert len(first.parts) < 6
    assert first.end == b""
    rest = await other.follow("f", token, len(first.parts))
    assert len(first.parts) + len(rest.parts) == 6
    assert rest.end == b"well"


async def test_a_dead_leaders_followers_learn_it(valkey: RealValkey, connect: Any) -> None:
    leader, other = await log_of(connect, valkey.url, "w1", 0.3), await log_of(connect, valkey.url, "w2", 0.3)
    token = (await leader.board("f", "a")).token
    assert (await other.follow("f", token, 0)).is_led
    await asyncio.sleep(0.35)
    assert not (await other.follow("f", token, 0)).is_led


async def test_what_is_kept_can_be_boarded_and_read_until_its_window_is_over(valkey: RealValkey, connect: Any) -> None:
    leader, other = await log_of(connect, valkey.url, "w1"), await log_of(connect, valkey.url, "w2")
    token = (await leader.board("f", "a")).token
    await leader.feed("f", token, [("0", b"head"), (END, b"well")])
    await leader.end("f", token, keep_s=1.0)
    again = await other.board("f", "a")
    assert (again.leads, again.token) == (False, token)
    assert (await other.follow("f", token, 0)).end == b"well"
    assert (await other.board("f", "b")).is_other
    await asyncio.sleep(1.05)
    assert (await other.board("f", "a")).leads


async def test_what_is_not_kept_is_led_anew_while_its_followers_read_on(
    valkey: RealValkey, sync: Redis, connect: Any
) -> None:
    leader, other = await log_of(connect, valkey.url, "w1"), await log_of(connect, valkey.url, "w2")
    token = (await leader.board("f", "a")).token
    await leader.feed("f", token, [("0", b"head"), (END, b"well")])
    await leader.end("f", token)
    assert (await other.board("f", "a")).leads
    followed = await other.follow("f", token, 0)
    assert (followed.end, followed.parts) == (b"well", [b"head"])
    assert 0 < sync.pttl(keys.flight_parts("f", token)) <= 10_000


async def test_leaders_and_followers_hear_of_each_other(valkey: RealValkey, sync: Redis, connect: Any) -> None:
    leader, other = await log_of(connect, valkey.url, "w1"), await log_of(connect, valkey.url, "w2")
    with sync.pubsub() as news:
        news.subscribe(keys.flight_news("w1"), keys.flight_news("w2"))
        token = (await leader.board("f", "a")).token
        await other.board("f", "a")
        await leader.feed("f", token, [("0", b"head")])
        await other.leave("f", token)
        heard = [message for _ in range(9) if (message := news.get_message(timeout=0.2))]
    told = [message["channel"].decode() for message in heard if message["type"] == "message"]
    assert told == [keys.flight_news("w1"), keys.flight_news("w2"), keys.flight_news("w1")]
    assert await leader.feed("f", token) == 0


async def test_nothing_is_left_for_ever(valkey: RealValkey, sync: Redis, connect: Any) -> None:
    leader = await log_of(connect, valkey.url, "w1", 0.2)
    token = (await leader.board("f", "a")).token
    await leader.feed("f", token, [("0", b"head")])
    assert 0 < sync.pttl(keys.flight("f")) <= 400
    assert 0 < sync.pttl(keys.flight_parts("f", token)) <= 400


async def test_a_server_that_lost_its_scripts_is_given_them_again(
    valkey: RealValkey, sync: Redis, connect: Any
) -> None:
    leader: FlightLog = await log_of(connect, valkey.url, "w1")
    sync.script_flush()
    assert (await leader.board("f", "a")).leads


async def test_a_server_that_refuses_counts_as_away(valkey: RealValkey, sync: Redis, connect: Any) -> None:
    leader: FlightLog = await log_of(connect, valkey.url, "w1")
    sync.set(keys.flight("f"), "of another type")
    with pytest.raises(StateAway):
        await leader.board("f", "a")
