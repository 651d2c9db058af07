"""Quotas: limits of connections, keys and tiers as bars; default limits switched; what was learned forgotten; who may."""

import pytest
from playwright.sync_api import expect

expect.set_options(timeout=30_000)


@pytest.fixture
def connection(gateway):
    """A connection with limits, which a test may change."""
    name = gateway.new_id()
    body = {"provider": "openai", "name": name, "apiKey": f"sk-{name}", "rpm": 60, "maxConcurrency": 4}
    answer = gateway.admin.post("/api/providers", json=body)
    assert answer.status_code == 201, answer.text
    made = answer.json()["connection"]
    yield made
    gateway.admin.delete(f"/api/providers/{made['id']}").raise_for_status()


def test_limits_of_a_connection_are_bars_and_default_limits_are_switched_with_a_way_back(
    dashboard, gateway, connection
):
    page = dashboard.open("quotas")
    page.get_by_label("Search connections").fill(connection["name"])
    expect(page.locator(".quota-card")).to_have_count(1)
    it = page.locator(".quota-card")
    expect(it).to_contain_text("Requests a minute0 of 60")
    expect(it.get_by_role("progressbar", name="Open requests: 0 of 4")).to_be_visible()
    assert dashboard.axe() == []

    def is_enabled():
        shown = gateway.admin.get("/api/rate-limits").json()["connections"]
        return next(one["enabled"] for one in shown if one["connectionId"] == connection["id"])

    before = is_enabled()
    it.get_by_role("button", name="default limits").click()
    undo = page.get_by_role("button", name="Undo")
    undo.wait_for()
    assert is_enabled() is not before
    undo.click()
    expect(page.get_by_text("Taken back")).to_be_visible()
    assert is_enabled() is before


def test_budgets_of_keys_are_bars_with_what_is_spent_and_lead_to_the_key(dashboard, gateway):
    key = gateway.admin.post(
        "/api/keys",
        json={
            "name": gateway.new_id(), "budgetUsd": 3, "budgetPeriod": "daily", "secondBudgetUsd": 40,
            "secondBudgetPeriod": "monthly",
        },
    ).json()  # fmt: skip
    page = dashboard.open("quotas?budgets=all")
    row = page.get_by_role("listitem").filter(has=page.get_by_role("link", name=key["name"]))
    expect(row.get_by_role("progressbar", name="Today: $0.00 of $3.00")).to_be_visible()
    expect(row.get_by_role("progressbar", name="This month: $0.00 of $40.00")).to_be_visible()
    expect(row.locator("time").first).to_be_visible()
    row.get_by_role("link").click()
    page.get_by_role("dialog", name=key["name"]).wait_for()


def test_what_fits_no_connection_says_so_and_the_address_keeps_the_search(dashboard, connection):
    page = dashboard.open("quotas?search=there-is-no-such-connection")
    expect(page.get_by_text("No connection fits that")).to_be_visible()
    expect(page.get_by_label("Search connections")).to_have_value("there-is-no-such-connection")


def test_a_viewer_sees_quotas_and_changes_none(visit, viewer, connection):
    it = visit(viewer)
    page = it.open(f"quotas?search={connection['name']}")
    page.locator(".quota-card").wait_for()
    expect(page.locator(".quota-card").get_by_role("button")).to_have_count(0)


def test_quotas_break_no_rule_of_wcag_on_either_screen_in_either_theme(visit, session, connection):
    for scheme, width in (("light", 390), ("dark", 1440)):
        it = visit(session, color_scheme=scheme, viewport={"width": width, "height": 900})
        it.open("quotas?all=1").locator(".quota-card").first.wait_for()
        assert it.axe() == [], (scheme, width)
        assert it.has_no_sideways_scroll(), width
        it.close()
