"""Combos: built by mouse and by keyboard, weighed, tried, paused, copied and deleted; and where a request would go."""

import re

import httpx
import pytest
from playwright.sync_api import expect

from tests.support.product import wait_for
from tests.support.real_gateway import RealGateway

expect.set_options(timeout=30_000)

HOSTILE = "local/<img-src=x-onerror=alert(1)>\u202etxt"


@pytest.fixture
def combo(gateway: RealGateway):
    """Makes combos that are gone after the test."""
    made: list[str] = []

    def make(name: str, **fields):
        answer = gateway.admin.post("/api/combos", json={"name": name, "models": ["local/ok"], **fields})
        assert answer.status_code == 201, answer.text
        made.append(answer.json()["id"])
        return answer.json()

    yield make
    for one in made:
        gateway.admin.delete(f"/api/combos/{one}")


def card(page, name: str):
    return page.locator(f"section[data-combo='{name}']")


def test_a_combo_is_built_by_keyboard_serves_at_once_and_shows_who_answered(dashboard, gateway):
    page = dashboard.open("combos")
    page.get_by_role("link", name="Add combo").click()
    page.get_by_label("Name").fill("built")
    page.get_by_label("Strategy").select_option("weighted")
    expect(page.get_by_text("draws its first target by lot")).to_be_visible()
    target = page.get_by_label("Model or combo")
    for name in ("local/second", "local/ok"):
        target.fill(name)
        target.press("Enter")
    page.get_by_label("Weight of local/ok").fill("3")
    expect(page.get_by_text("75%")).to_be_visible()
    page.get_by_role("button", name="Move local/ok.").press("Space")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    expect(page.locator("omni-reorder li").first).to_contain_text("local/ok")
    assert dashboard.axe() == []
    page.get_by_role("button", name="Add combo").click()

    page.wait_for_url(re.compile("id="))
    stored = gateway.admin.get(f"/api/combos/{re.search('id=([^&]+)', page.url)[1]}").json()
    assert stored["models"] == [{"model": "local/ok", "weight": 3}, {"model": "local/second", "weight": 1}]
    gateway.admin.put(f"/api/combos/{stored['id']}", json={"strategy": "priority"}).raise_for_status()
    wait_for(lambda: gateway.chat("built").status_code == 200, 20)
    share = page.get_by_role("progressbar", name="Share of local/ok")
    expect(share).to_have_attribute("max", "1")
    expect(page.get_by_text(re.compile("Of the latest"))).to_be_visible()
    page.get_by_role("button", name="Test now").click()
    expect(page.get_by_text("local/ok would answer.")).to_be_visible()
    assert dashboard.axe() == []
    gateway.admin.delete(f"/api/combos/{stored['id']}").raise_for_status()


def test_what_the_api_refuses_is_told_at_its_place(dashboard, combo):
    dashboard.expect("status of 400")
    one = combo("refused")
    page = dashboard.open(f"combos?id={one['id']}")
    page.get_by_label("Name").fill("not a name")
    page.get_by_label("Model or combo").fill("nobody-has-this/model")
    page.get_by_role("button", name="Add target").click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("must be 1 to 100 letters")).to_be_visible()
    page.get_by_label("Name").fill("refused")
    page.get_by_role("button", name="Save").click()
    line = page.locator("omni-reorder li").filter(has_text="nobody-has-this/model")
    expect(line.get_by_role("alert")).to_contain_text("names neither a provider nor a node nor a combo")
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("Requests in a row").fill("0")
    page.get_by_role("button", name="Remove nobody-has-this/model").click()
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".field.wrong").filter(has_text="Requests in a row")).to_contain_text("must be a whole number")
    assert dashboard.axe() == []


