"""Equal requests share one answer, in one worker and between workers; who leads may fail, be cut, leave or die."""

import asyncio

import pytest

from gateway.cache.entry import Entry
from gateway.cache.flight import JoinerCall, LeaderLost
from gateway.cache.flights import Flights, Seat
from gateway.domain.errors import Conflict, UpstreamFailed
from gateway.upstream.seam import UpstreamCall, UpstreamFault
from tests.gateway.cache.conftest import MakeFlights
from tests.gateway.state.conftest import until
from tests.support.real_valkey import RealValkey

HEAD = Entry(1.0, 0.0, "openai_chat", True, b"", "text/event-stream", "acme", "c1", "m", "", None, 0, {})


async def board(flights: Flights, fingerprint: str = "a", keep_s: float = 0.0) -> Seat:
    seat = await flights.board("f", fingerprint, keep_s)
    assert seat is not None
    return seat


async def join(flights: Flights, fingerprint: str = "a") -> JoinerCall:
    seat = await board(flights, fingerprint)
    assert seat.call is not None
    return seat.call


async def lead(flights: Flights, keep_s: float = 0.0) -> tuple[Seat, UpstreamCall, JoinerCall]:
    """A leader whose provider has begun a stream: its seat, the provider's call, its own side."""
    seat = await board(flights, keep_s=keep_s)
    assert seat.call is None
    flights.take_off(seat.flight, HEAD, b"[first]", is_whole=False)
    call = UpstreamCall(lambda: None, lambda: None)
    call.feed_head(200, {})
    return seat, call, flights.pump(seat.flight, call, None)


async def read_all(call: JoinerCall) -> bytes:
    await call.head()
    return await call.read_to_end(10_000)


async def read_on(call: JoinerCall) -> None:
    while await call.read():
        pass


async def test_all_that_join_get_what_has_passed_and_then_the_rest(valkey: RealValkey, flights_of: MakeFlights) -> None:
    one, two = await flights_of(valkey.url, "w1"), await flights_of(valkey.url, "w2")
    seat, provider, own = await lead(one)
    here, there, there_too = await join(one), await join(two), await join(two)
    provider.feed(b"[second]")
    readers = [asyncio.create_task(read_all(call)) for call in (here, there, there_too)]
    await asyncio.sleep(0.02)
    late = await join(two)
    provider.feed(b"[third]")
    provider.feed_end()
    assert await own.read_to_end(1000) == b"[second][third]"
    one.land(seat.flight, is_well=True)
    assert await asyncio.gather(*readers, read_all(late)) == [b"[first][second][third]"] * 4
    await until(lambda: not len(one) and not len(two))


async def test_a_part_reaches_followers_before_the_next_one_is_made(
    valkey: RealValkey, flights_of: MakeFlights
) -> None:
    one, two = await flights_of(valkey.url, "w1"), await flights_of(valkey.url, "w2")
    _, provider, _ = await lead(one)
    there = await join(two)
    await there.head()
    assert await there.read() == b"[first]"
    provider.feed(b"[second]")
    assert await there.read() == b"[second]"


async def test_who_joins_before_the_answer_begins_waits_for_it(valkey: RealValkey, flights_of: MakeFlights) -> None:
    one, two = await flights_of(valkey.url, "w1"), await flights_of(valkey.url, "w2")
    seat = await board(one)
    here, there = asyncio.create_task(read_all(await join(one))), asyncio.create_task(read_all(await join(two)))
    await asyncio.sleep(0.05)
    assert not here.done()
    assert not there.done()
    one.take_off(seat.flight, HEAD, b"whole", is_whole=True)
    one.land(seat.flight, is_well=True)
    assert await here == await there == b"whole"


async def test_a_failed_leaders_error_is_everybodys_and_the_next_one_tries_anew(
    valkey: RealValkey, flights_of: MakeFlights
) -> None:
    one, two = await flights_of(valkey.url, "w1"), await flights_of(valkey.url, "w2")
    seat = await board(one, keep_s=60.0)
    here, there = await join(one), await join(two)
    error = UpstreamFailed("no", status=429, code="rate_limit", retry_after_s=7.0, body=b"{}", content_type="a/json")
    one.fail(seat.flight, error)
    one.land(seat.flight, is_well=False)
    for call in (here, there):
        with pytest.raises(UpstreamFailed) as caught:
            await call.head()
        same = caught.value
        assert (same.status, same.code, same.retry_after_s, same.body) == (429, "rate_limit", 7.0, b"{}")
    assert (await board(one)).call is None


async def test_a_cut_is_a_cut_for_all_and_is_not_kept(valkey: RealValkey, flights_of: MakeFlights) -> None:
    one, two = await flights_of(valkey.url, "w1"), await flights_of(valkey.url, "w2")
    seat, provider, own = await lead(one, keep_s=60.0)
    calls = [own, await join(one), await join(two)]
    provider.feed(b"[second]")
    provider.feed_end(UpstreamFault("reset", "cut"))
    for call in calls:
        await call.head()
        with pytest.raises(UpstreamFault, match="cut"):
            await read_on(call)
    one.land(seat.flight, is_well=False)
    await until(lambda: not len(one))
    assert (await board(two)).call is None


