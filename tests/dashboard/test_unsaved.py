"""What was typed and not sent is not lost without a question: a link, the browser's Back, Escape, another address."""

import re

import pytest
from playwright.sync_api import expect

from tests.support.product import wait_for
from tests.support.real_gateway import RealGateway

expect.set_options(timeout=30_000)


@pytest.fixture
def combo(gateway: RealGateway):
    made = gateway.admin.post("/api/combos", json={"name": "kept", "models": ["local/ok", "local/second"]}).json()
    yield made
    gateway.admin.delete(f"/api/combos/{made['id']}")


def question(page):
    return page.get_by_role("dialog", name="Leave without saving?")


def test_a_link_away_from_what_was_typed_asks_and_leaves_only_when_told_to(dashboard):
    page = dashboard.open("combos?add=1")
    name = page.get_by_label("Name")
    name.fill("half built")
    page.get_by_role("link", name="Logs", exact=True).click()
    question(page).wait_for()
    assert dashboard.axe() == []
    question(page).get_by_role("button", name="Cancel").click()
    expect(name).to_have_value("half built")
    expect(page).to_have_url(re.compile("combos"))
    page.get_by_role("link", name="Logs", exact=True).click()
    question(page).get_by_role("button", name="Leave").click()
    page.get_by_role("heading", name="Logs", exact=True).wait_for()
    page.get_by_role("link", name="Health", exact=True).click()
    page.get_by_role("heading", name="Health", exact=True).wait_for()


def test_targets_in_another_order_count_as_typed_and_saved_ones_do_not(dashboard, combo):
    page = dashboard.open(f"combos?id={combo['id']}")
    page.get_by_role("button", name="Move local/ok.").press("Space")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    page.get_by_role("link", name="All combos").click()
    question(page).get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved", exact=True).wait_for()
    wait_for(lambda: leaves_unasked(page), 10)


def leaves_unasked(page):
    """It is saved when the page has it anew, a moment after it says so."""
    page.get_by_role("link", name="All combos").click()
    page.locator("section[data-combo='kept'], dialog[open]").first.wait_for()
    if not question(page).is_visible():
        return True
    question(page).get_by_role("button", name="Cancel").click()
    return False


def test_back_asks_and_stays_or_goes(dashboard):
    page = dashboard.open("combos")
    page.get_by_role("link", name="Add combo").click()
    name = page.get_by_label("Name")
    name.fill("half built")
    page.go_back()
    question(page).get_by_role("button", name="Cancel").click()
    expect(name).to_have_value("half built")
    expect(page).to_have_url(re.compile("add=1"))
    page.go_back()
    question(page).get_by_role("button", name="Leave").click()
    expect(page).not_to_have_url(re.compile("add=1"))
    expect(name).to_have_count(0)


def test_escape_in_a_form_that_was_typed_in_asks(dashboard):
    page = dashboard.open("keys?add=1")
    drawer = page.get_by_role("dialog", name="New key")
    name = drawer.get_by_label("Name", exact=True)
    name.press("Escape")
    expect(drawer).to_have_count(0)
    page.get_by_role("button", name="New key").first.click()
    name.fill("half")
    name.press("Escape")
    question(page).get_by_role("button", name="Cancel").click()
    expect(name).to_have_value("half")
    drawer.get_by_role("button", name="Close").click()
    question(page).get_by_role("button", name="Leave").click()
    expect(drawer).to_have_count(0)


def test_the_browser_asks_before_the_tab_is_left(dashboard):
    page = dashboard.open("combos?add=1")
    page.get_by_label("Name").click()
    page.keyboard.type("half")
    page.goto(f"{dashboard.url}/dashboard/logs")
    page.get_by_role("heading", name="Logs", exact=True).wait_for()
    assert dashboard.questions == 1
    page.goto(f"{dashboard.url}/dashboard/keys")
    assert dashboard.questions == 1
