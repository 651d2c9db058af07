"""The settings."""

import json
import re
import sqlite3
import typing
from contextlib import closing

import httpx
import msgspec
import pytest
from playwright.sync_api import expect

from admin_api.resources.settings import SettingsBody
from tests.support.product import wait_for
from tests.support.seed_system import insert, make_seed_database

expect.set_options(timeout=30_000)
TABS = ("security", "users", "routing", "resilience", "ai", "network", "storage", "appearance")
NOT_TO_BE_SET = {"version", "setupComplete", "requireLogin"}
"""Which version is changed, that the first start is over, and what has one value only."""


def card_of(page, title):
    return page.locator(".card", has=page.get_by_role("heading", name=title, exact=True))


def test_no_tab_breaks_wcag(dashboard):
    for tab in TABS:
        page = dashboard.open(f"settings/{tab}")
        page.locator(".settings .card").first.wait_for()
        assert dashboard.axe() == [], tab


def test_no_tab_is_wider_than_a_phone(visit, session):
    it = visit(session, viewport={"width": 390, "height": 844})
    for tab in TABS:
        page = it.open(f"settings/{tab}")
        page.locator(".settings .card").first.wait_for()
        assert it.has_no_sideways_scroll(), tab
        expect(page.locator(".tabs [aria-current]")).to_be_in_viewport(ratio=0.5)


def test_what_is_changed_is_sent_and_nothing_else_is(dashboard, gateway):
    before = gateway.admin.get("/api/settings").json()
    page = dashboard.open("settings/ai")
    card = card_of(page, "Thinking budget")
    card.get_by_label("Thinking", exact=True).select_option("auto")
    card.get_by_role("button", name="Save").click()
    page.get_by_text("Saved", exact=True).wait_for()
    after = gateway.admin.get("/api/settings").json()
    assert after["shaping"]["thinking"] == {**before["shaping"]["thinking"], "mode": "auto"}
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {"shaping", "version"}
    gateway.admin.patch(
        "/api/settings", json={"shaping": {"thinking": before["shaping"]["thinking"]}}
    ).raise_for_status()


def test_a_value_that_the_api_refuses_is_told_at_its_field(dashboard, gateway):
    dashboard.expect(r"status of 400")
    before = gateway.admin.get("/api/settings").json()
    page = dashboard.open("settings/ai")
    card = card_of(page, "Repeated requests")
    field = card.get_by_label("An idempotency key counts for")
    field.fill("90000")
    card.get_by_role("button", name="Save").click()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    assert gateway.admin.get("/api/settings").json() == before
    assert dashboard.axe() == []


def test_a_change_by_somebody_else_is_not_written_over(dashboard, gateway):
    dashboard.expect(r"status of 409")
    page = dashboard.open("settings/ai")
    field = card_of(page, "Repeated requests").get_by_label("An idempotency key counts for")
    field.wait_for()
    # Nothing tells this tab of it: what it has read is old when it writes.
    page.route("**/api/settings", lambda route: route.abort() if route.request.method == "GET" else route.continue_())
    dashboard.expect(r"Failed to (fetch|load resource)|ERR_FAILED")
    gateway.admin.patch("/api/settings", json={"sharing": {"idempotency_window_s": 9.0}}).raise_for_status()
    field.fill("11")
    card_of(page, "Repeated requests").get_by_role("button", name="Save").click()
    page.get_by_text("Somebody else has changed this meanwhile").wait_for()
    assert gateway.admin.get("/api/settings").json()["sharing"]["idempotency_window_s"] == 9.0
    page.unroute("**/api/settings")
    page.get_by_role("button", name="Read anew").click()
    page.get_by_text("Somebody else has changed this meanwhile").wait_for(state="hidden")
    gateway.admin.patch("/api/settings", json={"sharing": {"idempotency_window_s": 5.0}}).raise_for_status()


def test_what_the_config_file_says_cannot_be_changed_here(dashboard, gateway):
    managed = gateway.admin.get("/api/settings").json()["managed"]
    assert "resilience" in managed
    page = dashboard.open("settings/resilience")
    card = card_of(page, "Breakers")
    card.get_by_text("set in the config file").wait_for()
    expect(card.get_by_label("Open for", exact=True)).to_be_disabled()
    expect(card.get_by_role("button", name="Save")).to_have_count(0)


