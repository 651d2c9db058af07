"""The page of keys: made and shown once, limited, changed, rotated, switched off, deleted; with what each used, and by whom."""

import pytest
from playwright.sync_api import expect

from tests.support.product import wait_for

expect.set_options(timeout=30_000)

HOSTILE = "\u202e<img src=x onerror=\"document.title='owned'\">" + "é" * 150


@pytest.fixture
def make_key(gateway):
    """A key of a test's own, made through the API."""

    def make(**body):
        answer = gateway.admin.post("/api/keys", json={"name": gateway.new_id(), **body})
        assert answer.status_code == 201, answer.text
        return answer.json()

    return make


def status_of(gateway, secret):
    return gateway.chat(key=secret).status_code


def test_a_key_is_made_shown_once_and_what_it_used_is_there(dashboard, gateway):
    name = gateway.new_id()
    page = dashboard.open("keys")
    page.get_by_role("button", name="New key").first.click()
    page.get_by_role("textbox", name="Name").fill(name)
    page.get_by_label("Models").fill("local/*")
    page.get_by_role("button", name="Create key").click()
    dialog = page.get_by_role("dialog", name="Copy this secret now")
    secret = dialog.get_by_label(f"Secret of {name}").inner_text()
    assert dashboard.axe() == []
    dialog.get_by_role("button", name="I have it").click()
    page.get_by_role("dialog", name=name).wait_for()
    assert secret not in page.content()
    assert gateway.chat(key=secret).status_code == 200
    assert gateway.chat("pair/ok", key=secret).status_code == 403
    key = page.url.split("id=")[1].split("&")[0]
    wait_for(lambda: gateway.admin.get(f"/api/keys/{key}?range=1d").json()["usage"]["requests"] > 0, 30)
    page.reload()
    requests = page.get_by_role("dialog", name=name).locator(".stat", has_text="Requests").locator(".stat-value")
    expect(requests).not_to_have_text("0")
    assert dashboard.axe() == []


def test_what_the_api_refuses_stands_at_its_field_and_what_was_typed_stays(dashboard, gateway):
    dashboard.expect("status of 400")
    page = dashboard.open("keys?add=1")
    page.get_by_role("button", name="Create key").click()
    expect(page.get_by_text("This is needed.")).to_be_visible()
    page.get_by_role("textbox", name="Name").fill(gateway.new_id())
    page.get_by_label("Addresses").fill("10.0.0.0/8\nexample.org")
    page.get_by_role("button", name="Create key").click()
    expect(page.get_by_text("Line 2: must be an address")).to_be_visible()
    expect(page.get_by_label("Addresses")).to_be_focused()
    expect(page.get_by_label("Addresses")).to_have_value("10.0.0.0/8\nexample.org")
    assert dashboard.axe() == []


def test_a_key_is_changed_and_of_two_who_change_it_the_second_is_told(dashboard, gateway, make_key):
    dashboard.expect("status of 409")
    key = make_key()
    page = dashboard.open(f"keys?id={key['id']}&edit=1")
    page.get_by_role("group", name="Limits").get_by_label("Requests", exact=False).first.fill("60")
    gateway.admin.patch(f"/api/keys/{key['id']}", json={"tpm": 777}).raise_for_status()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Read anew").click()
    expect(page.get_by_role("group", name="Limits").get_by_label("Tokens")).to_have_value("777")
    page.get_by_role("group", name="Limits").get_by_label("Requests", exact=False).first.fill("60")
    page.get_by_label("Budget (optional)", exact=True).fill("2.5")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("$0.00 of $2.50").first).to_be_visible()

    def limits() -> tuple[object, ...]:
        now = gateway.admin.get(f"/api/keys/{key['id']}").json()
        return now["rpm"], now["tpm"], now["budgetUsd"], now["budgetPeriod"]

    # The page shows what was typed before it is saved.
    wait_for(lambda: limits() == (60, 777, 2.5, "monthly"), 5, lambda: str(limits()))


def test_what_is_read_anew_is_new_though_the_page_asks_by_itself_meanwhile(dashboard, gateway, make_key):
    dashboard.expect("status of 409")
    key, other = make_key(), make_key()
    page = dashboard.open(f"keys?id={key['id']}&edit=1")
    page.get_by_role("group", name="Limits").get_by_label("Requests", exact=False).first.fill("60")
    gateway.admin.patch(f"/api/keys/{key['id']}", json={"tpm": 777}).raise_for_status()
    page.get_by_role("button", name="Save").click()
    held = []

    def hold_the_first(route):
        if held:
            route.continue_()
        else:
            held.append(route)
            gateway.admin.patch(f"/api/keys/{other['id']}", json={"tpm": 1}).raise_for_status()

    page.route(f"**/api/keys/{key['id']}?*", hold_the_first)
    page.get_by_role("button", name="Read anew").click()
    expect(page.get_by_role("group", name="Limits").get_by_label("Tokens")).to_have_value("777")


