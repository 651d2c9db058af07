"""Roll-ups say what the rows say, whatever is repeated, replaced, folded or asked late."""

import random

import pytest

from admin_api.services.keep_records import keep_records
from admin_api.store import usage_sums
from admin_api.store.prices import PriceRow, prices
from admin_api.store.usage_sums import (
    HOUR,
    bucket_of,
    fold_hours,
    load_by_name,
    load_ever,
    load_latencies,
    load_series,
    load_spent,
    load_sums,
    most_of,
    percentile,
)
from gateway.domain.record import encode_record
from gateway.domain.usage import Usage
from tests.admin_api.test_ledger import query, record

pytestmark = pytest.mark.both_databases
BEGAN = 1_800_000_000.0
DAY = 86_400


async def keep(plane, *records):
    return await keep_records(plane, [encode_record(one) for one in records])


async def price(plane, model, usd, valid_from=0.0):
    async with plane.change() as change:
        row = PriceRow(f"{model}@{valid_from}", model, valid_from, usd, usd, None, None, None, False, 0.0, 1)
        await prices.insert(change.connection, row)


async def test_a_request_costs_what_was_asked_for_it_at_the_time(plane):
    await price(plane, "local/m1", 1.0)
    await price(plane, "local/m1", 2.0, BEGAN + 10)
    await keep(plane, record(1), record(9), record(10), record(11))
    assert query(plane, "SELECT cost_nano_usd FROM request_records ORDER BY id") == [
        (150_000,), (150_000,), (300_000,), (300_000,),
    ]  # fmt: skip


async def test_a_price_is_found_under_every_prefix_of_the_provider(plane):
    await price(plane, "ds/house-model", 1.0)
    await keep(plane, record(1, provider="deepseek", model="house-model"))
    assert query(plane, "SELECT cost_nano_usd FROM request_records") == [(150_000,)]


async def test_a_row_gives_way_to_one_that_knows_more_and_never_to_one_that_knows_less(plane):
    lost = record(1, state="lost", status=0, usage=Usage(7, 0, estimated=True))
    guessed = record(1, usage=Usage(90, 40, estimated=True))
    known = record(1)
    for one, state, tokens in (
        (lost, "lost", 7), (guessed, "estimated", 90), (known, "final", 100), (guessed, "final", 100), (lost, "final", 100),
    ):  # fmt: skip
        await keep(plane, one)
        assert query(plane, "SELECT state, input_tokens FROM request_records") == [(state, tokens)]
        async with plane.database.read() as connection:
            sums = await load_sums(connection, "all", BEGAN)
        assert (sums["requests"], sums["input_tokens"], sums["estimated"]) == (1, tokens, state != "final")


async def test_of_two_in_one_batch_the_one_that_knows_more_is_kept(plane):
    await keep(plane, record(1, usage=Usage(90, 40, estimated=True)), record(1), record(2))
    assert query(plane, "SELECT id, state FROM request_records ORDER BY id") == [
        ("0190-000001", "final"), ("0190-000002", "final"),
    ]  # fmt: skip


async def test_each_kind_adds_up_to_the_rows_before_and_after_hours_become_days(plane):
    chance = random.Random(3)
    records = [
        record(
            number,
            at=BEGAN + chance.random() * 20 * DAY,
            provider=chance.choice(("local", "other")),
            model=chance.choice(("m1", "m2")),
            connection_id=chance.choice(("c1", "c2", "c3")),
            key_id=f"k{chance.randrange(40)}",
            combo=chance.choice(("", "house")),
            first_byte_ms=chance.random() * 5000,
            duration_ms=5000.0,
        )
        for number in range(400)
    ]
    for start in range(0, 400, 50):
        await keep(plane, *records[start : start + 50])
    rows = query(plane, "SELECT provider, model, connection_id, key_id, combo FROM request_records")
    columns = {"provider": 0, "connection": 2, "key": 3, "combo": 4}

    async def check():
        async with plane.database.read() as connection:
            for kind, column in columns.items():
                found = {
                    name: sums["requests"] for name, sums in await load_by_name(connection, kind, BEGAN - DAY, 100)
                }
                wanted = [row[column] for row in rows if kind != "combo" or row[column]]
                assert found == {name: wanted.count(name) for name in set(wanted)}, kind
            models = dict(await load_by_name(connection, "model", BEGAN - DAY, 100))
            assert sum(sums["requests"] for sums in models.values()) == 400
            assert set(models) == {"local/m1", "local/m2", "other/m1", "other/m2"}
            daily = await load_series(connection, BEGAN - DAY, DAY)
            assert sum(sums["input_tokens"] for _, sums in daily) == 400 * 100
            counts = await load_latencies(connection, BEGAN - DAY)
            assert sum(counts["local", "first_byte"].values()) + sum(counts["other", "first_byte"].values()) == 400
            ever = await load_ever(connection, ["k1", "nobody"])
            assert ever["k1"]["requests"] == [row[3] for row in rows].count("k1")
            assert "nobody" not in ever

    await check()
    for days in (5, 5, 30):  # again with nothing new, then all
        async with plane.database.write() as connection:
            await fold_hours(connection, BEGAN + days * DAY)
        await check()
    assert query(plane, "SELECT COUNT(*) FROM usage_sums WHERE span = 'h'") == [(0,)]
    await keep(plane, record(999, key_id="k1", first_byte_ms=1.0))  # late, into a day that was folded
    async with plane.database.write() as connection:
        await fold_hours(connection, BEGAN + 30 * DAY)
    async with plane.database.read() as connection:
        assert (await load_sums(connection, "all", BEGAN - DAY))["requests"] == 401


