"""What is around the pages: the login, the menu, the bar, the palette, languages, and what a browser may do at all."""

import contextlib
import re

import httpx
import pytest
from playwright.sync_api import TimeoutError as NotInTime
from playwright.sync_api import expect

from tests.dashboard.conftest import PASSWORD
from tests.support.product import wait_for

expect.set_options(timeout=30_000)


def test_the_password_logs_in_and_the_page_that_was_asked_for_comes(visit):
    it = visit()
    page = it.open("overview-that-is-not?x=1")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Not found").wait_for()
    page.get_by_role("navigation", name="Main menu").get_by_role("link", name="Overview").click()
    page.get_by_role("heading", name="Overview").wait_for()
    assert page.url.rstrip("/").endswith("/dashboard")


def test_a_wrong_password_is_told_in_the_apis_words_and_too_many_are_counted_down(visit, gateway):
    it = visit()
    it.expect(r"status of (401|429)")
    page = it.open()
    page.get_by_role("button", name="Log in as another user").click()
    page.get_by_label("User name").fill("nobody-is-called-this")
    for _ in range(12):
        page.get_by_label("Password", exact=True).fill("wrong")
        page.keyboard.press("Enter")
        alert = page.get_by_role("alert")
        alert.wait_for()
        if "Too many" in alert.inner_text():
            break
        assert "the name or the password is wrong" in alert.inner_text()
    assert re.search(r"\d+:\d\d", page.get_by_role("timer").inner_text())
    assert page.get_by_role("button", name="Log in", exact=True).is_disabled()
    assert it.axe() == []
    gateway.admin.post("/api/policies", json={"action": "unlock", "identifier": "127.0.0.1"})


def test_a_session_that_ends_shows_the_login_and_what_was_typed_is_kept(visit, gateway):
    answer = httpx.post(f"{gateway.url}/api/auth/login", json={"password": PASSWORD}, timeout=60)
    assert answer.status_code == 200, answer.text
    it = visit(answer.cookies["auth_token"])
    it.expect(r"status of 401")
    page = it.open()
    page.locator("omni-bar").wait_for()
    page.evaluate("document.querySelector('main').dataset.mark = 'kept'")
    httpx.post(
        f"{gateway.url}/api/auth/logout", cookies=dict(answer.cookies), timeout=60,
        headers={"x-csrf-token": answer.json()["csrfToken"]},
    ).raise_for_status()  # fmt: skip
    page.get_by_label("Password", exact=True).wait_for(timeout=60_000)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    page.locator("omni-bar").wait_for()
    assert page.evaluate("document.querySelector('main').dataset.mark") == "kept"


def test_the_code_that_serve_opens_the_browser_with_logs_in_once(gateway, visit):
    # The code itself goes from process to process; that it works once is said by the admin API's own tests.
    it = visit()
    it.expect(r"status of 401")
    it.page.goto(f"{gateway.url}/dashboard/#login={'x' * 43}")
    it.page.get_by_label("Password", exact=True).wait_for()
    assert "#" not in it.page.url


def test_nothing_of_the_frame_breaks_wcag_in_either_theme_on_either_screen(visit, session):
    for scheme in ("light", "dark"):
        for width in (390, 1440):
            it = visit(session, color_scheme=scheme, viewport={"width": width, "height": 900})
            it.open()
            it.page.locator("dl.stats, .state").first.wait_for()
            assert it.axe() == []
            assert it.has_no_sideways_scroll()
            it.close()


def test_the_palette_finds_a_page_by_keyboard_alone(dashboard):
    page = dashboard.open("nothing-here")
    page.locator("omni-palette").wait_for(state="attached")
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Go to a page").wait_for()
    page.keyboard.type("overv")
    assert dashboard.axe() == []
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Overview").wait_for()


@pytest.mark.parametrize(
    ("language", "title", "direction"),
    [("pt-BR", "Visão geral", "ltr"), ("es", "Resumen", "ltr"), ("zh-CN", "概览", "ltr"), ("ar", "نظرة عامة", "rtl")],
)
def test_the_browsers_language_is_spoken_in_its_direction(visit, session, language, title, direction):
    it = visit(session, locale=language)
    page = it.open()
    expect(page.locator("h1:visible")).to_have_text(title)
    assert page.evaluate("document.documentElement.dir") == direction
    assert it.has_no_sideways_scroll()
    assert it.axe() == []


def test_another_language_and_theme_are_chosen_in_place_and_kept(dashboard):
    page = dashboard.open()
    page.get_by_label("Language").select_option("es")
    expect(page.locator("h1:visible")).to_have_text("Resumen")
    page.get_by_label("Tema").select_option("dark")
    dashboard.open()
    expect(page.locator("h1:visible")).to_have_text("Resumen")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_the_menu_of_a_small_screen_opens_and_closes_by_keyboard(visit, session):
    it = visit(session, viewport={"width": 390, "height": 844})
    page = it.open()
    link = page.get_by_role("navigation", name="Main menu").get_by_role("link", name="Overview")
    expect(link).to_be_hidden()
    page.get_by_role("button", name="Open menu").click()
    expect(link).to_be_focused()
    assert it.axe() == []
    page.keyboard.press("Escape")
    expect(link).to_be_hidden()


def test_a_product_that_is_away_is_told_and_found_again(visit, session):
    it = visit(session)
    it.expect(r"Failed to (fetch|load resource)|ERR_FAILED|net::")
    page = it.page
    page.route(
        "**/api/**", lambda route: route.abort() if "auth/status" not in route.request.url else route.continue_()
    )
    it.open()
    page.get_by_text("OmniRoute does not answer").wait_for()
    assert it.axe() == []
    page.unroute("**/api/**")
    with contextlib.suppress(NotInTime):  # the page tries by itself too, and its button is gone then
        page.get_by_role("button", name="Try again").click(timeout=3000)
    page.locator("dl.stats, .state-title", has_not_text="does not answer").first.wait_for()


def test_pages_work_below_any_path(gateway, visit, session):
    page = httpx.get(f"{gateway.url}/dashboard/logs/some/thing", timeout=60)
    assert page.status_code == 200
    assert 'src="../../assets/' in page.text
    assert '"/' not in page.text


def test_a_live_view_is_told_of_and_gone_when_its_tab_is(gateway, visit, session):
    def listeners() -> int:
        return int(gateway.health()["live"]["listeners"])

    it = visit(session)
    it.open()
    wait_for(lambda: listeners() > 0, 30)
    it.page.get_by_text("Live", exact=True).wait_for()
    it.close()
    wait_for(lambda: listeners() == 0, 60)
