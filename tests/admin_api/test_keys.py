"""Keys through the API: what they may, rotation with overlap, versions, pages; and that Redis has the same."""

import pytest

from admin_api.services.old_secrets import end_old_secrets
from gateway.config.keys import digest_of
from gateway.config.snapshot import decode_key_entry
from gateway.state import keys as redis_keys
from tests.admin_api.test_ledger import record
from tests.admin_api.test_usage_sums import BEGAN, keep, price


async def entry_of(redis, plane, secret):
    """What workers see of a secret; None when it is no key."""
    blob = await redis.hget(redis_keys.key(digest_of(secret, plane.pepper)), "e")
    return blob and decode_key_entry(blob)


async def make_key(admin, **body):
    answer = await admin.post("/api/keys", json={"name": "k", **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_what_a_key_may_reach_workers_see(admin, plane, redis):
    key = await make_key(
        admin, allowedProviders=["openai"], allowedEndpoints=["/v1/chat/*"], allowedIps=["10.0.*.*", "::1"],
        budgetUsd=2, warningThreshold=0.5,
    )  # fmt: skip
    entry = await entry_of(redis, plane, key["key"])
    assert entry.allowed_providers == ("openai",)
    assert entry.allowed_endpoints == ("/v1/chat/*",)
    assert entry.allowed_ips == ("10.0.*.*", "::1")
    assert entry.warn_nano_usd == 1_000_000_000
    await admin.patch(f"/api/keys/{key['id']}", json={"allowedIps": None, "warningThreshold": 0})
    entry = await entry_of(redis, plane, key["key"])
    assert (entry.allowed_ips, entry.warn_nano_usd) == ((), 0)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"allowedIps": ["10.0.0.0/33"]}, "allowedIps"), ({"allowedIps": ["example.org"]}, "allowedIps"),
        ({"allowedIps": ["10.*.0.1"]}, "allowedIps"), ({"allowedEndpoints": ["v1/chat"]}, "allowedEndpoints"),
        ({"warningThreshold": 1.5}, "warningThreshold"), ({"digest": "0" * 64}, "digest"), ({"countedAs": "x"}, "countedAs"),
    ],
)  # fmt: skip
async def test_what_makes_no_sense_is_refused_by_name(admin, body, field):
    answer = await admin.post("/api/keys", json={"name": "k", **body})
    assert answer.status_code == 400
    assert field in answer.text


async def test_a_rotated_key_has_two_secrets_for_a_while_that_count_as_one(admin, plane, redis):
    key = await make_key(admin, rpm=5)
    rotated = (await admin.post(f"/api/keys/{key['id']}/rotate", json={"overlapS": 60})).json()
    assert rotated["key"] not in (key["key"], rotated.get("hint"))
    old, new = await entry_of(redis, plane, key["key"]), await entry_of(redis, plane, rotated["key"])
    first_digest = digest_of(key["key"], plane.pepper)
    assert old.id == new.id == key["id"]
    assert old.counted_as == new.counted_as == first_digest
    assert old.version == new.version == 2
    assert plane.now() < old.expires_at <= plane.now() + 60
    assert new.expires_at == 0
    shown = (await admin.get(f"/api/keys/{key['id']}")).json()
    assert shown["oldSecretUntil"] == pytest.approx(old.expires_at)
    assert rotated["key"] not in str(shown)


async def test_a_second_rotation_ends_the_first_secret_and_goes_on_counting_there(admin, plane, redis):
    first = await make_key(admin)
    second = (await admin.post(f"/api/keys/{first['id']}/rotate")).json()["key"]
    third = (await admin.post(f"/api/keys/{first['id']}/rotate")).json()["key"]
    assert await entry_of(redis, plane, first["key"]) is None
    assert (await entry_of(redis, plane, second)).expires_at > 0
    assert (await entry_of(redis, plane, third)).counted_as == digest_of(first["key"], plane.pepper)


async def test_without_overlap_the_secret_before_ends_at_once(admin, plane, redis):
    key = await make_key(admin)
    new = (await admin.post(f"/api/keys/{key['id']}/rotate", json={"overlapS": 0})).json()["key"]
    assert await entry_of(redis, plane, key["key"]) is None
    assert (await entry_of(redis, plane, new)).expires_at == 0


