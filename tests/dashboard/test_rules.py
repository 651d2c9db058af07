"""Settings that are lists of rules: profiles by provider, limits for all, fallback chains, defaults of combos, lock-outs."""

import httpx
import pytest
from playwright.sync_api import expect

from tests.support.product import wait_for

expect.set_options(timeout=30_000)

HOSTILE = "<img src=x onerror=alert(1)>\u202e" + "x" * 150


def card_of(page, title):
    return page.locator(".card", has=page.get_by_role("heading", name=title, exact=True))


def rules(gateway):
    return gateway.admin.get("/api/resilience").json()["rules"]


def chains(gateway):
    return {one["name"]: one["models"] for one in gateway.admin.get("/api/fallback/chains").json()["chains"]}


def combo_defaults(gateway):
    return gateway.admin.get("/api/settings/combo-defaults").json()["comboDefaults"]


@pytest.fixture
def clean(gateway):
    """Nothing of these is left for the next test."""
    yield
    gateway.admin.patch("/api/resilience", json={"rules": dict.fromkeys(rules(gateway))}).raise_for_status()
    none = {"requestsPerMinute": 0, "minTimeBetweenRequests": 0, "concurrentRequests": 0}
    gateway.admin.patch("/api/resilience", json={"defaults": none}).raise_for_status()
    for name in chains(gateway):
        gateway.admin.delete("/api/fallback/chains", params={"name": name}).raise_for_status()
    gone = dict.fromkeys(combo_defaults(gateway))
    gateway.admin.patch("/api/settings/combo-defaults", json={"comboDefaults": gone}).raise_for_status()


def test_a_profile_is_added_changed_reset_and_taken_back(dashboard, gateway, clean):
    dashboard.expect(r"status of 400")
    page = dashboard.open("settings/resilience")
    card = card_of(page, "Profiles by provider")
    card.get_by_role("button", name="Add a profile").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Provider", exact=True).fill("nobody")
    dialog.get_by_label("First cooldown").fill("7")
    dialog.get_by_role("button", name="Save").click()
    dialog.get_by_text("there is no provider 'nobody'").wait_for()
    dialog.get_by_label("Provider", exact=True).fill("local")
    dialog.get_by_text("Rarely changed").click()
    dialog.get_by_label("Back to full traffic over").fill("99999999")
    dialog.get_by_text("Rarely changed").click()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_label("Back to full traffic over")).to_be_focused()
    expect(dialog.get_by_label("Back to full traffic over")).to_have_attribute("aria-invalid", "true")
    assert dashboard.axe() == []
    dialog.get_by_label("Back to full traffic over").fill("")
    dialog.get_by_label("Adapt how many run at once").select_option("Yes")
    dialog.get_by_role("button", name="Save").click()
    row = card.locator("li", has_text="local")
    expect(row).to_contain_text("First cooldown: 7")
    assert rules(gateway) == {"local": {"cooldown_s": 7.0, "adapts_concurrency": True}}

    row.get_by_role("button", name="Edit local").click()
    expect(dialog.get_by_label("Failures that open it")).to_have_attribute("placeholder", "100")
    dialog.get_by_label("First cooldown").fill("")
    dialog.get_by_label("Failures that open it").fill("3")
    dialog.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("Failures that open it: 3")
    assert rules(gateway) == {"local": {"failures": 3, "adapts_concurrency": True}}

    row.get_by_role("button", name="Reset local").click()
    page.get_by_role("dialog").get_by_role("button", name="Reset", exact=True).click()
    expect(row).to_have_count(0)
    assert rules(gateway) == {}
    page.get_by_role("button", name="Undo").click()
    expect(row).to_contain_text("Failures that open it: 3")
    assert rules(gateway) == {"local": {"failures": 3, "adapts_concurrency": True}}