async def test_when_the_leader_breaks_off_one_of_those_that_have_sent_nothing_leads(
    valkey: RealValkey, flights_of: MakeFlights
) -> None:
    one, two = await flights_of(valkey.url, "w1"), await flights_of(valkey.url, "w2")
    seat = await board(one)
    calls = [await join(one), await join(two), await join(two)]
    one.fail(seat.flight, None)
    for call in calls:
        with pytest.raises(LeaderLost):
            await call.head()
    seats = await asyncio.gather(board(two), board(two), board(one))
    assert sum(seat.call is None for seat in seats) == 1


async def test_when_the_leaders_worker_dies_those_that_sent_something_end_cut_and_the_others_begin_anew(
    valkey: RealValkey, flights_of: MakeFlights
) -> None:
    one, two = await flights_of(valkey.url, "w1", lease_s=0.3), await flights_of(valkey.url, "w2", lease_s=0.3)
    await lead(one)
    has_sent, has_not = await join(two), await join(two)
    await has_sent.head()
    assert await has_sent.read() == b"[first]"
    has_sent.has_sent = True
    await one.close()  # no lease is renewed any more, and no end is written
    with pytest.raises(UpstreamFault, match="broke off"):
        await has_sent.read()
    with pytest.raises(LeaderLost):
        await has_not.read_to_end(1000)
    assert (await board(two)).call is None


async def test_what_ended_well_is_replayed_within_its_window_and_other_bodies_are_refused(
    valkey: RealValkey, flights_of: MakeFlights
) -> None:
    one, two = await flights_of(valkey.url, "w1"), await flights_of(valkey.url, "w2")
    seat, provider, own = await lead(one, keep_s=1.0)
    provider.feed_end()
    await own.read_to_end(1000)
    one.land(seat.flight, is_well=True)
    await until(lambda: not len(one))
    for flights in (one, two):
        assert await read_all(await join(flights)) == b"[first]"
        with pytest.raises(Conflict):
            await flights.board("f", "other", 1.0)
    await asyncio.sleep(1.1)
    assert (await board(two)).call is None


async def test_another_body_in_flight_is_refused_in_its_worker_and_in_others(
    valkey: RealValkey, flights_of: MakeFlights
) -> None:
    one, two = await flights_of(valkey.url, "w1"), await flights_of(valkey.url, "w2")
    await lead(one)
    for flights in (one, two):
        with pytest.raises(Conflict) as caught:
            await flights.board("f", "other", 0.0)
        assert caught.value.code == "idempotency_key_reused"


async def test_an_answer_too_large_to_share_goes_on_for_its_leader_alone(
    valkey: RealValkey, flights_of: MakeFlights
) -> None:
    one, two = await flights_of(valkey.url, "w1"), await flights_of(valkey.url, "w2")
    seat, provider, own = await lead(one, keep_s=60.0)
    has_sent, has_not, there = await join(one), await join(one), await join(two)
    await has_sent.read()
    has_sent.has_sent = True
    provider.feed(b"x" * 600)
    provider.feed(b"y" * 600)
    await until(lambda: seat.flight.is_too_large)
    late = await join(one)
    provider.feed(b"z" * 600)
    provider.feed_end()
    assert await own.read_to_end(10_000) == b"x" * 600 + b"y" * 600 + b"z" * 600
    one.land(seat.flight, is_well=True)
    with pytest.raises(UpstreamFault, match="longer than"):
        await read_on(has_sent)
    for call in (has_not, there, late):
        with pytest.raises(LeaderLost) as caught:
            await call.read_to_end(10_000)
        assert caught.value.is_too_large
    await until(lambda: not len(one))
    assert (await board(two)).call is None


async def test_the_leader_learns_whether_others_want_its_answer(valkey: RealValkey, flights_of: MakeFlights) -> None:
    one, two = await flights_of(valkey.url, "w1"), await flights_of(valkey.url, "w2")
    seat, _, _ = await lead(one)
    alone: list[bool] = []
    seat.flight.on_alone = lambda: alone.append(True)
    assert not seat.flight.has_others
    here = await join(one)
    assert seat.flight.has_others
    here.cancel()
    assert not seat.flight.has_others
    assert alone
    there = await join(two)
    await until(lambda: seat.flight.has_others)
    alone.clear()
    there.cancel()
    await until(lambda: bool(alone))


async def test_a_callers_leave_reaches_the_provider_and_the_leader_as_what_it_is(
    valkey: RealValkey, flights_of: MakeFlights
) -> None:
    one = await flights_of(valkey.url, "w1")
    _, provider, own = await lead(one)

    class GoneError(Exception):
        pass

    provider.cancel(GoneError())
    with pytest.raises(GoneError):
        await own.read()


async def test_without_the_store_requests_of_a_worker_share_still(
    own_valkey: RealValkey, flights_of: MakeFlights
) -> None:
    one = await flights_of(own_valkey.url, "w1")
    own_valkey.kill()
    seat, provider, own = await lead(one)
    here = await join(one)
    provider.feed_end()
    assert await read_all(here) == b"[first]"
    await own.read_to_end(1000)
    one.land(seat.flight, is_well=True)
    assert not len(one)


async def test_a_store_that_goes_away_costs_followers_their_leader_and_no_more(
    own_valkey: RealValkey, flights_of: MakeFlights
) -> None:
    one, two = await flights_of(own_valkey.url, "w1", lease_s=0.3), await flights_of(own_valkey.url, "w2", lease_s=0.3)
    _, provider, own = await lead(one)
    there = await join(two)
    await there.head()
    own_valkey.kill()
    with pytest.raises(LeaderLost):
        await there.read_to_end(1000)
    provider.feed(b"[second]")
    provider.feed_end()
    assert await own.read_to_end(1000) == b"[second]"
