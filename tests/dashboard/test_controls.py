"""Controls that say what is so, whatever was done before, and those that no page's own test presses."""

import re

import httpx
import pytest
from playwright.sync_api import expect

from tests.dashboard.conftest import PASSWORD
from tests.support.product import wait_for

expect.set_options(timeout=30_000)


@pytest.mark.parametrize("path", ["keys", "quotas", "logs", "logs/audit", "logs/console", "usage/prices", "providers"])
def test_a_search_that_is_typed_slowly_keeps_its_spaces(dashboard, path):
    page = dashboard.page
    page.clock.install()
    dashboard.open(path)
    search = page.locator("main input[type=search]").first
    search.click()
    page.keyboard.type("two ")
    page.clock.run_for(1_000)
    expect(page).to_have_url(re.compile("two"))
    page.keyboard.type("words")
    expect(search).to_have_value("two words")


def test_filters_that_are_cleared_say_so_however_often_they_were_chosen(dashboard):
    page = dashboard.open("logs?search=that-nobody-asked-for")
    status = page.get_by_label("Any status")
    for value in ("error", "", "error"):
        status.select_option(value)
    page.get_by_role("button", name="Clear filters").click()
    expect(page).not_to_have_url(re.compile("status"))
    expect(status).to_have_value("")


def test_back_in_the_dry_run_shows_the_question_that_is_answered(dashboard):
    page = dashboard.open("combos?try=1")
    model = page.get_by_label("Model, as a caller names it")
    for name in ("local/first", "local/second"):
        model.fill(name)
        page.get_by_role("button", name="Show the way").click()
        page.get_by_role("list", name="Tried in this order").get_by_text(name).first.wait_for()
    page.go_back()
    page.get_by_role("list", name="Tried in this order").get_by_text("local/first").first.wait_for()
    expect(model).to_have_value("local/first")


def test_a_secret_that_is_shown_once_is_not_lost_by_a_press_beside_it(dashboard, gateway):
    page = dashboard.open("keys?add=1")
    page.get_by_role("dialog", name="New key").get_by_label("Name", exact=True).fill("kept in view")
    page.get_by_role("button", name="Create key").click()
    shown = page.get_by_role("dialog").locator("[data-once]")
    shown.wait_for()
    page.mouse.click(5, 5)
    expect(shown).to_be_visible()
    page.get_by_role("dialog").last.get_by_role("button", name="I have it").click()
    expect(shown).to_have_count(0)
    for one in gateway.admin.get("/api/keys?search=kept in view").json()["keys"]:
        gateway.admin.delete(f"/api/keys/{one['id']}")


@pytest.mark.parametrize(
    ("path", "has_range"),
    [
        ("", True),
        ("usage", True),
        ("usage/prices", False),
        ("logs/audit", True),
        ("settings", False),
        ("models", False),
    ],
)
def test_a_time_range_is_offered_where_it_changes_something(dashboard, path, has_range):
    page = dashboard.open(path)
    expect(page.get_by_label("Time range")).to_have_count(1 if has_range else 0)


@pytest.fixture
def owner(gateway):
    """Another owner: what ends or changes their sessions is nobody else's matter."""
    made = gateway.admin.post("/api/users", json={"name": gateway.new_id(), "password": PASSWORD, "role": "owner"})
    yield made.json()["name"]
    gateway.admin.delete(f"/api/users/{made.json()['id']}")


def log_in(gateway, name):
    body = {"username": name, "password": PASSWORD}
    answer = httpx.post(f"{gateway.url}/api/auth/login", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.cookies["auth_token"]


def test_ones_own_session_is_marked_another_is_ended_and_then_all_of_ones_own(visit, gateway, owner):
    mine, other = log_in(gateway, owner), log_in(gateway, owner)
    it = visit(mine)
    it.expect("status of 401")
    page = it.open("settings/security")
    rows = page.get_by_role("region", name="Who is logged in").locator("tbody tr", has_text=owner)
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="you")).to_have_count(1)
    rows.filter(has_not_text="you").get_by_role("button").click()
    page.get_by_role("dialog").get_by_role("button", name=f"End this session of {owner}").click()
    expect(rows).to_have_count(1)
    assert httpx.get(f"{gateway.url}/api/keys", cookies={"auth_token": other}, timeout=60).status_code == 401
    page.get_by_role("button", name="End all my sessions").click()
    page.get_by_role("dialog").get_by_role("button", name="End all my sessions").click()
    page.get_by_label("Password", exact=True).wait_for()
    assert httpx.get(f"{gateway.url}/api/keys", cookies={"auth_token": mine}, timeout=60).status_code == 401


