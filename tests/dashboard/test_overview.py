"""The overview: what was asked a moment ago is on it, and it goes on by itself."""

import re

import pytest
from playwright.sync_api import expect

expect.set_options(timeout=30_000)


def requests_of(page):
    tile = page.locator(".stat", has_text="Requests").locator(".stat-value")
    tile.wait_for()
    return tile


def test_a_request_just_made_is_shown_and_the_next_comes_by_itself(dashboard, gateway):
    assert gateway.chat("local/seen-on-the-overview").status_code == 200
    page = dashboard.open()
    row = page.locator("omni-table tr", has_text="local/seen-on-the-overview")
    row.first.wait_for()
    before = row.count()
    page.get_by_text("Live", exact=True).wait_for()
    gateway.chat("local/seen-on-the-overview")
    expect(row).to_have_count(before + 1)


@pytest.mark.parametrize("path", ["", "logs"], ids=["overview", "logs"])
def test_a_request_between_the_first_answer_and_the_live_stream_is_shown_at_once(dashboard, gateway, path):
    held = []

    def hold(route):  # playwright takes no method of a built-in
        held.append(route)

    dashboard.page.route("**/api/live", hold)
    page = dashboard.open(path)
    page.locator("omni-table").first.wait_for()
    name = f"local/in-between-of-{path or 'overview'}"
    row = page.locator("omni-table tr", has_text=name)
    expect(row).to_have_count(0)
    request_id = gateway.new_id()
    assert gateway.chat(name, headers={"x-request-id": request_id}).status_code == 200
    gateway.row(request_id)
    held.pop().continue_()
    expect(row).to_have_count(1)


def test_figures_charts_and_their_tables_are_there_and_accessible(dashboard, gateway):
    gateway.chat()
    page = dashboard.open("?range=7d")
    expect(requests_of(page)).to_have_text(re.compile(r"\d"))
    page.get_by_text("Show as a table").first.click()
    page.get_by_role("columnheader", name="Answered").wait_for()
    page.get_by_role("img", name=re.compile("^Traffic")).focus()
    page.keyboard.press("End")
    expect(page.locator(".legend-value").first).to_have_text(re.compile(r"\d"))
    assert dashboard.axe() == []


def test_a_name_that_is_markup_stays_text(dashboard, gateway):
    name = "local/<img src=x onerror=alert(1)>"
    assert gateway.chat(name).status_code == 200
    page = dashboard.open()
    page.locator("omni-table").get_by_text("<img src=x onerror=alert(1)>").first.wait_for()
    assert page.locator("main img").count() == 0


def test_the_time_range_is_in_the_address_and_goes_along(dashboard):
    page = dashboard.open()
    page.get_by_label("Time range").select_option("30d")
    expect(page).to_have_url(re.compile(r"range=30d"))
    page.get_by_role("link", name="Health").first.click()
    expect(page).to_have_url(re.compile(r"/health\?range=30d"))
