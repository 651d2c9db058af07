"""Endpoint & Tools: what the page says to clients is true, which is seen by doing it."""

import json
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
from playwright.sync_api import expect

from tests.support.product import wait_for
from tests.support.real_gateway import KEY

expect.set_options(timeout=30_000)

MODEL = "local/ok"
HOSTILE = "local/<img src=x onerror=alert(1)>'\"$(id)\u202e"


def codes(page) -> list[str]:
    return page.locator("pre.code").all_inner_texts()


def at(dashboard, query: str):
    """The page with the model and a key in its texts."""
    page = dashboard.open(f"endpoint?model={MODEL}&{query}")
    page.get_by_label("Secret of the key").fill(KEY)
    expect(page.locator("pre.code, .copy-line").filter(has_text=re.compile("127")).first).to_be_visible()
    return page


def test_the_page_opens_with_an_address_and_a_model_and_another_one_shows_everywhere(dashboard, gateway):
    page = dashboard.open("endpoint")
    expect(page.get_by_label("Address of the gateway")).to_have_value(gateway.url)
    assert page.get_by_label("Model", exact=True).input_value()
    page.get_by_label("Model", exact=True).fill(MODEL)
    page.get_by_label("Secret of the key").fill(KEY)
    expect(page.locator("pre.code")).to_contain_text(f"export ANTHROPIC_MODEL={MODEL}")
    expect(page.locator("pre.code")).to_contain_text(f"export ANTHROPIC_BASE_URL={gateway.url}\n")
    assert dashboard.axe() == []
    page.get_by_role("link", name="Codex").click()
    expect(page.locator("pre.code").first).to_contain_text("wire_api")
    settings = tomllib.loads(codes(page)[0])
    assert settings["model"] == MODEL
    assert settings["model_providers"]["omniroute"]["base_url"] == f"{gateway.url}/v1"
    assert f"OMNIROUTE_KEY={KEY}" in codes(page)[1]
    assert KEY not in page.url


def test_files_of_clients_read_as_what_they_are_and_hold_a_hostile_name(dashboard, gateway):
    page = dashboard.open("endpoint?client=opencode")
    page.get_by_label("Model", exact=True).fill(HOSTILE)
    expect(page.locator("pre.code")).to_contain_text("onerror")
    assert HOSTILE in json.loads(page.locator("pre.code").text_content())["provider"]["omniroute"]["models"]
    page.get_by_role("link", name="Gemini CLI").click()
    expect(page.locator("pre.code").first).to_contain_text("gemini-api-key")
    assert json.loads(codes(page)[0]) == {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    page.get_by_role("link", name="GitHub Copilot").click()
    expect(page.locator("pre.code")).to_contain_text("customendpoint")
    [group] = json.loads(page.locator("pre.code").text_content())
    assert group["models"][0]["url"] == f"{gateway.url}/v1/chat/completions"
    other = page.locator(".listed label").first
    other.get_by_role("checkbox").check()
    expect(page.locator("pre.code")).to_contain_text(f'"{other.inner_text().strip()}"')
    assert dashboard.axe() == []
    page.get_by_role("link", name="Cursor").click()
    expect(page.get_by_text("this address leads nowhere from there")).to_be_visible()
    assert dashboard.axe() == []


@pytest.mark.parametrize("dialect", ["chat", "responses", "messages", "gemini"])
def test_the_python_of_each_dialect_runs_and_is_answered(dashboard, dialect):
    [code] = codes(at(dashboard, f"sdk={dialect}&lang=python"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "Hello" in done.stdout


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl here")
def test_the_curl_of_each_dialect_runs_and_is_answered(dashboard):
    for dialect in ("chat", "responses", "messages", "gemini", "ollama"):
        [code] = codes(at(dashboard, f"sdk={dialect}&lang=curl"))
        done = subprocess.run(["sh", "-c", code.replace("curl -N", "curl -sS -N")], capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
        assert done.returncode == 0, (dialect, done.stderr)
        assert "Hello" in done.stdout, (dialect, done.stdout)


def test_a_key_is_made_here_and_a_request_with_it_is_answered(dashboard, gateway):
    page = dashboard.open(f"endpoint?model={MODEL}&client=codex")
    expect(page.get_by_role("button", name="Send a test request")).to_be_disabled()
    page.get_by_role("button", name="Make a key").click()
    page.get_by_role("dialog").get_by_role("button", name="Make key").click()
    expect(page.locator("pre.code").last).not_to_contain_text("…")
    secret = page.get_by_label("Secret of the key").input_value()
    expect(page.get_by_label("Key", exact=True).locator("option:checked")).to_contain_text("Codex")
    wait_for(lambda: gateway.chat(MODEL, key=secret).status_code == 200, 20)
    page.get_by_role("button", name="Send a test request").click()
    expect(page.get_by_text("It answers: Hello")).to_be_visible()
    dashboard.expect("status of 404")
    page.get_by_label("Model", exact=True).fill("nobody-has-this/model")
    page.get_by_role("button", name="Send a test request").click()
    expect(page.get_by_text("Refused with 404")).to_be_visible()
    assert dashboard.axe() == []
    assert secret not in json.dumps(page.evaluate("({...localStorage, ...sessionStorage, url: location.href})"))
    page.reload()
    expect(page.locator("pre.code").last).to_contain_text("OMNIROUTE_KEY")
    assert secret not in page.content()
    for one in gateway.admin.get("/api/keys", params={"search": "Codex"}).json()["keys"]:
        gateway.admin.delete(f"/api/keys/{one['id']}").raise_for_status()


def test_the_page_fits_a_phone(visit, session):
    phone = visit(session, viewport={"width": 390, "height": 844}, color_scheme="dark")
    phone.open("endpoint?client=continue").locator("pre.code").wait_for()
    assert phone.has_no_sideways_scroll()
    assert phone.axe() == []
