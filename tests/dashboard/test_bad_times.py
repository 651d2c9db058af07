"""What a page does when the API is slow, refuses, falls silent, or throws its reader out in the middle of something."""

import re

import httpx
import pytest
from playwright.sync_api import expect

from tests.dashboard.conftest import PASSWORD
from tests.dashboard.test_every_page import Api
from tests.support.product import wait_for

expect.set_options(timeout=30_000)


def test_what_stands_in_an_open_form_outlives_the_end_of_its_session(visit, gateway):
    answer = httpx.post(f"{gateway.url}/api/auth/login", json={"password": PASSWORD}, timeout=60)
    it = visit(answer.cookies["auth_token"])
    it.expect(r"status of 401")
    page = it.open("keys?add=1")
    drawer = page.get_by_role("dialog", name="New key")
    drawer.get_by_label("Name", exact=True).fill("half made")
    csrf = {"x-csrf-token": answer.json()["csrfToken"]}
    httpx.post(f"{gateway.url}/api/auth/logout", cookies=dict(answer.cookies), timeout=60, headers=csrf)
    drawer.get_by_role("button", name="Create key").click()
    password = page.get_by_label("Password", exact=True)
    password.click()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(drawer.get_by_label("Name", exact=True)).to_have_value("half made")
    expect(page).to_have_title("Keys · OmniRoute")
    page.keyboard.press("Escape")
    page.get_by_role("dialog", name="Leave without saving?").get_by_role("button", name="Leave").click()
    expect(drawer).to_have_count(0)


@pytest.mark.parametrize("path", ["health", "quotas", "logs/console"])
def test_a_slow_api_is_waited_for_and_not_asked_over_and_over(dashboard, path):
    page = dashboard.page
    page.clock.install()
    api = Api(page)
    api.hold()
    with page.expect_request(lambda request: re.search("/api/(?!auth|live)", request.url)):
        dashboard.open(path)
    page.locator("main .loading").wait_for()
    page.clock.run_for(25_000)
    assert len(set(api.asked)) == len(api.asked) > 0
    api.heal()
    expect(page.locator("main .loading")).to_have_count(0)


def test_who_cannot_be_told_yet_whether_somebody_is_logged_in_is_shown_no_login(visit, session):
    it = visit(session)
    it.expect(r"status of 503")
    page = it.page
    page.route("**/api/auth/status", lambda route: route.fulfill(status=503, body="{}"))
    page.goto(f"{it.url}/dashboard/keys")
    page.get_by_text("OmniRoute does not answer").wait_for()
    expect(page.get_by_label("Password", exact=True)).to_have_count(0)
    assert it.axe() == []
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("heading", name="Keys", exact=True).wait_for()


def test_a_live_stream_that_has_fallen_silent_is_opened_anew(dashboard):
    page = dashboard.page
    page.clock.install()
    silent = []

    def meet(route):
        if silent:
            route.continue_()
        else:
            silent.append(route)

    page.route("**/api/live", meet)
    dashboard.open()
    page.get_by_text("Connecting…", exact=True).wait_for()
    wait_for(lambda: page.evaluate("1") and silent, 30)
    page.clock.run_for(40_000)
    page.get_by_text("Live", exact=True).wait_for()


def test_a_further_page_that_did_not_come_is_asked_for_again_when_the_reader_moves(dashboard, gateway):
    made = [gateway.admin.post("/api/keys", json={"name": f"of many {n:02}"}).json()["id"] for n in range(55)]
    page = dashboard.page
    dashboard.expect(r"ERR_FAILED|Failed to (fetch|load resource)")
    page.clock.install()
    page.route(re.compile("cursor="), lambda route: route.abort())
    dashboard.open("keys?search=of many")
    table = page.get_by_role("table", name="Keys")
    table.locator("tr[data-index='0']").focus()
    page.keyboard.press("End")
    page.get_by_text("OmniRoute does not answer").wait_for()
    page.unroute_all()
    page.clock.run_for(10_000)
    page.keyboard.press("Home")
    page.keyboard.press("End")
    wait_for(lambda: page.keyboard.press("End") or page.get_by_text("of many 00").count(), 30)
    for one in made:
        gateway.admin.delete(f"/api/keys/{one}")


