"""The IP filter through the API: lists, bans, and that nobody shuts himself out by mistake."""

import pytest

from tests.support.admin_plane import published_snapshot

PATH = "/api/settings/ip-filter"


async def put(admin, **body):
    return await admin.put(PATH, json=body)


async def test_lists_and_bans_reach_the_workers(admin, redis):
    answer = await put(
        admin, enabled=True, blacklist=["203.0.113.0/24"], rpm=60, tempBan={"ip": "198.51.100.1", "reason": "abuse"}
    )
    assert answer.status_code == 200
    assert answer.json()["published"]
    await put(admin, addBlacklist="10.9.*.*", removeBlacklist=["203.0.113.0/24"])
    rules = (await published_snapshot(redis)).settings.ip_filter
    assert (rules.enabled, rules.mode, rules.blacklist, rules.rpm) == (True, "blacklist", ("10.9.*.*",), 60)
    assert rules.temp_bans[0].reason == "abuse"
    shown = (await admin.get(PATH)).json()
    assert shown["tempBans"][0]["ip"] == "198.51.100.1"
    await put(admin, removeBan="198.51.100.1")
    assert (await published_snapshot(redis)).settings.ip_filter.temp_bans == ()


async def test_what_would_shut_out_who_sets_it_is_refused_unless_meant(admin):
    for body in ({"enabled": True, "mode": "whitelist"}, {"enabled": True, "blacklist": ["127.0.0.0/8"]}):
        answer = await put(admin, **body)
        assert answer.status_code == 409
        assert not (await admin.get(PATH)).json()["enabled"]
    assert (await put(admin, enabled=True, mode="whitelist", force=True)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"blacklist": ["x"]},
        {"tempBan": {"ip": "1.2.3"}},
        {"mode": "greylist"},
        {"rpm": -1},
        {"addWhitelist": ["10.*.1.1"]},
        {"on": True},
    ],
)
async def test_what_makes_no_sense_is_refused(admin, body):
    assert (await put(admin, **body)).status_code == 400


async def test_an_older_version_changes_nothing_and_the_change_is_in_the_log(admin):
    first = (await put(admin, enabled=True)).json()
    assert (await put(admin, enabled=False, version=0)).status_code == 409
    assert (await put(admin, enabled=False, version=first["version"])).status_code == 200
    entries = (await admin.get("/api/compliance/audit-log", params={"object_id": "ipFilter"})).json()["entries"]
    assert [entry["action"] for entry in entries] == ["setting.changed", "setting.created"]
