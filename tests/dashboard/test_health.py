"""The health page."""

from playwright.sync_api import expect

from tests.support.product import wait_for

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


def test_what_rests_goes_by_provider_and_name_in_the_words_of_the_providers_page(dashboard, gateway):
    node = {"id": "busy", "name": "Busy", "prefix": "busy", "dialect": "openai_chat", "allowPrivate": True}
    address = f"http://127.0.0.1:{gateway.fake.port}/v1"
    gateway.admin.post("/api/provider-nodes", json={**node, "baseUrl": address}).raise_for_status()
    account = {"provider": "busy", "name": "alone", "apiKey": "sk-busy-0123456789"}
    gateway.admin.post("/api/providers", json=account).raise_for_status()
    gateway.admin.patch("/api/resilience", json={"rules": {"busy": {"retry_after_max_s": 600}}}).raise_for_status()
    gateway.wait_taken_up()
    gateway.fake.plan("status:429:retry-after=600", key="sk-busy-0123456789")
    wait_for(lambda: gateway.chat("busy/any").status_code == 429, 30)
    page = dashboard.open("health")
    expect(page.locator(".notice.good")).to_have_count(0)
    resting = page.locator(".card", has=page.get_by_role("heading", name="Cooldowns")).get_by_role("listitem")
    expect(resting.filter(has_text="busy · alone")).to_contain_text("too many requests")
    page = dashboard.open("providers/busy")
    expect(page.get_by_text("too many requests")).to_have_count(1)
    gateway.admin.patch("/api/resilience", json={"rules": {"busy": None}}).raise_for_status()
    gateway.admin.delete("/api/provider-nodes/busy").raise_for_status()
    gateway.admin.delete("/api/monitoring/health").raise_for_status()
