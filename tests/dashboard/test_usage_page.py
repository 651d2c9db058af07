"""Usage & Costs: who used what, in figures and courses; budgets of tiers; prices written, deleted with a way back, exported, imported."""

import json

import pytest
from playwright.sync_api import expect

from tests.support.product import wait_for

expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def used(gateway):
    """Something was asked of a model without a price, and the sums have it."""
    assert gateway.chat().status_code == 200
    wait_for(lambda: gateway.admin.get("/api/usage/analytics?range=1d").json()["summary"]["requests"] > 0, 30)


def prices_of(gateway, name):
    return [row for row in gateway.admin.get("/api/pricing/list").json()["prices"] if row["model"] == name]


def test_what_was_used_is_shown_by_each_kind_and_the_address_says_which(dashboard, gateway, used):
    page = dashboard.open("usage?range=7d")
    page.get_by_role("table", name="By provider").get_by_role("link", name="local").wait_for()
    page.get_by_label("Group by").select_option("By key")
    page.get_by_role("table", name="By key").get_by_role("link").first.wait_for()
    page.get_by_label("Show", exact=True).select_option("Requests")
    assert "by=key" in page.url
    assert "show=requests" in page.url
    page.reload()
    page.get_by_role("table", name="By key").get_by_role("link").first.wait_for()
    expect(page.get_by_label("Show", exact=True)).to_have_value("requests")
    assert dashboard.axe() == []


def test_a_model_without_a_price_gets_one_there_and_leaves_the_list(dashboard, gateway, used):
    page = dashboard.open("usage/prices")
    unknown = page.get_by_role("row").filter(has_text="local/ok").filter(has=page.get_by_role("button"))
    unknown.get_by_role("button", name="Set price").click()
    drawer = page.get_by_role("dialog", name="local/ok")
    drawer.get_by_label("Input").fill("0.075")
    drawer.get_by_label("Output").fill("0.3")
    assert dashboard.axe() == []
    drawer.get_by_role("button", name="Save").click()
    expect(unknown.get_by_role("button", name="Set price")).to_have_count(0)  # other tests' models may be there still
    row = page.get_by_role("row").filter(has_text="local/ok")
    expect(row).to_contain_text("$0.075")
    expect(row).to_contain_text("Own")
    assert [one["input"] for one in prices_of(gateway, "local/ok")] == [0.075]
    gateway.admin.delete("/api/pricing?provider=local&model=ok").raise_for_status()


def test_own_prices_are_deleted_and_undo_writes_them_again(dashboard, gateway):
    gateway.admin.patch("/api/pricing", json={"openai": {"priced-here": {"input": 1, "output": 2}}}).raise_for_status()
    before = prices_of(gateway, "openai/priced-here")
    page = dashboard.open("usage/prices?model=openai/priced-here")
    page.get_by_role("button", name="Delete own prices").click()
    page.get_by_role("dialog", name="Delete the own prices").get_by_role("button", name="Delete own prices").click()
    page.get_by_role("button", name="Undo").wait_for()
    assert prices_of(gateway, "openai/priced-here") == []
    page.get_by_role("button", name="Undo").click()
    wait_for(lambda: len(prices_of(gateway, "openai/priced-here")) == 1, 30)
    after = prices_of(gateway, "openai/priced-here")
    assert [(one["input"], one["output"], one["from"]) for one in after] == [
        (one["input"], one["output"], one["from"]) for one in before
    ]


def test_prices_go_out_as_a_file_and_a_file_with_a_mistake_changes_nothing(dashboard, gateway, tmp_path):
    dashboard.expect("status of 400")
    gateway.admin.patch("/api/pricing", json={"openai": {"exported": {"input": 1}}}).raise_for_status()
    page = dashboard.open("usage/prices")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    exported = json.loads(download.value.path().read_text())
    assert "openai/exported" in [one["model"] for one in exported["prices"]]
    file = tmp_path / "prices.json"
    file.write_text(json.dumps({"prices": [{"model": "a/b", "input": 3}, {"model": "a/c", "input": -1}]}))
    page.locator("#price-file").set_input_files(file)
    page.get_by_role("dialog").get_by_role("button", name="Import").click()
    page.get_by_role("alert").get_by_text("Nothing was imported.").wait_for()
    assert dashboard.axe() == []
    assert prices_of(gateway, "a/b") == []
    file.write_text(json.dumps({"prices": [{"model": "a/b", "input": 3}]}))
    page.locator("#price-file").set_input_files(file)
    page.get_by_role("dialog").get_by_role("button", name="Import").click()
    page.get_by_text("1 price imported").wait_for()
    assert [one["input"] for one in prices_of(gateway, "a/b")] == [3]


def test_a_tier_gets_a_budget_and_a_keys_budget_leads_to_the_key(dashboard, gateway):
    key = gateway.admin.post("/api/keys", json={"name": gateway.new_id(), "budgetUsd": 3}).json()
    page = dashboard.open("usage/budgets")
    expect(page.get_by_role("row").filter(has_text=key["name"])).to_contain_text("$0.00 of $3.00")
    page.get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog", name="Budgets of tiers")
    dialog.get_by_role("group", name="Cheap").get_by_label("Limit").fill("12")
    assert dashboard.axe() == []
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_text("$0.00 of $12.00")).to_be_visible()
    assert gateway.admin.get("/api/settings").json()["tierBudgets"]["cheap"] == {"usd": 12.0, "period": "monthly"}
    gateway.admin.patch("/api/settings", json={"tierBudgets": {"cheap": None}}).raise_for_status()
    page.get_by_role("link", name=key["name"]).click()
    page.get_by_role("dialog", name=key["name"]).wait_for()


def test_a_viewer_sees_prices_and_budgets_and_changes_none(visit, viewer, used):
    it = visit(viewer)
    page = it.open("usage/prices")
    page.get_by_role("button", name="Export").wait_for()
    for name in ("Set price", "Add price", "Import"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    page = it.open("usage/budgets")
    page.get_by_role("heading", name="Budgets of tiers").wait_for()
    expect(page.get_by_role("button", name="Edit")).to_have_count(0)


def test_usage_breaks_no_rule_of_wcag_on_either_screen_in_either_theme(visit, session, used):
    for scheme, width in (("dark", 390), ("light", 1440)):
        it = visit(session, color_scheme=scheme, viewport={"width": width, "height": 900})
        for path in ("usage?range=30d", "usage/budgets", "usage/prices"):
            it.open(path).locator("omni-table").first.wait_for()
            assert it.axe() == [], (scheme, width, path)
            assert it.has_no_sideways_scroll(), (width, path)
        it.close()