async def test_any_range_says_what_the_rows_say_while_hours_grow_old(plane):
    """Forty days, looked at every few hours as the job does, from instants that views ask for."""
    chance = random.Random(7)
    began, end = int(BEGAN) // DAY * DAY, int(BEGAN) // DAY * DAY + 40 * DAY + 20_000
    moments = sorted(chance.uniform(began, end) for _ in range(300))
    for number, at in enumerate(moments):
        late = at - 5 * DAY if number % 50 == 0 else at  # some come days after they were
        await keep(plane, record(number, at=max(late, began), first_byte_ms=10.0, connection_id=f"c{number % 3}"))
        if number % 10 == 0:
            async with plane.database.write() as connection:
                await fold_hours(connection, at)
    rows = [(at, name) for at, name in query(plane, "SELECT at, connection_id FROM request_records")]
    hours = [end // HOUR * HOUR - hours * HOUR for hours in (1, 5, 23, 30)]
    days = [began + days * DAY for days in (0, 1, 9, 17, 25, 33, 39, 40)]
    for since in (0, *days, *hours):
        wanted = [name for at, name in rows if at >= since]
        async with plane.database.read() as connection:
            assert (await load_sums(connection, "all", since))["requests"] == len(wanted), since
            assert (await load_sums(connection, "connection", since, "c1"))["requests"] == wanted.count("c1")
            found = {name: sums["requests"] for name, sums in await load_by_name(connection, "connection", since, 9)}
            assert found == {name: wanted.count(name) for name in set(wanted)}, since
            counts = await load_latencies(connection, since)
            assert sum(counts.get(("local", "duration"), {}).values()) == len(wanted)
            daily = await load_series(connection, since, DAY)
            assert [at for at, _ in daily] == sorted({int(at) // DAY * DAY for at, _ in rows if at >= since})
            assert sum(sums["requests"] for _, sums in daily) == len(wanted)
            if since in hours:
                hourly = await load_series(connection, since, HOUR)
                assert [at for at, _ in hourly] == sorted({int(at) // HOUR * HOUR for at, _ in rows if at >= since})


async def test_what_a_key_has_spent_in_some_days(plane):
    await price(plane, "local/m1", 1.0)
    for number, days in enumerate((0, 0, 1, 2)):
        await keep(plane, record(number, at=BEGAN + days * DAY))
    first = int(BEGAN) // DAY * DAY
    async with plane.database.read() as connection:
        assert await load_spent(connection, ["k1", "k2"], [first, first + DAY]) == {"k1": 450_000}
        assert await load_spent(connection, ["k1"], None) == {"k1": 600_000}


def test_a_percentile_of_buckets_is_good_to_a_fifth():
    chance = random.Random(5)
    times = sorted(chance.lognormvariate(6, 1.2) for _ in range(5000))
    counts = {}
    for ms in times:
        counts[bucket_of(ms)] = counts.get(bucket_of(ms), 0) + 1
    for share in (0.5, 0.95, 0.99):
        exact = times[int(len(times) * share) - 1]
        assert exact <= percentile(counts, share) <= exact * 1.2
    assert percentile({}, 0.5) is None
    assert bucket_of(0.2) == 0
    assert bucket_of(1e12) == usage_sums.LAST_BUCKET
    assert all(most_of(bucket_of(ms)) >= ms for ms in (1.0, 1.19, 2.0, 4096.0, 77_777.0))