@pytest.mark.parametrize("status", [409, 503])
def test_a_switch_that_is_refused_goes_back_to_what_is_so(dashboard, gateway, status):
    node = {"prefix": "refuses", "baseUrl": gateway.fake.base_url, "name": "refuses", "allowPrivate": True}
    gateway.admin.post("/api/provider-nodes", json=node).raise_for_status()
    connection = {"provider": "refuses", "name": "main", "apiKey": "sk-of-it-0123456789"}
    gateway.admin.post("/api/providers", json=connection).raise_for_status()
    dashboard.expect(rf"status of {status}")
    page = dashboard.open("providers/refuses")
    refusal = {"error": {"message": "not just now"}}
    page.route("**/api/providers/*", lambda route: route.fulfill(status=status, json=refusal))
    switch = page.get_by_role("switch", name="Use main")
    switch.click()
    page.get_by_text("not just now").wait_for()
    expect(switch).to_be_checked()
    page.unroute_all()
    gateway.admin.delete("/api/provider-nodes/refuses").raise_for_status()


def test_a_page_whose_code_did_not_come_is_fetched_when_asked_again(dashboard):
    page = dashboard.open("health")
    dashboard.expect(r"ERR_FAILED|Failed to (fetch|load resource)")
    page.route("**/assets/*.js", lambda route: route.abort())
    page.get_by_role("link", name="Keys", exact=True).click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("OmniRoute does not answer")
    expect(alert).not_to_contain_text("assets")
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("table", name="Keys").wait_for()


@pytest.fixture
def unheard(dashboard):
    """A tab that hears of no change of the settings until it is called."""
    dashboard.expect(r"status of 409|ERR_FAILED|Failed to (fetch|load resource)")
    page = dashboard.page

    def let_only_changes_through(route):
        if route.request.method == "GET":
            route.abort()
        else:
            route.continue_()

    def begin():
        page.route("**/api/settings", let_only_changes_through)

    def read_anew(scope):
        scope.get_by_role("button", name="Save").click()
        scope.get_by_text("Somebody else has changed this meanwhile").wait_for()
        page.unroute_all()
        scope.get_by_role("button", name="Read anew").click()
        expect(scope.get_by_role("button", name="Read anew")).to_have_count(0)

    return begin, read_anew


def test_settings_that_are_read_anew_are_somebody_elses_and_not_what_was_typed(dashboard, gateway, unheard):
    """As its notice says: in fields and in lists to choose from."""
    begin, read_anew = unheard
    form = dashboard.open("settings/routing").locator("form", has=dashboard.page.get_by_label("Order of connections"))
    form.get_by_label("Order of connections").select_option("random")
    form.get_by_label("Conversations keep their connection").select_option("off")
    begin()
    gateway.admin.patch("/api/settings", json={"fallbackStrategy": "p2c"}).raise_for_status()
    read_anew(form)
    expect(form.get_by_label("Order of connections")).to_have_value("p2c")
    expect(form.get_by_label("Conversations keep their connection")).to_have_value("named")
    gateway.admin.patch("/api/settings", json={"fallbackStrategy": "fill-first"}).raise_for_status()


def test_budgets_that_are_read_anew_are_somebody_elses_and_not_what_was_typed(dashboard, gateway, unheard):
    begin, read_anew = unheard
    page = dashboard.open("usage/budgets")
    page.get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog", name="Budgets of tiers")
    cheap = dialog.get_by_role("group", name="Cheap")
    cheap.get_by_label("Limit").fill("12")
    cheap.get_by_label("Renews").select_option("daily")
    begin()
    theirs = {"tierBudgets": {"cheap": {"usd": 7, "period": "weekly"}}}
    gateway.admin.patch("/api/settings", json=theirs).raise_for_status()
    read_anew(dialog)
    expect(cheap.get_by_label("Limit")).to_have_value("7")
    expect(cheap.get_by_label("Renews")).to_have_value("weekly")
    gateway.admin.patch("/api/settings", json={"tierBudgets": {"cheap": None}}).raise_for_status()
