"""The health page."""

from playwright.sync_api import expect

expect.set_options(timeout=30_000)


def test_it_shows_what_the_gateway_stands_on(dashboard):
    page = dashboard.open("health")
    page.get_by_role("heading", name="Dependencies").wait_for()
    expect(page.locator(".card", has_text="Workers").locator("tbody tr").first).to_be_visible()
    assert dashboard.axe() == []
    assert dashboard.has_no_sideways_scroll()


def test_what_is_shown_agrees_with_the_api(dashboard, gateway):
    page = dashboard.open("health")
    health = gateway.health()
    expect(
        page.get_by_role("rowheader", name=f"{health['workers'][0]['host']} · {health['workers'][0]['pid']}")
    ).to_be_visible()
    page.get_by_text("What runs in the background").click()
    for name in health["jobs"]:
        expect(page.get_by_role("rowheader", name=name, exact=True)).to_be_visible()


def test_kept_answers_are_forgotten_after_a_question(dashboard, gateway):
    for _ in range(2):
        assert gateway.chat("local/cached", temperature=0).status_code == 200
    page = dashboard.open("health")
    card = page.locator(".card", has=page.get_by_role("heading", name="Response cache"))
    card.get_by_role("button", name="Reset").click()
    dialog = page.get_by_role("dialog")
    assert dashboard.axe() == []
    dialog.get_by_role("button", name="Reset").click()
    page.get_by_text("Done", exact=True).wait_for()
    assert gateway.admin.get("/api/cache").json()["hits"] == 0
