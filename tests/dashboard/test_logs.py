"""Logs: requests are found, followed and opened; owners read what was changed; viewers see no texts."""

import re
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import expect

from tests.support.product import wait_for

expect.set_options(timeout=30_000)

HOSTILE = "<img src=x onerror=alert(1)> \u202egnp.txt"


@pytest.fixture(scope="module")
def key(gateway):
    """A key of a hostile name, whose texts are stored."""
    made = gateway.admin.post("/api/keys", json={"name": HOSTILE, "storeBodies": "on"})
    assert made.status_code == 201, made.text
    yield made.json()["key"]
    gateway.admin.delete(f"/api/keys/{made.json()['id']}")


@pytest.fixture
def viewer(gateway):
    """The cookie of a viewer's session."""
    person = {"name": "log-viewer", "role": "viewer", "password": "a long enough password"}
    made = gateway.admin.post("/api/users", json=person)
    assert made.status_code == 201, made.text
    session = httpx.post(
        f"{gateway.url}/api/auth/login", json={"username": person["name"], "password": person["password"]}, timeout=60
    )
    assert session.status_code == 200, session.text
    yield session.cookies["auth_token"]
    gateway.admin.delete(f"/api/users/{made.json()['id']}")


def asked(gateway, key, model, **headers):
    """The record of a request that was just made, once the ledger has it."""
    request_id = gateway.new_id()
    gateway.chat(model, key=key, headers={"x-request-id": request_id, **headers})
    return gateway.row(request_id, within_s=30)["id"], request_id


def test_a_request_is_found_by_its_filters_and_tells_its_attempts_its_way_and_its_texts(dashboard, gateway, key):
    record, request_id = asked(gateway, key, "always-on", **{"x-omniroute-explain": "true"})
    wait_for(lambda: gateway.admin.get(f"/api/usage/logs/{record}").json()["bodies"], 30)
    page = dashboard.open("logs")
    page.get_by_role("searchbox", name="Search models").fill(request_id)
    row = page.get_by_role("row", name="always-on")
    expect(row).to_have_count(1)
    expect(page).to_have_url(re.compile(f"search={request_id}"))
    page.get_by_label("Any status").select_option("error")
    page.get_by_text("No request fits these filters").wait_for()
    page.get_by_label("Any status").select_option("ok")
    assert dashboard.axe() == []
    row.focus()
    page.keyboard.press("Enter")
    drawer = page.get_by_role("dialog")
    drawer.get_by_role("heading", name="Attempts").wait_for()
    expect(drawer.locator(".attempts li")).to_have_count(2)
    expect(drawer.locator(".attempts li").first).to_contain_text("server_error 500")
    expect(drawer.locator(".waterfall-bar.failed")).to_have_count(1)
    expect(drawer.locator("ol.candidates li").first).to_contain_text("local/status:500")
    expect(drawer.locator("pre").first).to_contain_text('"content": "Hello"')
    expect(drawer).to_contain_text(HOSTILE)
    assert drawer.locator("img").count() == 0
    assert dashboard.axe() == []
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()


def test_an_address_leads_to_a_request_and_from_there_to_all_of_its_key(dashboard, gateway, key):
    record, _ = asked(gateway, key, "local/ok")
    page = dashboard.open(f"logs?id={record}")
    page.get_by_role("dialog").get_by_role("link", name="<img").click()
    expect(page).to_have_url(re.compile(f"key={quote('<img', safe='')}"))
    expect(page.get_by_label("Key: its name or id")).to_have_value(HOSTILE)
    page.get_by_role("row", name="local/ok").first.wait_for()


def test_a_request_that_is_not_there_is_told_so(dashboard):
    dashboard.expect(r"status of 404")
    page = dashboard.open("logs?id=never-was")
    page.get_by_text("It is not there").wait_for()


def test_the_list_follows_what_comes_and_stands_still_while_paused(dashboard, gateway, key):
    page = dashboard.open("logs?model=followed-model")
    page.get_by_text("No request fits these filters").wait_for()
    page.get_by_text("Live", exact=True).wait_for()
    asked(gateway, key, "local/followed-model")
    rows = page.get_by_role("row", name="local/followed-model")
    expect(rows).to_have_count(1)
    page.get_by_role("button", name="Pause").click()
    asked(gateway, key, "local/followed-model")
    page.get_by_role("button", name="new request").wait_for()
    expect(rows).to_have_count(1)
    page.get_by_role("button", name="Follow").click()
    expect(rows).to_have_count(2)


def test_further_pages_come_as_the_reader_goes_down(dashboard, gateway, key):
    for _ in range(60):
        gateway.chat("local/many-of-these", key=key)
    wait_for(lambda: len(gateway.admin.get("/api/usage/logs?model=many-of-these&limit=100").json()["logs"]) == 60, 60)
    page = dashboard.open("logs?model=many-of-these")
    page.get_by_role("row", name="local/many-of-these").first.focus()
    page.keyboard.press("End")
    expect(page.locator("table[aria-rowcount='61']")).to_have_count(1)


def test_an_owner_reads_what_was_changed_and_can_send_its_address(dashboard, gateway):
    made = gateway.admin.post("/api/combos", json={"name": "audited", "models": ["local/m1"]})
    assert made.status_code == 201, made.text
    gateway.admin.put(f"/api/combos/{made.json()['id']}", json={"models": ["local/m2"]})
    page = dashboard.open("logs")
    page.get_by_role("link", name="Audit").click()
    page.get_by_label("Any action").select_option("combo.")
    page.get_by_role("row", name="combo.changed").first.click()
    change = page.get_by_role("dialog").get_by_role("row", name="models")
    expect(change).to_contain_text("local/m1")
    expect(change).to_contain_text("local/m2")
    assert dashboard.axe() == []
    page.reload()
    expect(change).to_contain_text("local/m2")
    gateway.admin.delete(f"/api/combos/{made.json()['id']}")


def test_the_newest_lines_of_the_processes_are_read_by_level_and_text(dashboard):
    page = dashboard.open("logs/console")
    page.get_by_label("Search anywhere in a line").fill("configuration_swapped")
    page.get_by_role("row", name="configuration_swapped").first.wait_for()
    assert dashboard.axe() == []
    page.get_by_label("Least level").select_option("error")
    page.get_by_text("No line fits").wait_for()
    expect(page).to_have_url(re.compile("level=error"))


def test_a_viewer_sees_requests_but_neither_texts_nor_the_audit_log(visit, viewer, gateway, key):
    record, _ = asked(gateway, key, "local/ok")
    it = visit(viewer)
    page = it.open(f"logs/audit?id={record}")
    page.get_by_text("Your role may not see texts.").wait_for()
    assert page.locator("pre").count() == 0
    assert page.get_by_role("link", name=re.compile("Audit|Console")).count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_small_screen_shows_the_list_and_a_request_whole(visit, session, gateway, key, scheme):
    record, _ = asked(gateway, key, "always-on")
    it = visit(session, color_scheme=scheme, viewport={"width": 390, "height": 844}, locale="ar")
    page = it.open("logs")
    page.locator("tr.opens").first.wait_for()
    assert it.has_no_sideways_scroll()
    assert it.axe() == []
    it.open(f"logs?id={record}")
    page.locator(".waterfall li").first.wait_for()
    assert it.axe() == []