def test_the_palette_sets_what_the_bar_shows_and_logs_out(visit, gateway, owner):
    page = visit(log_in(gateway, owner)).open("usage")

    def run(command):
        page.keyboard.press("Control+k")
        page.locator("omni-palette input").fill(command)
        page.keyboard.press("Enter")

    bar = page.locator("omni-bar")
    bar.locator("select.range").select_option("7d")
    run("30 days")
    expect(bar.locator("select.range")).to_have_value("30d")
    expect(page).to_have_url(re.compile("range=30d"))
    run("dark")
    expect(bar.locator("select.theme")).to_have_value("dark")
    run("español")
    expect(bar.locator("select.language")).to_have_value("es")
    expect(page).to_have_title("Uso y costes · OmniRoute")
    run("cerrar sesión")
    page.get_by_role("button", name="Entrar", exact=True).wait_for()


def test_what_rests_is_shown_and_woken_from_health_and_from_its_provider(dashboard, gateway):
    admin = gateway.admin
    node = {"prefix": "rests", "baseUrl": gateway.fake.base_url, "name": "rests", "allowPrivate": True}
    admin.post("/api/provider-nodes", json=node).raise_for_status()
    connection = {"provider": "rests", "name": "tired", "apiKey": "sk-tired-0123456789"}
    admin.post("/api/providers", json=connection).raise_for_status()
    rules = {"cooldown_s": 600, "cooldown_max_s": 600}
    admin.patch("/api/resilience", json={"rules": {"rests": rules}}).raise_for_status()
    gateway.wait_taken_up()

    def tire():
        # A worker that has not heard yet that the rest is over asks nobody.
        wait_for(lambda: gateway.chat("rests/status:429") and gateway.health()["lockouts"], 30)

    tire()
    page = dashboard.open("providers/rests")
    page.get_by_role("button", name="End rests").click()
    page.get_by_text("Nothing of it rests any longer").wait_for()
    expect(page.get_by_role("button", name="End rests")).to_have_count(0)
    assert gateway.health()["lockouts"] == []
    tire()
    page = dashboard.open("health")
    cooldowns = page.locator(".card", has=page.get_by_role("heading", name="Cooldowns", exact=True))
    expect(cooldowns.get_by_text("tired")).to_be_visible()
    assert dashboard.axe() == []
    cooldowns.get_by_role("button", name="Reset").click()
    expect(cooldowns.get_by_text("tired")).to_have_count(0)
    assert gateway.health()["lockouts"] == []
    admin.delete("/api/provider-nodes/rests").raise_for_status()
    admin.patch("/api/resilience", json={"rules": {"rests": None}}).raise_for_status()


def test_what_was_deleted_is_taken_back_without_a_mouse(dashboard, gateway):
    gateway.admin.put("/api/models/alias", json={"alias": "back-again", "model": "local/ok"}).raise_for_status()
    page = dashboard.open("models?view=aliases")
    page.get_by_role("button", name="Delete back-again").press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Delete").press("Enter")
    page.get_by_role("button", name="Undo").wait_for()
    assert "back-again" not in gateway.admin.get("/api/models/alias").json()["aliases"]
    page.keyboard.press("Control+z")
    page.get_by_text("Taken back").wait_for()
    assert gateway.admin.get("/api/models/alias").json()["aliases"]["back-again"] == "local/ok"
    gateway.admin.delete("/api/models/alias?alias=back-again").raise_for_status()


def test_what_is_taken_along_comes_as_files(dashboard):
    page = dashboard.open("settings/storage")
    for name, file in (("Database", "omniroute.sqlite"), ("Config file", "omniroute.yaml")):
        with page.expect_download() as download:
            page.get_by_role("link", name=name).click()
        assert download.value.suggested_filename == file
        assert download.value.path().stat().st_size > 0
    expect(page).to_have_url(re.compile("settings/storage$"))