def test_the_profile_of_all_providers_is_what_a_profile_shows_in_grey(dashboard, gateway, clean):
    gateway.admin.patch("/api/resilience", json={"rules": {"apikey": {"open_s": 42}}}).raise_for_status()
    page = dashboard.open("settings/resilience?profile=local")
    expect(page.get_by_role("dialog").get_by_label("Open for", exact=True)).to_have_attribute("placeholder", "42")
    page.keyboard.press("Escape")
    expect(card_of(page, "Profiles by provider").locator("li", has_text="All providers")).to_contain_text("42")


def test_limits_for_connections_without_their_own_count_at_once(dashboard, gateway, clean):
    dashboard.expect(r"status of 400")
    page = dashboard.open("settings/resilience")
    card = card_of(page, "Limits of connections without their own")
    field = card.get_by_label("Requests a minute")
    field.fill("-5")
    card.get_by_role("button", name="Save").click()
    expect(field).to_have_attribute("aria-invalid", "true")
    assert dashboard.axe() == []
    field.fill("1234")
    card.get_by_role("button", name="Save").click()
    page.get_by_text("Saved", exact=True).wait_for()
    assert gateway.admin.get("/api/resilience").json()["defaults"]["requestsPerMinute"] == 1234
    assert {one["rpm"] for one in gateway.admin.get("/api/rate-limits").json()["connections"]} == {1234}


def test_a_chain_is_made_obeyed_changed_deleted_and_taken_back(dashboard, gateway, clean):
    dashboard.expect(r"status of 400")
    page = dashboard.open("settings/routing")
    card = card_of(page, "Fallback chains")
    card.get_by_text("No chain yet").wait_for()
    card.get_by_role("button", name="Add a chain").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_label("For the model")).to_be_focused()
    dialog.get_by_label("For the model").fill("refusing/m1")
    dialog.get_by_label("Then try").fill("local/m1\n" + "x" * 500)
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_label("Then try")).to_have_attribute("aria-invalid", "true")
    assert dashboard.axe() == []
    dialog.get_by_label("Then try").fill("local/m1\nlocal/m2")
    dialog.get_by_role("button", name="Save").click()
    row = card.locator("li", has_text="refusing/m1")
    expect(row).to_contain_text("local/m1 → local/m2")
    wait_for(lambda: gateway.chat("refusing/m1").status_code == 200, 30)

    row.get_by_role("button", name="Edit refusing/m1").click()
    dialog.get_by_label("Then try").fill("local/m2")
    dialog.get_by_role("button", name="Save").click()
    expect(row).not_to_contain_text("local/m1")
    assert chains(gateway) == {"refusing/m1": ["local/m2"]}
    row.get_by_role("button", name="Delete refusing/m1").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    expect(row).to_have_count(0)
    assert chains(gateway) == {}
    page.get_by_role("button", name="Undo").click()
    expect(row).to_be_visible()
    assert chains(gateway) == {"refusing/m1": ["local/m2"]}


def test_what_somebody_else_made_of_a_chain_meanwhile_is_not_written_over(dashboard, gateway, clean):
    dashboard.expect(r"status of 409|ERR_FAILED|Failed to (fetch|load resource)")
    gateway.admin.post("/api/fallback/chains", json={"name": "m", "models": ["local/m1"]}).raise_for_status()
    page = dashboard.open("settings/routing?chain=m")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Then try").fill("local/mine")
    page.route(
        "**/api/fallback/chains*", lambda route: route.abort() if route.request.method == "GET" else route.continue_()
    )
    gateway.admin.post("/api/fallback/chains", json={"name": "m", "models": ["local/theirs"]}).raise_for_status()
    dialog.get_by_role("button", name="Save").click()
    dialog.get_by_text("Somebody else has changed this meanwhile").wait_for()
    assert chains(gateway) == {"m": ["local/theirs"]}
    page.unroute("**/api/fallback/chains*")


