"""Every change leaves its row in the audit log: who, what, before and after, and no secret."""

import msgspec
import pytest

from admin_api.auth.actor import CONFIG_FILE
from admin_api.services.masking import MASK, MASK_CHANGED, is_secret_name, masked_change
from admin_api.store.combos import ComboRow, combos
from admin_api.store.trail import MAX_ENTRIES
from tests.support.admin_plane import PASSWORD

SECRET = "sk-canary-of-a-connection-0001"


async def entries(admin, **words):
    answer = await admin.get("/api/compliance/audit-log", params=words)
    assert answer.status_code == 200
    return answer.json()["entries"]


async def test_a_change_through_the_api_tells_who_and_what_before_and_after(admin):
    combo = (await admin.post("/api/combos", json={"name": "c", "models": ["openai/gpt-4o"]})).json()
    await admin.put(f"/api/combos/{combo['id']}", json={"strategy": "random"})
    await admin.delete(f"/api/combos/{combo['id']}")
    deleted, changed, created = await entries(admin, kind="combo")
    assert [entry["action"] for entry in (created, changed, deleted)] == [
        "combo.created",
        "combo.changed",
        "combo.deleted",
    ]
    assert (created["before"], created["after"]["name"]) == (None, "c")
    assert (changed["before"]["strategy"], changed["after"]["strategy"]) == ("priority", "random")
    assert "name" not in changed["before"]
    assert (deleted["before"]["strategy"], deleted["after"]) == ("random", None)
    assert changed["object"] == {"kind": "combo", "id": combo["id"], "name": "c"}
    assert (changed["actor"]["kind"], changed["actor"]["name"]) == ("token", "OMNIROUTE_ADMIN_TOKEN")
    assert changed["revision"] > created["revision"]


async def test_a_session_is_named_as_the_one_who_did_it(client, admin):
    answer = await client.post("/api/auth/login", json={"password": PASSWORD})
    await client.post("/api/keys", json={"name": "k"}, headers={"x-csrf-token": answer.json()["csrfToken"]})
    [entry] = await entries(admin, action="key.created", actor="admin")
    assert (entry["actor"]["kind"], entry["actor"]["role"]) == ("user", "owner")
    assert entry["actor"]["address"]


async def test_a_change_that_fails_leaves_no_row(admin, plane):
    before = await entries(admin)
    row = ComboRow("1", "c", [], "priority", {}, True, False, 0, 0)

    async def fail_half_way():
        async with plane.change() as change:
            await combos.insert(change.connection, row)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail_half_way()
    assert await entries(admin) == before


async def test_the_config_file_is_an_actor_too_and_a_flood_of_rows_is_counted_not_kept(admin, plane):
    async with plane.acting_as(CONFIG_FILE).change() as change:
        for number in range(MAX_ENTRIES + 5):
            await combos.insert(
                change.connection, ComboRow(str(number), f"c{number}", [], "priority", {}, True, False, 0, 0)
            )
    newest = (await entries(admin, actor="config file"))[0]
    assert newest["object"]["name"] == "and 5 rows more"
    assert newest["actor"]["kind"] == "config-file"


async def test_secrets_are_masked_and_a_new_one_is_told_as_changed(admin):
    body = {"provider": "openai", "name": "n", "apiKey": SECRET}
    made = (await admin.post("/api/providers", json=body)).json()
    made = made.get("connection", made)
    await admin.put(f"/api/providers/{made['id']}", json={"apiKey": SECRET + "x"})
    answer = await admin.get("/api/compliance/audit-log", params={"kind": "connection"})
    assert SECRET not in answer.text
    changed, created = answer.json()["entries"]
    assert created["after"]["api_key"] == MASK
    assert changed["after"]["api_key"] == MASK_CHANGED


async def test_the_log_is_paged_newest_first_by_cursor(admin):
    for number in range(5):
        await admin.post("/api/keys", json={"name": f"k{number}"})
    seen, cursor = [], ""
    while True:
        page = (
            await admin.get("/api/compliance/audit-log", params={"action": "key.", "limit": 2, "cursor": cursor})
        ).json()
        seen += [entry["object"]["name"] for entry in page["entries"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert seen[:5] == ["k4", "k3", "k2", "k1", "k0"]


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        ("api_key", True), ("apiKey", True), ("accessToken", True), ("password_hash", True), ("previous_digest", True),
        ("clientSecret", True), ("proxy", True), ("credentials", True), ("Authorization", True), ("sealed_key", True),
        ("api_key_hint", False), ("max_tokens", False), ("tokens", False), ("key_id", False), ("proxied", False),
    ],
)  # fmt: skip
def test_a_secret_is_known_by_the_name_of_its_field(name, is_secret):
    assert is_secret_name(name) is is_secret


def test_a_secret_is_known_inside_documents_headers_and_urls():
    before = {
        "extra": {"refreshToken": "r", "customHeaders": {"X-Any": "h"}},
        "base_url": "https://me:pw@host/v1",
        "n": 1,
    }
    old, new = masked_change(before, None)
    text = msgspec.json.encode(old).decode()
    assert new is None
    assert old["n"] == 1
    for secret in ('"r"', '"h"', "pw@"):
        assert secret not in text


def test_a_long_document_is_told_by_its_fields():
    _, after = masked_change(None, {"models": ["m" * 1000] * 100})
    assert after == {"tooLongToKeep": True, "fields": ["models"]}


async def test_a_row_that_the_config_file_writes_anew_was_changed(admin, plane):
    row = ComboRow("1", "c", [], "priority", {}, True, True, 0, 0)
    async with plane.acting_as(CONFIG_FILE).change() as change:
        await combos.insert(change.connection, row)
    async with plane.acting_as(CONFIG_FILE).change() as change:
        await combos.delete(change.connection, "1")
        await combos.insert(change.connection, msgspec.structs.replace(row, strategy="random"))
    changed, _created = await entries(admin, kind="combo")
    assert changed["action"] == "combo.changed"
    assert (changed["before"], changed["after"]) == ({"strategy": "priority"}, {"strategy": "random"})


async def test_what_a_first_start_makes_is_told(admin):
    made = await entries(admin, actor="omniroute")
    assert [entry["action"] for entry in made] == ["key.created", "setting.created", "user.created"]
    assert {entry["actor"]["kind"] for entry in made} == {"system"}
