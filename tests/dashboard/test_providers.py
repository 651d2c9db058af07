"""Providers in a browser: an endpoint and its keys from the first to the last, and what is shown of them."""

import uuid

import httpx
import pytest
from playwright.sync_api import expect

from tests.support.product import wait_for

expect.set_options(timeout=30_000)

LIMIT_S = 30
HOSTILE = "<img src=x onerror=alert(1)> \u202e reversed " + "x" * 150


class Node:
    """An endpoint of this test alone, made through the API, with the fake provider behind it."""

    def __init__(self, gateway):
        self.admin = gateway.admin
        self.id = f"p{uuid.uuid4().hex[:8]}"
        body = {"prefix": self.id, "name": f"Node {self.id}", "baseUrl": gateway.fake.base_url, "allowPrivate": True}
        self.admin.post("/api/provider-nodes", json=body).raise_for_status()

    def connect(self, name, **more):
        body = {"provider": self.id, "name": name, "apiKey": f"sk-of-{name[:20]}-0123456789", **more}
        answer = self.admin.post("/api/providers", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["connection"]

    def connections(self):
        """As the API has them, in the order in which they are asked."""
        found = self.admin.get("/api/providers").json()["connections"]
        return [one for one in found if one["provider"] == self.id]

    def order(self):
        return [one["name"] for one in self.connections()]

    def models(self):
        return {one["id"]: one for one in self.admin.get(f"/api/provider-models?provider={self.id}").json()["models"]}


@pytest.fixture
def node(gateway):
    made = Node(gateway)
    yield made
    made.admin.delete(f"/api/provider-nodes/{made.id}")


def row(page, name):
    return page.locator(".connection", has=page.get_by_text(name, exact=True))


def test_an_endpoint_of_ones_own_is_tested_added_and_works(dashboard, gateway):
    prefix = f"own{uuid.uuid4().hex[:6]}"
    dashboard.expect(r"status of 400")
    page = dashboard.open("providers")
    page.get_by_role("button", name="Add own endpoint").click()
    page.get_by_label("Base URL").fill("nonsense")
    page.get_by_label("Prefix").fill(prefix)
    page.get_by_role("button", name="Test and add").click()
    page.get_by_text("must begin with http:// or https://").wait_for()
    page.get_by_label("Base URL").fill(gateway.fake.base_url)
    page.get_by_role("button", name="Test and add").click()
    page.get_by_text("The test failed").wait_for()
    page.get_by_label("Allow private addresses").check()
    page.get_by_role("button", name="Test and add").click()
    page.wait_for_url(f"**/providers/{prefix}")
    row(page, "main").get_by_text("Works", exact=True).wait_for()
    gateway.admin.delete(f"/api/provider-nodes/{prefix}")
    page.get_by_text("There is no such provider.").wait_for()


def test_a_key_that_is_refused_is_told_before_it_is_kept(dashboard, gateway, node):
    gateway.fake.plan("status:401", key="sk-this-one-is-refused")
    page = dashboard.open(f"providers/{node.id}?add=1")
    page.get_by_label("API key").fill("sk-this-one-is-refused")
    page.get_by_role("button", name="Test and add").click()
    page.get_by_text("The test failed").wait_for()
    assert node.connections() == []
    page.get_by_label("API key").fill("sk-this-one-is-taken-00")
    page.get_by_role("button", name="Test and add").click()
    row(page, "main").get_by_text("Works", exact=True).wait_for()


def test_connections_are_reordered_by_keyboard_and_it_can_be_undone(dashboard, node):
    for name in ("first", "second"):
        node.connect(name)
    page = dashboard.open(f"providers/{node.id}")
    page.get_by_role("button", name="Move second").focus()
    for key in (" ", "ArrowUp", " "):
        page.keyboard.press(key)
    page.get_by_text("Order changed").wait_for()
    page.get_by_role("button", name="Undo").click()
    wait_for(lambda: node.order() == ["first", "second"], LIMIT_S)


def test_connections_are_reordered_by_dragging(dashboard, node):
    for name in ("first", "second"):
        node.connect(name)
    page = dashboard.open(f"providers/{node.id}")
    grip, to = page.get_by_role("button", name="Move first"), page.get_by_role("button", name="Move second")
    grip.hover()
    page.mouse.down()
    box = to.bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()
    wait_for(lambda: node.order() == ["second", "first"], LIMIT_S)


def test_a_connection_is_switched_off_changed_tested_and_deleted(dashboard, node):
    node.connect("work")
    dashboard.expect(r"status of 400")
    page = dashboard.open(f"providers/{node.id}")
    page.get_by_role("switch", name="Use work").click()
    row(page, "work").get_by_text("Off", exact=True).wait_for()
    page.get_by_role("switch", name="Use work").click()
    row(page, "work").get_by_text("Not tested", exact=True).wait_for()
    page.get_by_role("button", name="Test work").click()
    row(page, "work").get_by_text("Works", exact=True).wait_for()
    page.get_by_role("button", name="Edit work").click()
    page.get_by_label("Requests a minute").fill("60")
    page.get_by_label("Name").fill("renamed")
    page.get_by_label("Proxy").fill("nonsense")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("must be a URL of http, https").wait_for()
    page.get_by_label("Proxy").fill("")
    page.get_by_role("button", name="Save").click()
    row(page, "renamed").get_by_text("60 a minute").wait_for()
    [stored] = node.connections()
    assert (stored["rpm"], stored["hasProxy"], stored["testStatus"]) == (60, False, "active")
    page.get_by_role("button", name="Delete renamed").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_text("No connection yet").wait_for()
    assert node.connections() == []


def test_what_somebody_else_changed_meanwhile_is_not_written_over(dashboard, node):
    connection = node.connect("work")
    dashboard.expect(r"status of 409")
    page = dashboard.open(f"providers/{node.id}?edit={connection['id']}")
    page.get_by_label("Requests a minute").wait_for()
    node.admin.put(f"/api/providers/{connection['id']}", json={"rpm": 77}).raise_for_status()
    page.get_by_label("Requests a minute").fill("60")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Read anew").click()
    expect(page.get_by_label("Requests a minute")).to_have_value("77")
    page.get_by_label("Requests a minute").fill("60")
    page.get_by_role("button", name="Save").click()
    wait_for(lambda: node.connections()[0]["rpm"] == 60, LIMIT_S)


def test_models_are_found_added_changed_and_taken_away(dashboard, node):
    node.connect("work")
    page = dashboard.open(f"providers/{node.id}")
    page.get_by_role("button", name="Add model").click()
    page.get_by_label("Model ID").fill("vendor/new")
    page.get_by_label("Context").fill("32000")
    page.get_by_role("dialog").get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("cell", name="32K").wait_for()
    page.get_by_role("button", name="Edit vendor/new").click()
    page.get_by_label("Max output").fill("4000")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("dialog").wait_for(state="hidden")
    assert node.models()["vendor/new"]["maxOutput"] == 4000
    page.get_by_role("button", name="Delete vendor/new").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Undo").click()
    wait_for(lambda: node.models().get("vendor/new", {}).get("contextLength") == 32000, LIMIT_S)
    page.get_by_role("button", name="Find models").click()
    page.get_by_role("dialog").get_by_role("checkbox").first.check()
    page.get_by_role("button", name="Add 1 model").click()
    wait_for(lambda: len(node.models()) == 2, LIMIT_S)


def test_a_provider_that_is_paused_gets_no_requests_until_it_is_resumed(dashboard, gateway, node):
    node.connect("work", models=["m1"])
    page = dashboard.open(f"providers/{node.id}")
    page.get_by_role("button", name="Pause provider").click()
    page.get_by_text("Paused", exact=True).wait_for()
    assert node.id in gateway.admin.get("/api/settings").json()["blockedProviders"]
    assert gateway.admin.get("/api/models/catalog").json()["catalog"][node.id]["active"] is False
    page.get_by_role("button", name="Resume provider").click()
    page.get_by_role("button", name="Pause provider").wait_for()
    assert node.id not in gateway.admin.get("/api/settings").json()["blockedProviders"]


def test_the_search_is_in_the_address_and_finds_what_is_not_connected(dashboard):
    page = dashboard.open("providers")
    page.get_by_role("searchbox").fill("mistral")
    expect(page.get_by_role("heading", name="Built in")).to_have_count(0)
    page.get_by_role("link", name="Mistral").wait_for()
    assert "q=mistral" in page.url
    page.get_by_role("link", name="Add key").click()
    page.get_by_role("heading", name="Add a key for Mistral").wait_for()
    page.get_by_role("button", name="Test and add").click()
    page.get_by_text("This is needed.").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("searchbox").wait_for(state="detached")
    dashboard.open("providers?q=nobody-is-called-so")
    page.get_by_text("No provider fits that.").wait_for()


def test_a_viewer_sees_providers_and_no_control(visit, gateway, node):
    node.connect("work")
    name = f"v{uuid.uuid4().hex[:8]}"
    body = {"name": name, "role": "viewer", "password": "a viewer of the tests"}
    gateway.admin.post("/api/users", json=body).raise_for_status()
    credentials = {"username": name, "password": "a viewer of the tests"}
    answer = httpx.post(f"{gateway.url}/api/auth/login", json=credentials, timeout=60)
    assert answer.status_code == 200, answer.text
    page = visit(answer.cookies["auth_token"]).open(f"providers/{node.id}?add=1")
    row(page, "work").wait_for()
    assert page.get_by_role("switch").count() == 0
    assert page.locator("main").get_by_role("button").count() == 0
    page.get_by_role("link", name="All providers").click()
    page.get_by_role("searchbox").wait_for()
    assert page.locator("main").get_by_role("button").count() == 0


def test_nothing_breaks_wcag_and_hostile_names_stay_text(visit, session, node):
    node.connect(HOSTILE)
    bad = node.connect("bad")
    for scheme, width in (("light", 1440), ("dark", 390)):
        it = visit(session, color_scheme=scheme, viewport={"width": width, "height": 900})
        for address in (
            "providers", "providers?node=1", f"providers/{node.id}", f"providers/{node.id}?edit={bad['id']}",
            f"providers/{node.id}?addModel=1",
        ):  # fmt: skip
            page = it.open(address)
            page.get_by_text(HOSTILE).first.wait_for()
            assert it.axe() == [], address
            assert it.has_no_sideways_scroll(), address
        assert page.locator("img[src='x']").count() == 0


def test_what_an_endpoint_lists_when_it_is_tested_is_offered_wherever_models_are_named(dashboard, node):
    node.connect("work")
    page = dashboard.open("providers")
    card = page.locator(".provider", has=page.get_by_text(f"Node {node.id}", exact=True))
    expect(card).to_contain_text("any model")
    page.goto(f"{dashboard.url}/dashboard/providers/{node.id}")
    page.get_by_role("button", name="Test work").click()
    page.locator("omni-table").get_by_role("row").nth(1).wait_for()
    listed = node.admin.get("/api/models/catalog").json()["catalog"][node.id]["models"]
    assert listed
    page.goto(f"{dashboard.url}/dashboard/providers")
    expect(card).to_contain_text(f"{len(listed)} model")
    page.goto(f"{dashboard.url}/dashboard/endpoint")
    name = f"{node.id}/{listed[0]['id']}"
    expect(page.locator(f"datalist option[value='{name}']")).to_have_count(1)
    page.goto(f"{dashboard.url}/dashboard/models?id={name}")
    page.get_by_text("what the endpoint listed when tested").wait_for()