def test_defaults_of_combos_are_set_refused_at_their_field_and_taken_away(dashboard, gateway, clean):
    dashboard.expect(r"status of 400")
    page = dashboard.open("settings/routing")
    card = card_of(page, "Defaults of combos")
    card.get_by_label("Strategy of new ones").select_option("Fastest")
    card.get_by_label("Tier by tier").fill("nonsense")
    card.get_by_role("button", name="Save").click()
    expect(card.get_by_label("Tier by tier")).to_have_attribute("aria-invalid", "true")
    assert dashboard.axe() == []
    card.get_by_label("Tier by tier").fill("")
    card.get_by_label("Conversations keep their connection").select_option("No")
    card.get_by_label("Try the next model when a request is too long for one").select_option("Yes")
    card.get_by_role("button", name="Save").click()
    page.get_by_text("Saved", exact=True).wait_for()
    assert combo_defaults(gateway) == {"strategy": "latency", "affinity": False, "context_length_fallback": True}
    card.get_by_label("Conversations keep their connection").select_option("As the settings say")
    card.get_by_role("button", name="Save").click()
    wait_for(lambda: combo_defaults(gateway) == {"strategy": "latency", "context_length_fallback": True}, 30)


def test_a_new_combo_begins_with_the_strategy_of_the_defaults(dashboard, gateway, clean):
    gateway.admin.patch(
        "/api/settings/combo-defaults", json={"comboDefaults": {"strategy": "random"}}
    ).raise_for_status()
    page = dashboard.open("combos?add=1")
    expect(page.get_by_label("Strategy", exact=True)).to_have_value("random")


def test_who_guessed_too_often_is_shown_and_may_try_again(dashboard, gateway):
    wrong = {"username": "nobody-at-all", "password": "wrong"}
    login = f"{gateway.url}/api/auth/login"
    wait_for(lambda: httpx.post(login, json=wrong, timeout=60).status_code == 429, 60)
    page = dashboard.open("settings/security")
    card = card_of(page, "Locked out of logging in")
    row = card.locator("li", has_text="127.0.0.1")
    expect(row).to_contain_text("Address")
    assert dashboard.axe() == []
    row.get_by_role("button", name="Let 127.0.0.1 try again").click()
    page.get_by_text("127.0.0.1 may try again").wait_for()
    card.get_by_text("Nobody has to wait").wait_for()
    assert httpx.post(login, json=wrong, timeout=60).status_code == 401
    gateway.admin.post("/api/policies", json={"action": "unlock", "identifier": "127.0.0.1"})


def test_a_viewer_sees_the_rules_and_nothing_to_change_them_with(visit, viewer, gateway, clean):
    gateway.admin.post("/api/fallback/chains", json={"name": "m", "models": ["local/m1"]}).raise_for_status()
    it = visit(viewer)
    for address, title in (("settings/routing", "Fallback chains"), ("settings/resilience", "Profiles by provider")):
        page = it.open(address)
        card_of(page, title).wait_for()
        expect(page.locator("main .card button")).to_have_count(0)
        assert it.axe() == [], address
    page = it.open("settings/security")
    card_of(page, "Your password").wait_for()
    expect(card_of(page, "Locked out of logging in")).to_have_count(0)


def test_hostile_names_stay_text_and_fit_a_phone_in_the_dark_and_from_right_to_left(visit, session, gateway, clean):
    gateway.admin.post(
        "/api/fallback/chains", json={"name": HOSTILE, "models": [HOSTILE, "local/m1"]}
    ).raise_for_status()
    gateway.admin.patch("/api/resilience", json={"rules": {"local": {"failures": 3}}}).raise_for_status()
    for locale in ("en-US", "ar"):
        phone = visit(session, viewport={"width": 390, "height": 844}, color_scheme="dark", locale=locale)
        for address in (
            "settings/routing",
            "settings/resilience",
            "settings/resilience?profile=local",
            "settings/security",
        ):
            page = phone.open(address)
            expect(
                page.locator(".settings .card .card").or_(page.locator(".settings .stack .card")).first
            ).to_be_visible()
            assert phone.axe() == [], address
            assert phone.has_no_sideways_scroll(), address
        assert page.locator("img[src='x']").count() == 0