def test_a_backup_is_made_and_deleted_after_a_question(dashboard, gateway):
    page = dashboard.open("settings/storage")
    card = card_of(page, "Backups")
    card.get_by_role("button", name="Make one now").click()
    page.get_by_text("The backup is made").wait_for()
    made = gateway.admin.get("/api/db-backups").json()["backups"][0]
    assert made["reason"] == "manual"
    card.locator("li", has_text="manual").first.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_text("Deleted", exact=True).wait_for()
    assert made["id"] not in [one["id"] for one in gateway.admin.get("/api/db-backups").json()["backups"]]


def test_an_address_list_that_would_shut_out_its_owner_is_refused(dashboard, gateway):
    dashboard.expect(r"status of 4\d\d")
    page = dashboard.open("settings/network")
    card = card_of(page, "Addresses that may come in")
    card.get_by_label("Filter by address").check()
    card.get_by_label("Rule").select_option("whitelist")
    card.get_by_label("Allowed addresses").fill("203.0.113.0/24")
    card.get_by_role("button", name="Save").click()
    expect(card.locator(".problem, .notice.bad").first).to_have_text(re.compile(r"\w"))
    assert gateway.admin.get("/api/settings/ip-filter").json()["enabled"] is False


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_a_role_is_shown_what_it_may_see_and_no_button_that_would_be_refused(visit, gateway, role):
    gateway.admin.post(
        "/api/users", json={"name": f"a-{role}", "role": role, "password": "a long password"}
    ).raise_for_status()
    it = visit()
    page = it.open("settings/routing")
    page.get_by_role("button", name="Log in as another user").click()
    page.get_by_label("User name").fill(f"a-{role}")
    page.get_by_label("Password", exact=True).fill("a long password")
    page.keyboard.press("Enter")
    card_of(page, "Answers").wait_for()
    saves = page.get_by_role("button", name="Save")
    if role == "viewer":
        expect(saves).to_have_count(0)
    else:
        expect(saves.first).to_be_visible()
    it.open("settings/security")
    card_of(page, "Your password").wait_for()
    expect(page.get_by_role("heading", name="Who is logged in")).to_have_count(0)


def paths_of(kind, path=""):
    for field in msgspec.structs.fields(kind):
        inner = [
            one
            for one in typing.get_args(field.type) or (field.type,)
            if isinstance(one, type) and issubclass(one, msgspec.Struct)
        ]
        if inner:
            yield from paths_of(inner[0], f"{path}{field.encode_name}.")
        else:
            yield path + field.encode_name


def test_every_setting_that_the_api_takes_is_a_field_of_some_page(dashboard):
    shown = set()
    for place in (*(f"settings/{tab}" for tab in TABS), "usage/budgets?tiers=1"):
        page = dashboard.open(place)
        page.locator("[name], [data-setting]").first.wait_for(state="attached")
        page.locator(".settings .card, dialog[open] form").first.wait_for()
        shown |= set(
            page.eval_on_selector_all(
                "[name], [data-setting]", "all => all.map((one) => one.dataset.setting ?? one.getAttribute('name'))"
            )
        )
    assert set(paths_of(SettingsBody)) - NOT_TO_BE_SET - shown == set()


def test_some_of_several_and_a_number_by_name_are_sent(dashboard, gateway):
    before = gateway.admin.get("/api/settings").json()["shaping"]
    page = dashboard.open("settings/ai")
    thinking = card_of(page, "Thinking budget")
    thinking.get_by_text("Rarely changed").click()
    thinking.get_by_label("Most tokens, by provider").fill("openai = 4096\nlocal = 100")
    thinking.get_by_role("button", name="Save").click()
    page.get_by_text("Saved", exact=True).wait_for()
    guards = card_of(page, "Guards")
    guards.get_by_text("Rarely changed").click()
    guards.get_by_label("E-mail").check()
    guards.get_by_label("Phone").check()
    guards.get_by_label("Tools").uncheck()
    assert dashboard.axe() == []
    with page.expect_response(lambda answer: answer.request.method == "PATCH") as answer:
        guards.get_by_role("button", name="Save").click()
    assert answer.value.ok
    after = gateway.admin.get("/api/settings").json()["shaping"]
    assert after["thinking"] == {**before["thinking"], "caps": {"openai": 4096, "local": 100}}
    assert after["pii"] == {**before["pii"], "kinds": ["email", "phone"]}
    assert after["guard"] == {**before["guard"], "scans": ["system", "user"]}
    gateway.admin.patch("/api/settings", json={"shaping": before}).raise_for_status()