def test_a_rotated_key_has_a_new_secret_and_the_old_one_for_as_long_as_was_said(dashboard, gateway, make_key):
    key = make_key()
    page = dashboard.open(f"keys?id={key['id']}")
    page.get_by_role("button", name="Rotate").click()
    dialog = page.get_by_role("dialog", name="Make a new secret")
    dialog.get_by_label("The secret of now ends").select_option("In an hour")
    dialog.get_by_role("button", name="Rotate").click()
    secret = page.get_by_label(f"Secret of {key['name']}").inner_text()
    page.get_by_role("button", name="I have it").click()
    expect(page.get_by_text("The secret of before works too")).to_be_visible()
    assert status_of(gateway, secret) == status_of(gateway, key["key"]) == 200


def test_a_key_is_switched_off_and_on_again_by_undo_and_deleted_when_asked(dashboard, gateway, make_key):
    key = make_key()
    page = dashboard.open(f"keys?id={key['id']}")
    page.get_by_role("button", name="Switch off").click()
    undo = page.get_by_role("button", name="Undo")
    wait_for(lambda: status_of(gateway, key["key"]) == 401, 30)
    undo.click()
    wait_for(lambda: status_of(gateway, key["key"]) == 200, 30)
    page.get_by_role("dialog", name=key["name"]).get_by_role("button", name="Delete").click()
    sure = page.get_by_role("dialog", name="Delete the key")
    sure.get_by_role("button", name="Cancel").click()
    expect(sure).to_have_count(0)
    assert gateway.admin.get(f"/api/keys/{key['id']}").status_code == 200
    page.get_by_role("dialog", name=key["name"]).get_by_role("button", name="Delete").click()
    page.get_by_role("dialog", name="Delete the key").get_by_role("button", name="Delete").click()
    wait_for(lambda: gateway.admin.get(f"/api/keys/{key['id']}").status_code == 404, 30)


def test_a_key_is_found_and_opened_by_keyboard(dashboard, make_key):
    key = make_key()
    page = dashboard.open("keys")
    page.get_by_label("Search by name").fill(key["name"])
    row = page.get_by_role("row").filter(has_text=key["name"])
    expect(page.locator("tbody tr[data-index]")).to_have_count(1)
    assert f"search={key['name']}" in page.url
    row.focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog", name=key["name"]).wait_for()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name=key["name"])).to_have_count(0)
    page.get_by_label("Search by name").fill("there is no such name")
    expect(page.get_by_text("No key has that in its name")).to_be_visible()


def test_a_hostile_name_is_shown_as_it_is(dashboard, make_key):
    key = make_key(name=HOSTILE)
    page = dashboard.open(f"keys?id={key['id']}")
    page.get_by_role("dialog").get_by_text("<img src=x").first.wait_for()
    assert page.title() != "owned"
    assert dashboard.has_no_sideways_scroll()


def test_a_viewer_sees_keys_and_nothing_to_change_them_with(visit, viewer, make_key):
    key = make_key()
    it = visit(viewer)
    page = it.open(f"keys?id={key['id']}")
    page.get_by_role("dialog", name=key["name"]).wait_for()
    for name in ("Edit", "Rotate", "Switch off", "Delete", "New key"):
        expect(page.get_by_role("button", name=name, include_hidden=True)).to_have_count(0)


def test_keys_break_no_rule_of_wcag_on_either_screen_in_either_theme(visit, session, make_key):
    key = make_key(budgetUsd=1, expiresAt=2_000_000_000, allowedModels=["local/*"])
    for scheme, width in (("light", 390), ("dark", 1440)):
        it = visit(session, color_scheme=scheme, viewport={"width": width, "height": 900})
        for path in ("keys", f"keys?id={key['id']}", f"keys?id={key['id']}&edit=1"):
            page = it.open(path)
            page.get_by_role("row").nth(1).wait_for() if path == "keys" else page.get_by_role("dialog").wait_for()
            assert it.axe() == [], (scheme, width, path)
            assert it.has_no_sideways_scroll(), (width, path)
        it.close()
