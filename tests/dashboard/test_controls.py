"""Controls that say what is so, whatever was done before: what is typed stays, and the address and its controls agree."""

import re

import pytest
from playwright.sync_api import expect

expect.set_options(timeout=30_000)


@pytest.mark.parametrize("path", ["keys", "quotas", "logs", "logs/audit", "logs/console", "usage/prices", "providers"])
def test_a_search_that_is_typed_slowly_keeps_its_spaces(dashboard, path):
    page = dashboard.page
    page.clock.install()
    dashboard.open(path)
    search = page.locator("main input[type=search]").first
    search.click()
    page.keyboard.type("two ")
    page.clock.run_for(1_000)
    expect(page).to_have_url(re.compile("two"))
    page.keyboard.type("words")
    expect(search).to_have_value("two words")


def test_filters_that_are_cleared_say_so_however_often_they_were_chosen(dashboard):
    page = dashboard.open("logs?search=that-nobody-asked-for")
    status = page.get_by_label("Any status")
    for value in ("error", "", "error"):
        status.select_option(value)
    page.get_by_role("button", name="Clear filters").click()
    expect(page).not_to_have_url(re.compile("status"))
    expect(status).to_have_value("")


def test_back_in_the_dry_run_shows_the_question_that_is_answered(dashboard):
    page = dashboard.open("combos?try=1")
    model = page.get_by_label("Model, as a caller names it")
    for name in ("local/first", "local/second"):
        model.fill(name)
        page.get_by_role("button", name="Show the way").click()
        page.get_by_role("list", name="Tried in this order").get_by_text(name).first.wait_for()
    page.go_back()
    page.get_by_role("list", name="Tried in this order").get_by_text("local/first").first.wait_for()
    expect(model).to_have_value("local/first")


def test_a_secret_that_is_shown_once_is_not_lost_by_a_press_beside_it(dashboard, gateway):
    page = dashboard.open("keys?add=1")
    page.get_by_role("dialog", name="New key").get_by_label("Name", exact=True).fill("kept in view")
    page.get_by_role("button", name="Create key").click()
    shown = page.get_by_role("dialog").locator("[data-once]")
    shown.wait_for()
    page.mouse.click(5, 5)
    expect(shown).to_be_visible()
    page.get_by_role("dialog").last.get_by_role("button", name="I have it").click()
    expect(shown).to_have_count(0)
    for one in gateway.admin.get("/api/keys?search=kept in view").json()["keys"]:
        gateway.admin.delete(f"/api/keys/{one['id']}")


@pytest.mark.parametrize(
    ("path", "has_range"),
    [
        ("", True),
        ("usage", True),
        ("usage/prices", False),
        ("logs/audit", True),
        ("settings", False),
        ("models", False),
    ],
)
def test_a_time_range_is_offered_where_it_changes_something(dashboard, path, has_range):
    page = dashboard.open(path)
    expect(page.get_by_label("Time range")).to_have_count(1 if has_range else 0)
