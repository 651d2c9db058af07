"""Names too long for their place are cut at their end, and never lose their beginning, whichever way the page reads."""

import pytest
from playwright.sync_api import expect

expect.set_options(timeout=30_000)

LONG = "a-long-latin-name-that-goes-on-" + "and-on-" * 12 + "to-its-end"
_HIDDEN_BEGINNINGS = """(name) => {
  const found = [];
  const walk = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const at = walk.currentNode.data.indexOf(name);
    if (at < 0) continue;
    const range = document.createRange();
    range.setStart(walk.currentNode, at);
    range.setEnd(walk.currentNode, at + 1);
    const first = range.getBoundingClientRect();
    if (!first.width) continue;
    for (let box = walk.currentNode.parentElement; box.tagName !== 'MAIN'; box = box.parentElement) {
      const {overflowX, display} = getComputedStyle(box);
      const {left, right} = box.getBoundingClientRect();
      if (overflowX === 'hidden' && display !== 'inline' && right - left > 2 && (first.left < left - 1 || first.right > right + 1)) found.push(box.outerHTML.slice(0, 200));
    }
  }
  return found;
}"""


@pytest.fixture(scope="module")
def named(gateway):
    """Things of all kinds with a long name."""
    admin = gateway.admin
    admin.post(
        "/api/provider-nodes",
        json={"prefix": "cut", "name": LONG, "baseUrl": gateway.fake.base_url, "allowPrivate": True},
    ).raise_for_status()
    admin.post(
        "/api/providers", json={"provider": "cut", "name": LONG, "apiKey": "sk-of-cut-0123456789"}
    ).raise_for_status()
    admin.post("/api/provider-models", json={"provider": "cut", "modelId": LONG}).raise_for_status()
    admin.put("/api/models/alias", json={"alias": LONG, "model": f"cut/{LONG}"}).raise_for_status()
    combo = admin.post("/api/combos", json={"name": LONG[:100], "models": [f"cut/{LONG}"]}).json()["id"]
    key = admin.post("/api/keys", json={"name": LONG}).json()["id"]
    gateway.wait_taken_up()
    gateway.chat(f"cut/{LONG}")
    yield
    admin.delete(f"/api/keys/{key}")
    admin.delete(f"/api/combos/{combo}")
    admin.delete("/api/models/alias", params={"alias": LONG})
    admin.delete("/api/provider-nodes/cut")


@pytest.mark.parametrize("locale", ["ar", "en-US"])
def test_a_long_name_keeps_its_beginning(visit, session, named, locale):
    it = visit(session, viewport={"width": 390, "height": 844}, locale=locale)
    for address in ("providers", "providers/cut", "models?q=latin", "models?view=aliases", "combos", "keys", "logs"):
        page = it.open(address)
        expect(page.locator("main").get_by_text(LONG[:30]).locator("visible=true").first).to_be_visible()
        assert page.evaluate(_HIDDEN_BEGINNINGS, LONG[:30]) == [], address
        assert it.has_no_sideways_scroll(), address
