"""Models in a browser: the catalog, what is told of a model, and aliases from the first to the last."""

import uuid

from playwright.sync_api import expect

from tests.support.product import wait_for

expect.set_options(timeout=30_000)

LIMIT_S = 30
HOSTILE = "<img src=x onerror=alert(1)>" + "x" * 150


def aliases(gateway):
    return gateway.admin.get("/api/models/alias").json()["aliases"]


def test_the_catalog_finds_a_model_and_tells_what_it_is_and_who_serves_it(dashboard):
    page = dashboard.open("models?q=demo")
    page.get_by_role("row", name="demo/story").get_by_text("Available").wait_for()
    page.get_by_role("searchbox").fill("gpt-6-astra")
    page.get_by_text("No model fits that.").or_(page.get_by_text("No model is available yet")).wait_for()
    page.get_by_label("Also those not connected").check()
    page.get_by_role("row", name="openai/gpt-6-astra").click()
    drawer = page.get_by_role("dialog")
    drawer.get_by_text("1,050,000 tokens").wait_for()
    drawer.get_by_text("Vision").wait_for()
    drawer.get_by_text("No connection serves it now.").wait_for()
    assert "id=openai%2Fgpt-6-astra" in page.url
    page.keyboard.press("Escape")
    page.get_by_label("Capabilities", exact=True).select_option("Vision")
    page.get_by_role("row", name="openai/gpt-6-astra").wait_for()
    page.get_by_label("Provider", exact=True).select_option("Groq")
    page.get_by_text("No model fits that.").wait_for()


def test_a_model_is_opened_by_keyboard(dashboard):
    page = dashboard.open("models?q=demo/story")
    page.get_by_role("row", name="demo/story").focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_text("Known from").wait_for()


def test_an_alias_is_made_from_a_model_changed_deleted_and_taken_back(dashboard, gateway):
    name = f"alias-{uuid.uuid4().hex[:6]}"
    dashboard.expect(r"status of 400")
    page = dashboard.open("models?id=demo%2Fstory")
    page.get_by_role("button", name="Add alias").click()
    expect(page.get_by_label("Leads to")).to_have_value("demo/story")
    page.get_by_label("Alias", exact=True).fill(name)
    page.get_by_role("button", name="Add", exact=True).click()
    wait_for(lambda: aliases(gateway).get(name) == "demo/story", LIMIT_S)
    page.get_by_role("link", name="Aliases").click()
    page.get_by_role("button", name=f"Edit {name}").click()
    page.get_by_label("Leads to").fill(name)
    page.get_by_role("button", name="Save").click()
    page.locator(".field.wrong").wait_for()
    page.get_by_label("Leads to").fill("demo/echo")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("row", name=name).get_by_text("demo/echo").locator("visible=true").wait_for()
    page.get_by_role("dialog").wait_for(state="hidden")
    assert aliases(gateway).get(name) == "demo/echo"
    page.get_by_role("button", name=f"Delete {name}").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Taken back").wait_for()
    assert aliases(gateway).get(name) == "demo/echo"
    gateway.admin.delete(f"/api/models/alias?alias={name}")


def test_nothing_of_models_breaks_wcag_and_hostile_names_stay_text(visit, session, gateway):
    body = {"alias": HOSTILE, "model": "demo/story"}
    gateway.admin.put("/api/models/alias", json=body).raise_for_status()
    for scheme, width in (("light", 1440), ("dark", 390)):
        it = visit(session, color_scheme=scheme, viewport={"width": width, "height": 900})
        for address, shown in (
            ("models?all=1", "demo/story"), ("models?id=demo%2Fstory", "Known from"),
            ("models?view=aliases", HOSTILE), ("models?view=aliases&alias=%2B", "Leads to"),
        ):  # fmt: skip
            page = it.open(address)
            page.get_by_text(shown).locator("visible=true").first.wait_for()
            assert it.axe() == [], address
            assert it.has_no_sideways_scroll(), address
        assert page.locator("img[src='x']").count() == 0
    gateway.admin.delete("/api/models/alias", params={"alias": HOSTILE})
