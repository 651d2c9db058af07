"""The guide through the first start."""

import pytest
from playwright.sync_api import expect

expect.set_options(timeout=30_000)


@pytest.fixture
def first_start(gateway):
    """The product as if nobody had been led through it; afterwards, as if somebody had."""
    assert gateway.admin.patch("/api/settings", json={"setupComplete": False}).status_code == 200
    yield
    assert gateway.admin.patch("/api/settings", json={"setupComplete": True}).status_code == 200


def test_it_leads_from_the_overview_to_a_first_request_and_a_clients_settings(dashboard, gateway, first_start):
    page = dashboard.open()
    page.get_by_role("heading", name="Welcome to OmniRoute").wait_for()
    assert dashboard.axe() == []
    page.get_by_role("button", name="Skip").click()
    page.get_by_role("button", name="Use the demo").click()
    page.get_by_role("button", name="Send", exact=True).click()
    page.get_by_text("It works").wait_for()
    assert dashboard.axe() == []
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Gateway key").wait_for()
    key = page.get_by_label("Gateway key").inner_text()
    assert gateway.chat("demo/story", key=key).status_code == 200
    page.get_by_role("button", name="Finish").click()
    page.get_by_role("heading", name="Overview").wait_for()
    assert gateway.admin.get("/api/settings").json()["setupComplete"] is True


def test_it_can_be_left_at_once_and_does_not_come_again(dashboard, first_start):
    page = dashboard.open()
    page.get_by_role("button", name="Leave the guide").click()
    page.get_by_role("heading", name="Overview").wait_for()
    dashboard.open()
    page.get_by_role("heading", name="Overview").wait_for()


def test_a_wrong_password_is_told_at_its_place(dashboard, gateway):
    dashboard.expect(r"status of 4\d\d")
    page = dashboard.open("welcome")
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_label("Current password")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Current password").fill("not the password")
    page.get_by_label("New password").fill("a long new password")
    page.get_by_role("button", name="Set the password").click()
    page.get_by_text("the password is wrong").wait_for()
