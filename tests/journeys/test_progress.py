"""Progress events, for callers that ask: in every dialect of server-sent events, through the real process."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from google import genai

from tests.support.product import wait_for
from tests.support.real_gateway import KEY, MESSAGES, RealGateway, running_gateway

pytestmark = pytest.mark.process

HOW_FAR = {"X-OmniRoute-Progress": "true"}
WORDS = "Hello word1 word2 word3 word4"
SLOW = "local/paced:0.25"
ENDS = {"/v1/chat/completions": "[DONE]", "/v1/messages": "message_stop", "/v1/responses": "response.completed"}
GEMINI = f"/v1beta/models/{SLOW}:streamGenerateContent?alt=sse"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with running_gateway(tmp_path_factory.mktemp("progress"), early_headers_s=0.3) as running:
        config = json.loads(running.config.read_text())
        config["settings"]["progress_s"] = 0.1
        running.reload(json.dumps(config))
        wait_for(lambda: len(told(running.chat(SLOW, stream=True, headers=HOW_FAR).text)) > 2, 10)
        yield running


def body_for(path: str, model: str = SLOW) -> dict[str, Any]:
    if path == "/v1/responses":
        return {"model": model, "input": "Hello", "stream": True}
    if "Generate" in path:
        return {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
    return {"model": model, "messages": MESSAGES, "max_tokens": 50, "stream": True}


def events(text: str) -> list[list[str]]:
    return [block.split("\n") for block in text.replace("\r\n", "\n").split("\n\n") if block]


def told(text: str) -> list[dict[str, Any]]:
    """The data of all progress events."""
    return [json.loads(event[1].removeprefix("data: ")) for event in events(text) if event[0] == "event: progress"]


@pytest.mark.parametrize("path", [*ENDS, GEMINI])
def test_a_slow_stream_tells_how_far_it_is_and_that_it_is_done_before_its_end(gateway: RealGateway, path: str) -> None:
    text = gateway.client.post(path, json=body_for(path), headers=HOW_FAR).text
    found = told(text)
    assert len(found) >= 3
    assert [one.get("done", False) for one in found] == [False] * (len(found) - 1) + [True]
    elapsed = [one["elapsed_ms"] for one in found]
    assert elapsed == sorted(elapsed)
    assert elapsed[-1] >= 1000
    tokens = [one["tokens_generated"] for one in found]
    assert tokens[:-1] == sorted(tokens[:-1])
    assert tokens[-1] == 5
    if path in ENDS:
        assert ENDS[path] in "".join(events(text)[-1])
        assert "progress" in events(text)[-2][0]
    without = [event for event in events(text) if event[0] != "event: progress"]
    assert all(json.loads(event[-1].removeprefix("data: ")) for event in without if "[DONE]" not in event[-1])


@pytest.mark.parametrize("path", [*ENDS, GEMINI])
def test_nobody_who_does_not_ask_is_told(gateway: RealGateway, path: str) -> None:
    assert "progress" not in gateway.client.post(path, json=body_for(path)).text.replace("in_progress", "")


def test_a_provider_that_falls_silent_is_no_reason_to_be_silent(gateway: RealGateway) -> None:
    with gateway.client.stream(
        "POST", "/v1/chat/completions", json=body_for("", "local/stall-after:2"), headers=HOW_FAR
    ) as answer:
        text = ""
        for piece in answer.iter_text():
            text += piece
            if len(told(text)) >= 4:
                break
    assert told(text)[-1]["tokens_generated"] >= 2


def test_after_early_headers_it_is_told_that_nothing_has_come(gateway: RealGateway) -> None:
    text = gateway.chat("local/slow-first:0.8", stream=True, headers=HOW_FAR).text
    assert text.startswith("event: progress\n")
    assert told(text)[0]["tokens_generated"] == 0
    assert told(text)[-1]["done"]


def test_lines_of_json_and_arrays_stay_what_they_are(gateway: RealGateway) -> None:
    lines = gateway.client.post("/api/chat", json={"model": SLOW, "messages": MESSAGES}, headers=HOW_FAR).text
    assert all(json.loads(line) for line in lines.splitlines())
    array = gateway.client.post(GEMINI.removesuffix("?alt=sse"), json=body_for(GEMINI), headers=HOW_FAR).text
    assert json.loads(array)
    assert "tokens_generated" not in lines + array


def test_a_failed_stream_is_not_done(gateway: RealGateway) -> None:
    text = gateway.chat("local/cut-after:2", stream=True, headers=HOW_FAR).text
    assert '"done"' not in text


@pytest.mark.parametrize("model", [SLOW, "local/slow-first:0.8"])
def test_openais_sdk_reads_chat(gateway: RealGateway, model: str) -> None:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0, default_headers=HOW_FAR) as sdk:
        chunks = list(sdk.chat.completions.create(model=model, messages=MESSAGES, stream=True))  # type: ignore[call-overload]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == WORDS
        with sdk.chat.completions.stream(model=model, messages=MESSAGES) as stream:  # type: ignore[arg-type]
            assert stream.get_final_completion().choices[0].message.content == WORDS


@pytest.mark.parametrize("model", [SLOW, "local/slow-first:0.8"])
def test_openais_sdk_reads_responses(gateway: RealGateway, model: str) -> None:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0, default_headers=HOW_FAR) as sdk:
        found = list(sdk.responses.create(model=model, input="Hello", stream=True))
        assert found[-1].type == "response.completed"
        with sdk.responses.stream(model=model, input="Hello") as stream:
            assert stream.get_final_response().output_text == WORDS


@pytest.mark.parametrize("model", [SLOW, "local/slow-first:0.8"])
def test_anthropics_sdk_reads_messages(gateway: RealGateway, model: str) -> None:
    asked: dict[str, Any] = {"model": model, "max_tokens": 50, "messages": MESSAGES}
    with anthropic.Anthropic(base_url=gateway.url, api_key=KEY, max_retries=0, default_headers=HOW_FAR) as sdk:
        with sdk.messages.stream(**asked) as stream:
            assert stream.get_final_text() == WORDS
        assert [event.type for event in sdk.messages.create(**asked, stream=True)][-1] == "message_stop"


def test_googles_sdk_cannot_read_them_and_need_not_ask(gateway: RealGateway) -> None:
    """It takes every line that is not data for JSON; docs/progress.md says so."""

    def client(headers: dict[str, str]) -> genai.Client:
        options = genai.types.HttpOptions(base_url=gateway.url, api_version="v1beta", headers=headers)
        return genai.Client(api_key=KEY, http_options=options)

    told, untold = client(HOW_FAR), client({})
    with pytest.raises(genai.errors.UnknownApiResponseError):
        list(told.models.generate_content_stream(model=SLOW, contents="Hi"))
    parts = list(untold.models.generate_content_stream(model=SLOW, contents="Hi"))
    assert "".join(part.text or "" for part in parts) == WORDS
