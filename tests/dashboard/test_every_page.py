"""What every page promises: it waits calmly, says what is wrong and comes back by itself, asks little, and jumps nowhere."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.dashboard.conftest import PASSWORD
from tests.support.dashboard import Dashboard

expect.set_options(timeout=30_000)

PAGES = (
    "", "providers", "providers/local", "combos", "combos?try=1", "models", "models?view=aliases", "keys", "usage", "usage/budgets",
    "usage/prices", "quotas", "logs", "logs/audit", "logs/console", "health", "endpoint", "settings", "settings/routing",
    "settings/resilience", "settings/network", "settings/storage", "settings/users", "welcome?step=2",
)  # fmt: skip
"""Each view that asks the API for something when it is opened."""
MOST_REQUESTS = 3
_SHIFTS = """
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.shifted = (window.shifted ?? 0) + entry.value;
}).observe({type: 'layout-shift', buffered: true});
"""
_MOST_SHIFT = 0.05
"""Half of what counts as good (web.dev/cls)."""


class Api:
    """Stands between a page and the API: holds its questions back, or answers them badly. The session's own go through."""

    def __init__(self, page: Page) -> None:
        self.asked: list[str] = []
        self._held: list[Route] = []
        self._act: Callable[[Route], Any] | None = None
        page.route("**/api/**", self._meet)

    def hold(self) -> None:
        self._act = self._held.append

    def fail(self, **answer: Any) -> None:
        self._act = lambda route: route.fulfill(content_type="application/json", **answer)

    def cut(self) -> None:
        self._act = lambda route: route.abort()

    def heal(self) -> None:
        self._act = None
        while self._held:
            self._held.pop().continue_()

    def _meet(self, route: Route) -> None:
        address = route.request.url
        if re.search(r"/api/(auth/|live)", address):
            route.continue_()
            return
        if route.request.method == "GET":
            self.asked.append(address.partition("/api/")[2])
        if self._act:
            self._act(route)
        else:
            route.continue_()


@pytest.fixture(scope="module")
def tab(gateway, chromium):
    """One tab for all of them; a page is opened anew in each test. Its session is its own: a login ends the one before."""
    gateway.chat("local/seen")
    answer = httpx.post(f"{gateway.url}/api/auth/login", json={"password": PASSWORD}, timeout=60)
    it = Dashboard(chromium, gateway.url, answer.cookies["auth_token"])
    it.page.add_init_script(_SHIFTS)
    it.expect(r"status of (401|500)|Failed to (fetch|load resource)|ERR_FAILED|net::")
    yield it
    assert it.problems() == []
    it.close()


@pytest.fixture
def api(tab):
    tab.page.unroute_all()
    return Api(tab.page)


def named(path: str) -> str:
    return path or "overview"


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_it_waits_in_grey_asks_three_times_at_most_and_does_not_jump_when_the_answers_come(tab, api, path):
    api.hold()
    page = tab.open(path)
    page.locator("main .loading").wait_for()
    api.heal()
    expect(page.locator("main .loading")).to_have_count(0)
    assert len(api.asked) <= MOST_REQUESTS, api.asked
    assert page.evaluate("window.shifted ?? 0") < _MOST_SHIFT


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_it_says_what_is_wrong_and_comes_back(tab, api, path):
    """An error in the API's own words, then no answer at all, then all is well again: by the button, at the same address."""
    api.fail(status=500, body='{"error": {"message": "the disk is on fire"}}')
    page = tab.open(path)
    page.get_by_text("the disk is on fire").first.wait_for()
    api.cut()
    page.get_by_role("button", name="Try again").first.click()
    page.get_by_text("OmniRoute does not answer").first.wait_for()
    api.heal()
    page.get_by_role("button", name="Try again").first.click()
    expect(page.locator("main .loading, main .state[role=alert]")).to_have_count(0)
    assert page.url.endswith(f"/dashboard/{path}")


@pytest.mark.parametrize("path", [path for path in PAGES if path.isalpha()])
def test_a_session_that_has_ended_leads_through_the_login_back_to_where_one_was(tab, api, path):
    api.fail(status=401, headers={"www-authenticate": "Session"}, body='{"error": {"message": "log in"}}')
    page = tab.page
    page.goto(f"{tab.url}/dashboard/{path}")
    password = page.get_by_label("Password", exact=True).and_(page.locator("omni-login input"))
    password.wait_for()
    api.heal()
    password.fill(PASSWORD)
    password.press("Enter")
    page.locator("h1:visible").wait_for()
    expect(page.locator("main .loading, main .state[role=alert]")).to_have_count(0)
    assert page.url.endswith(f"/dashboard/{path}")