def test_somebody_elses_change_meanwhile_is_offered_to_be_read(dashboard, combo, gateway):
    dashboard.expect("status of 409")
    one = combo("shared")
    page = dashboard.open(f"combos?id={one['id']}")
    page.get_by_label("Name").fill("shared-here")
    gateway.admin.put(f"/api/combos/{one['id']}", json={"strategy": "random"}).raise_for_status()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Read anew").click()
    expect(page.get_by_label("Strategy")).to_have_value("random")
    expect(page.get_by_label("Name")).to_have_value("shared")
    page.get_by_label("Name").fill("shared-here")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="shared-here")).to_be_visible()


def test_a_combo_is_paused_copied_and_deleted_and_comes_back(dashboard, combo, gateway):
    combo("kept", models=["local/ok", HOSTILE], strategy="round-robin")
    page = dashboard.open("combos?search=kept")
    expect(card(page, "kept")).to_contain_text("onerror=alert(1)")
    card(page, "kept").get_by_role("button", name="Pause").click()
    expect(card(page, "kept")).to_contain_text("Paused")
    page.get_by_role("button", name="Undo").click()
    expect(card(page, "kept").get_by_role("button", name="Pause")).to_be_visible()
    card(page, "kept").get_by_role("button", name="Pause").click()
    expect(card(page, "kept")).to_contain_text("Paused")
    card(page, "kept").get_by_role("button", name="Resume").click()
    expect(card(page, "kept").get_by_role("button", name="Pause")).to_be_visible()
    card(page, "kept").get_by_role("button", name="Duplicate kept").click()
    copy = card(page, "kept-copy")
    expect(copy).to_contain_text("In turns")
    assert dashboard.axe() == []
    copy.get_by_role("button", name="Delete kept-copy").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(copy).to_have_count(0)
    page.locator(".toast", has_text="Deleted").get_by_role("button", name="Undo").click()
    expect(copy).to_contain_text("In turns")
    found = {one["name"]: one["id"] for one in gateway.admin.get("/api/combos").json()["combos"]}
    gateway.admin.delete(f"/api/combos/{found['kept-copy']}").raise_for_status()


def test_the_dry_run_shows_the_order_and_the_refusal_and_is_an_address(dashboard, combo, visit, session):
    combo("way", models=["local/ok", "local/second"])
    page = dashboard.open("combos?try=1")
    page.get_by_label("Model, as a caller names it").fill("way")
    page.get_by_role("button", name="Show the way").click()
    order = page.get_by_role("list", name="Tried in this order")
    expect(order.get_by_role("listitem").first).to_contain_text("local/ok @")
    page.get_by_label("Model, as a caller names it").fill("nobody-has-this/model")
    page.get_by_role("button", name="Show the way").click()
    expect(page.get_by_text("The caller would get an error 404")).to_be_visible()
    assert dashboard.axe() == []
    again = visit(session, viewport={"width": 390, "height": 844}).open("combos?try=1&model=way")
    expect(again.get_by_role("list", name="Tried in this order")).to_contain_text("local/second @")
    assert again.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_viewer_sees_combos_and_may_not_change_them(visit, combo, gateway):
    one = combo("seen")
    made = gateway.admin.post(
        "/api/users", json={"name": "looks-on", "password": "only looking here", "role": "viewer"}
    )
    assert made.status_code == 201, made.text
    answer = httpx.post(
        f"{gateway.url}/api/auth/login", json={"username": "looks-on", "password": "only looking here"}, timeout=60
    )
    viewer = visit(answer.cookies["auth_token"])
    page = viewer.open("combos?search=seen")
    expect(card(page, "seen")).to_be_visible()
    assert page.get_by_role("link", name="Add combo").count() == 0
    assert page.get_by_role("button", name="Pause").count() == 0
    page.get_by_role("link", name="seen").click()
    expect(page.get_by_text("The first target gets everything")).to_be_visible()
    assert page.get_by_role("button", name="Save").count() == 0
    assert page.get_by_role("button", name="Test now").count() == 0
    assert viewer.axe() == []
    assert one["id"] in page.url
    gateway.admin.delete(f"/api/users/{made.json()['id']}")