def test_a_folded_field_that_the_api_refuses_is_opened(dashboard):
    dashboard.expect(r"status of 400")
    page = dashboard.open("settings/ai")
    card = card_of(page, "Response cache")
    card.get_by_text("Rarely changed").click()
    field = card.get_by_label("A vector may take")
    field.fill("99999")
    card.get_by_text("Rarely changed").click()
    card.get_by_role("button", name="Save").click()
    expect(field).to_be_visible()
    expect(field).to_have_attribute("aria-invalid", "true")


def test_default_parameters_are_added_changed_deleted_and_taken_back(dashboard, gateway):
    page = dashboard.open("settings/ai")
    card = card_of(page, "Default parameters")
    card.get_by_role("button", name="Add defaults").click()
    dialog = page.get_by_role("dialog")
    hostile = "<b>m</b>\u202e*"
    dialog.get_by_label("Models").fill(hostile)
    dialog.get_by_label("Temperature").fill("0.5")
    dialog.get_by_label("Stop at").fill("END")
    assert dashboard.axe() == []
    dialog.get_by_role("button", name="Save").click()
    card.locator("li", has_text="Temperature: 0.5").wait_for()
    made = [{"model": hostile, "temperature": 0.5, "stop": ["END"]}]

    def stored():
        return [
            {name: value for name, value in one.items() if value is not None}
            for one in gateway.admin.get("/api/settings").json()["shaping"]["defaults"]
        ]

    assert stored() == made
    card.get_by_role("button", name="Delete <b>m</b>").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    card.get_by_text("No defaults yet").wait_for()
    assert stored() == []
    page.get_by_role("button", name="Undo").click()
    card.locator("li", has_text="Temperature: 0.5").wait_for()
    assert stored() == made
    gateway.admin.patch("/api/settings", json={"shaping": {"defaults": []}}).raise_for_status()


def test_a_user_is_added_changed_and_deleted_after_a_question(dashboard, gateway, visit):
    page = dashboard.open("settings/users?user=%2B")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("User").fill("new-colleague")
    dialog.get_by_label("Role").select_option("operator")
    dialog.get_by_label("New password").fill("short")
    dashboard.expect(r"status of 4\d\d")
    dialog.get_by_role("button", name="Add").click()
    expect(dialog.get_by_label("New password")).to_have_attribute("aria-invalid", "true")
    assert dashboard.axe() == []
    dialog.get_by_label("New password").fill("a long password")
    dialog.get_by_role("button", name="Add").click()
    row = page.get_by_role("row", name="new-colleague")
    expect(row).to_contain_text("Operator")
    other = visit()
    theirs = other.open("settings/security")
    theirs.get_by_role("button", name="Log in as another user").click()
    theirs.get_by_label("User name").fill("new-colleague")
    theirs.get_by_label("Password", exact=True).fill("a long password")
    theirs.keyboard.press("Enter")
    card_of(theirs, "Your password").wait_for()
    expect(theirs.get_by_role("link", name="Users")).to_have_count(0)
    row.click()
    dialog.get_by_label("Role").select_option("viewer")
    dialog.get_by_label("May log in").uncheck()
    dialog.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("Viewer")
    user = next(one for one in gateway.admin.get("/api/users").json()["users"] if one["name"] == "new-colleague")
    assert (user["role"], user["isActive"]) == ("viewer", False)
    row.get_by_role("button", name="Delete new-colleague").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)
    assert "new-colleague" not in [one["name"] for one in gateway.admin.get("/api/users").json()["users"]]
    other.expect(r"status of 401")


def test_the_last_owner_cannot_be_deleted_and_is_told_why(dashboard, gateway):
    dashboard.expect(r"status of 409")
    page = dashboard.open("settings/users")
    page.get_by_role("row", name="you").get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_text("this is the last owner").wait_for()