async def test_deleting_or_revoking_a_rotated_key_ends_both_secrets(admin, plane, redis):
    for end in ("delete", "revoke"):
        key = await make_key(admin)
        new = (await admin.post(f"/api/keys/{key['id']}/rotate")).json()["key"]
        if end == "delete":
            await admin.delete(f"/api/keys/{key['id']}")
        else:
            await admin.patch(f"/api/keys/{key['id']}", json={"isActive": False})
        assert await entry_of(redis, plane, key["key"]) is None
        assert await entry_of(redis, plane, new) is None


async def test_when_the_overlap_is_over_the_old_secret_leaves_redis_and_the_key(admin, plane, redis):
    key = await make_key(admin)
    await admin.post(f"/api/keys/{key['id']}/rotate", json={"overlapS": 60})
    await end_old_secrets(plane)
    assert await entry_of(redis, plane, key["key"]) is not None
    now = plane.now()
    plane.now = lambda: now + 61
    await end_old_secrets(plane)
    assert await plane.publisher.publish(60.0)
    assert await entry_of(redis, plane, key["key"]) is None
    assert (await admin.get(f"/api/keys/{key['id']}")).json()["oldSecretUntil"] is None


async def test_a_republish_of_everything_keeps_the_secret_before(admin, plane, redis):
    key = await make_key(admin)
    await admin.post(f"/api/keys/{key['id']}/rotate")
    await redis.flushall()
    assert await plane.publisher.publish(60.0)
    assert await plane.publisher.republish_all()
    assert await entry_of(redis, plane, key["key"]) is not None


async def test_who_saw_an_older_key_is_told_and_changes_nothing(admin):
    key = await make_key(admin)
    path = f"/api/keys/{key['id']}"
    changed = await admin.patch(path, json={"rpm": 5}, headers={"if-match": '"1"'})
    assert changed.headers["etag"] == '"2"'
    for answer in (
        await admin.patch(path, json={"rpm": 6, "version": 1}),
        await admin.post(f"{path}/rotate", json={"version": 1}),
        await admin.delete(path, headers={"if-match": '"1"'}),
    ):
        assert (answer.status_code, answer.json()["error"]["version"]) == (409, 2)
    assert (await admin.get(path)).json()["rpm"] == 5


async def test_keys_are_listed_in_pages_newest_first_and_found_by_name(admin, plane):
    start = plane.now()
    for number in range(5):
        plane.now = lambda number=number: start + number // 2  # some at the same instant
        await make_key(admin, name=f"team-{number}")
    seen, cursor = [], ""
    while cursor is not None:
        page = (await admin.get("/api/keys", params={"limit": 2, "cursor": cursor, "search": "TEAM"})).json()
        seen += page["keys"]
        cursor = page["nextCursor"]
    assert len({key["id"] for key in seen}) == len(seen) == 5
    assert [key["createdAt"] for key in seen] == sorted((key["createdAt"] for key in seen), reverse=True)
    assert (await admin.get("/api/keys", params={"cursor": "nonsense:x"})).status_code == 400


async def test_keys_come_with_what_they_used_and_spent(admin, plane):
    plane.now = lambda: BEGAN + 1000
    key = await make_key(
        admin, budgetUsd=2, budgetPeriod="daily", secondBudgetUsd=9, secondBudgetPeriod="total", warningThreshold=0.5
    )
    idle = await make_key(admin)
    await price(plane, "local/m1", 1.0)
    await keep(plane, *(record(number, key_id=key["id"]) for number in range(3)))
    shown = {one["id"]: one for one in (await admin.get("/api/keys?range=7d")).json()["keys"]}
    assert (shown[key["id"]]["usage"]["requests"], shown[key["id"]]["usage"]["costUsd"]) == (3, 0.00045)
    assert [(one["period"], one["spentUsd"], one["limitUsd"]) for one in shown[key["id"]]["budgets"]] == [
        ("daily", 0.00045, 2.0), ("total", 0.00045, 9.0),
    ]  # fmt: skip
    assert (shown[idle["id"]]["usage"]["requests"], shown[idle["id"]]["budgets"]) == (0, [])
    one = (await admin.get(f"/api/keys/{key['id']}?range=all")).json()
    assert [point["requests"] for point in one["trend"]] == [3]
    assert "usage" not in (await admin.get(f"/api/keys/{key['id']}")).json()
