"""Translator: dialects side by side, a real request as a client sends it, every dialect tried on one model."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.support.product import wait_for

expect.set_options(timeout=30_000)


def test_a_request_is_shown_in_another_dialect_with_what_it_cannot_say(dashboard):
    page = dashboard.open("translator")
    result = page.get_by_label("Translated", exact=True)
    expect(result).to_contain_text('"max_tokens": 256')
    page.get_by_label("To", exact=True).select_option("gemini")
    expect(result).to_contain_text('"contents"')
    expect(page).to_have_url(re.compile("to=gemini"))
    text = page.get_by_label("Text to translate")
    text.fill('{"model": "m", "messages": [{"role": "user", "content": "<b>Hi</b>"}], "logit_bias": {"1": 1}}')
    expect(page.locator(".remarks")).to_contain_text("logit_bias")
    expect(result).to_contain_text("<b>Hi</b>")
    assert dashboard.axe() == []
    text.fill("not json")
    expect(page.locator("#translator-problem")).not_to_be_empty()
    assert dashboard.axe() == []
    dashboard.expect("status of 400")


def test_the_dialect_of_a_text_is_found(dashboard):
    page = dashboard.open("translator")
    text = json.dumps({"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Hi"}]})
    page.get_by_label("Text to translate").fill(text)
    page.get_by_role("button", name="Detect the dialect").click()
    expect(page.get_by_label("From", exact=True)).to_have_value("anthropic_messages")
    expect(page.get_by_label("What it is")).to_have_value("answer")
    dashboard.expect("status of 400")


@pytest.mark.parametrize("dialect", ["anthropic_messages", "ollama"])
def test_a_question_goes_through_the_gateway_and_is_in_the_logs_as_a_test(dashboard, dialect):
    page = dashboard.open("translator/chat")
    page.get_by_label("Model", exact=True).fill("demo/echo")
    page.get_by_label("Dialect").select_option(dialect)
    page.get_by_label("What to ask").fill("one two three")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".answer-text")).to_have_text("one two three")
    assert dashboard.axe() == []
    page.get_by_role("link", name="See it in the logs").click()
    row = page.get_by_role("row", name="demo/echo")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("test: ")


def test_requests_that_pass_are_shown_while_an_owner_watches_without_any_text(dashboard, gateway):
    page = dashboard.open("translator/monitor")
    page.get_by_text("Waiting for requests").wait_for()
    hostile = "<img src=x onerror=alert(1)>\u202e"
    body = {"model": "local/ok", "messages": [{"role": "user", "content": hostile}], "user": hostile}
    row = page.get_by_role("row", name="local/ok")

    def passes():
        assert gateway.client.post("/v1/chat/completions", json=body).status_code == 200
        page.wait_for_timeout(500)
        return row.count() > 0

    wait_for(passes, 15)
    assert dashboard.axe() == []
    assert dashboard.has_no_sideways_scroll()
    page.get_by_role("button", name="Pause").click()
    row.first.click()
    drawer = page.get_by_role("dialog")
    expect(drawer.get_by_label("What the client sent")).to_contain_text(f'"content": "<{len(hostile)}>"')
    expect(drawer.get_by_label("What the client got")).to_contain_text('"choices"')
    expect(drawer).to_contain_text("OpenAI Chat Completions, as it is")
    expect(drawer).not_to_contain_text("onerror")
    assert dashboard.axe() == []
    assert gateway.health()["live"]["watchers"] == 1
    drawer.get_by_role("link", name="See it in the logs").click()
    page.get_by_role("heading", name="Logs").wait_for()
    wait_for(lambda: gateway.health()["live"]["watchers"] == 0, 15)


def test_who_is_no_owner_is_offered_no_monitor(visit, viewer):
    page = visit(viewer).open("translator/monitor")
    page.get_by_label("Text to translate").wait_for()
    expect(page.get_by_role("link", name="Live monitor")).to_have_count(0)


def test_what_the_gateway_refuses_is_told_in_its_words(dashboard):
    dashboard.expect("status of 404")
    page = dashboard.open("translator/chat?model=no-such-model")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".notice.bad")).to_contain_text("no-such-model")


def test_every_dialect_is_tried_on_one_model(dashboard):
    page = dashboard.open("translator/bench?model=demo/echo")
    page.get_by_role("button", name="Send 10 requests").click()
    expect(page.locator("table.bench .badge.good")).to_have_count(10, timeout=60_000)
    assert dashboard.axe() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_small_screens_show_all_of_it(visit, session, scheme):
    it = visit(session, color_scheme=scheme, viewport={"width": 390, "height": 844}, locale="ar")
    for view, there in (("", "translator-playground pre"), ("/chat", "textarea"), ("/bench", "select[name=scenario]")):
        it.open(f"translator{view}").locator(there).first.wait_for()
        assert it.has_no_sideways_scroll()
        assert it.axe() == []