def test_a_token_is_shown_once_works_within_its_paths_and_is_revoked(dashboard, gateway):
    hostile = "<script>x</script>\u202e"
    page = dashboard.open("settings/users")
    page.get_by_role("button", name="Make a token").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(hostile)
    dialog.get_by_label("Paths").fill("/api/usage\nnonsense")
    dashboard.expect(r"status of 400")
    dialog.get_by_role("button", name="Add").click()
    expect(dialog.get_by_label("Paths")).to_have_attribute("aria-invalid", "true")
    dialog.get_by_label("Paths").fill("/api/usage")
    dialog.get_by_label("Last day").fill("2031-05-01")
    assert dashboard.axe() == []
    dialog.get_by_role("button", name="Add").click()
    secret = dialog.locator(".copy-line code").inner_text()
    assert dashboard.axe() == []
    as_token = {"authorization": f"Bearer {secret}"}
    assert httpx.get(f"{gateway.url}/api/usage/budget", headers=as_token, timeout=60).status_code == 200
    assert httpx.get(f"{gateway.url}/api/keys", headers=as_token, timeout=60).status_code == 403
    dialog.get_by_role("button", name="Close").click()
    row = page.get_by_role("row").filter(has_text="<script>x</script>")
    expect(row).to_contain_text("/api/usage")
    wait_for(lambda: secret not in page.content(), 10)
    assert dashboard.axe() == []
    row.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)
    assert httpx.get(f"{gateway.url}/api/usage/budget", headers=as_token, timeout=60).status_code == 401


def test_a_seed_system_is_looked_at_and_moves_in_with_a_report(dashboard, gateway, tmp_path):
    source = make_seed_database(tmp_path / "storage.sqlite")
    with closing(sqlite3.connect(source)) as database:
        for table in ("provider_nodes", "provider_connections", "combos", "api_keys", "domain_fallback_chains"):
            database.execute(f"DELETE FROM {table}")
        database.execute("DELETE FROM key_value WHERE namespace != 'modelAliases'")
        insert(database, "combos", id="b1", name="<b>nowhere</b>", data=json.dumps({"models": ["cursor/default"]}))
        database.commit()
    page = dashboard.open("settings/storage")
    card = card_of(page, "Import")
    card.get_by_role("button", name="Check only").click()
    card.get_by_text("Choose a file first.").wait_for()
    card.get_by_label("Database file").set_input_files(source)
    card.get_by_role("button", name="Check only").click()
    card.get_by_text("This would be imported. Nothing was changed.").wait_for()
    expect(card.locator("li", has_text="<b>nowhere</b>")).to_be_visible()
    assert "fast" not in gateway.admin.get("/api/models/alias").json()["aliases"]
    assert dashboard.axe() == []
    card.get_by_role("button", name="Import").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert "fast" not in gateway.admin.get("/api/models/alias").json()["aliases"]
    card.get_by_role("button", name="Import").click()
    page.get_by_role("dialog").get_by_role("button", name="Import").click()
    card.get_by_text("This was imported.").wait_for()
    assert gateway.admin.get("/api/models/alias").json()["aliases"]["fast"] == "local/m1"
    page.get_by_text("pre-import").first.wait_for()
    gateway.admin.delete("/api/models/alias", params={"alias": "fast"}).raise_for_status()


def test_a_file_that_is_no_database_is_refused_in_words(dashboard, tmp_path):
    dashboard.expect(r"status of 400")
    (tmp_path / "storage.sqlite").write_bytes(b"no database" * 1000)
    page = dashboard.open("settings/storage")
    card = card_of(page, "Import")
    card.get_by_label("Database file").set_input_files(tmp_path / "storage.sqlite")
    card.get_by_role("button", name="Check only").click()
    expect(card.get_by_role("alert")).to_contain_text("file:")


def test_a_proxy_that_does_not_work_is_not_taken_and_one_is_taken_away_after_a_question(dashboard, gateway):
    proxy = "http://someone:hunter2@127.0.0.1:9"
    body = {"level": "provider", "id": "unconnected", "proxy": proxy}
    gateway.admin.put("/api/settings/proxy", json=body).raise_for_status()
    page = dashboard.open("settings/network")
    card = card_of(page, "Proxies on the way to providers")
    row = card.locator("li", has_text="unconnected")
    expect(row).to_contain_text("http://127.0.0.1:9")
    assert "hunter2" not in page.content()
    card.get_by_label("Address of the proxy").fill("http://127.0.0.1:9")
    card.get_by_label("For the provider").fill("local")
    card.get_by_role("button", name="Test and save").click()
    expect(card.get_by_role("alert")).to_have_text(re.compile(r"\w"))
    assert list(gateway.admin.get("/api/settings/proxy").json()["providers"]) == ["unconnected"]
    assert dashboard.axe() == []
    row.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(row).to_have_count(0)
    assert gateway.admin.get("/api/settings/proxy").json()["providers"] == {}
