"""Why a request went where it went, as callers are told it and as it is kept, through the real process."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from google import genai

from tests.support.product import wait_for
from tests.support.real_gateway import FIRST_KEY, KEY, MESSAGES, RealGateway, events_of, running_gateway

pytestmark = pytest.mark.process

WHY = {"X-OmniRoute-Explain": "true"}
WORDS = "Hello word1 word2 word3 word4"
GREETING = "Grüße aus 世界 👋🏽 - done."
"""What the fake provider says in other dialects than Chat Completions."""
DIALECTS = {"claude": "anthropic_messages", "gem": "gemini", "resp": "openai_responses"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with running_gateway(tmp_path_factory.mktemp("explain"), nodes=DIALECTS) as running:
        yield running


def logged(gateway: RealGateway, request_id: str) -> dict[str, Any]:
    """The request in the API's log, once it is there."""
    gateway.row(request_id)
    found = [
        one
        for one in gateway.admin.get("/api/usage/logs", params={"limit": 200}).json()["logs"]
        if one["requestId"] == request_id
    ]
    assert len(found) == 1
    row: dict[str, Any] = found[0]
    return row


def test_a_whole_answer_says_it_in_a_header_and_the_log_keeps_it(gateway: RealGateway) -> None:
    gateway.fake.plan("status:500", "ok", key=FIRST_KEY)
    request_id = gateway.new_id()
    answer = gateway.chat("pair/m1", headers={**WHY, "X-Request-Id": request_id})
    told = json.loads(answer.headers["x-omniroute-explain"])
    assert [one["name"] for one in told["candidates"]] == ["pair/m1 @first", "pair/m1 @second"]
    assert [(one["outcome"], one.get("status", 0)) for one in told["attempts"]] == [
        ("server_error", 500),
        ("committed", 0),
    ]
    assert told["attempts"][0]["duration_ms"] > 0
    kept = logged(gateway, request_id)
    assert [one["name"] for one in kept["routing"]["candidates"]] == ["pair/m1 @first", "pair/m1 @second"]
    assert [one["outcome"] for one in kept["attempts"]] == ["server_error", "committed"]


def test_nobody_who_does_not_ask_is_told_and_nothing_is_kept(gateway: RealGateway) -> None:
    request_id = gateway.new_id()
    answer = gateway.chat("local/m1", stream=True, headers={"X-Request-Id": request_id})
    assert b"omniroute" not in answer.content
    assert "x-omniroute-explain" not in answer.headers
    assert logged(gateway, request_id)["routing"] is None


def test_a_failure_says_it_too(gateway: RealGateway) -> None:
    request_id = gateway.new_id()
    answer = gateway.chat("local/status:500", headers={**WHY, "X-Request-Id": request_id})
    assert answer.status_code == 502
    assert json.loads(answer.headers["x-omniroute-explain"])["attempts"][0]["outcome"] == "server_error"
    assert answer.json()["error"]["omniroute"]["routing"]["candidates"][0]["name"] == "local/status:500 @local"
    assert logged(gateway, request_id)["routing"]["strategy"] == "priority"


def test_a_stream_says_it_after_its_end(gateway: RealGateway) -> None:
    body = gateway.chat("local/m1", stream=True, headers=WHY).content
    assert body.index(b"data: [DONE]") < body.index(b"event: omniroute.explain")
    told = json.loads(events_of(body)[-1])
    assert (told["strategy"], told["attempts"][0]["outcome"]) == ("priority", "committed")


def test_openais_sdk_reads_explained_streams_of_chat(gateway: RealGateway) -> None:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0, default_headers=WHY) as sdk:
        chunks = list(sdk.chat.completions.create(model="local/m1", messages=MESSAGES, stream=True))  # type: ignore[call-overload]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == WORDS
        with sdk.chat.completions.stream(model="local/m1", messages=MESSAGES) as stream:  # type: ignore[arg-type]
            assert stream.get_final_completion().choices[0].message.content == WORDS


@pytest.mark.parametrize(("model", "text"), [("resp/m1", GREETING), ("local/m1", WORDS)])
def test_openais_sdk_reads_explained_streams_of_responses(gateway: RealGateway, model: str, text: str) -> None:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0, default_headers=WHY) as sdk:
        events = list(sdk.responses.create(model=model, input="Hello", stream=True))
        assert events[-1].type == "response.completed"
        with sdk.responses.stream(model=model, input="Hello") as stream:
            assert stream.get_final_response().output_text == text
    raw = gateway.client.post("/v1/responses", json={"model": model, "input": "Hello", "stream": True}, headers=WHY)
    assert b"\n: omniroute.explain {" in raw.content


@pytest.mark.parametrize(("model", "text"), [("claude/m1", GREETING), ("local/m1", WORDS)])
def test_anthropics_sdk_reads_explained_streams(gateway: RealGateway, model: str, text: str) -> None:
    asked: dict[str, Any] = {"model": model, "max_tokens": 50, "messages": MESSAGES}
    with anthropic.Anthropic(base_url=gateway.url, api_key=KEY, max_retries=0, default_headers=WHY) as sdk:
        with sdk.messages.stream(**asked) as stream:
            assert stream.get_final_text() == text
        assert [event.type for event in sdk.messages.create(**asked, stream=True)][-1] == "message_stop"
    raw = gateway.client.post("/v1/messages", json={**asked, "stream": True}, headers=WHY).content
    [told] = [event for event in map(json.loads, events_of(raw)) if "omniroute.explain" in event]
    assert (told["type"], told["omniroute.explain"]["attempts"][0]["outcome"]) == ("ping", "committed")


@pytest.mark.parametrize(("model", "text"), [("gem/m1", GREETING), ("local/m1", WORDS)])
def test_googles_sdk_reads_streams_that_are_explained_in_the_header_alone(
    gateway: RealGateway, model: str, text: str
) -> None:
    options = genai.types.HttpOptions(base_url=gateway.url, api_version="v1beta", headers=WHY)
    client = genai.Client(api_key=KEY, http_options=options)
    parts = list(client.models.generate_content_stream(model=model, contents="Hello"))
    assert "".join(part.text or "" for part in parts) == text
    raw = gateway.client.post(
        f"/v1beta/models/{model}:streamGenerateContent?alt=sse",
        json={"contents": [{"parts": [{"text": "Hello"}]}]},
        headers=WHY,
    )
    assert json.loads(raw.headers["x-omniroute-explain"])["strategy"] == "priority"
    assert b"omniroute" not in raw.content


def test_an_operator_can_have_the_decision_of_every_request_kept(gateway: RealGateway) -> None:
    changed = gateway.admin.patch("/api/settings", json={"explainsAll": True})
    assert (changed.status_code, changed.json()["explainsAll"]) == (200, True)

    def is_kept() -> bool:
        request_id = gateway.new_id()
        answer = gateway.chat("always-on", headers={"X-Request-Id": request_id})
        assert "x-omniroute-explain" not in answer.headers
        routing = logged(gateway, request_id)["routing"]
        return routing is not None and routing["candidates"][0]["combo"] == "always-on"

    wait_for(is_kept, 10)
    gateway.admin.patch("/api/settings", json={"explainsAll": False})
