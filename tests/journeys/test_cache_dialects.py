"""Kept answers in every dialect: callers of five, providers of four, streamed and whole, through the started product."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.real_gateway import RealGateway, running_gateway

pytestmark = pytest.mark.process

PROVIDERS = {"chat": "openai_chat", "resp": "openai_responses", "anth": "anthropic_messages", "gem": "gemini"}
CALLERS = ("openai_chat", "openai_responses", "anthropic_messages", "gemini", "ollama")
_VARIES = re.compile(
    rb'"created(?:_at)?":\s*("[^"]*"|\d+(?:\.0)?)|[0-9a-f]{8}-?[0-9a-f]{4}-?7[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}'
    rb'|"(?:completed_at|\w+_duration)":\s*\d+|[0-9a-f]{24,}'
)
"""When an answer was written, and ids made of the request's own."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with running_gateway(tmp_path_factory.mktemp("cache"), nodes=PROVIDERS) as gateway:
        assert gateway.admin.patch("/api/settings", json={"cache": {"mode": "on"}}).status_code == 200
        gateway.wait_taken_up()
        yield gateway


def asked(caller: str, model: str, text: str, *, streams: bool) -> tuple[str, dict[str, Any]]:
    """Path and body of one plain request."""
    said = [{"role": "user", "content": text}]
    if caller == "openai_chat":
        options = {"stream_options": {"include_usage": True}} if streams else {}
        return "/v1/chat/completions", {
            "model": model, "messages": said, "temperature": 0, "max_tokens": 90, "stream": streams, **options,
        }  # fmt: skip
    if caller == "openai_responses":
        return "/v1/responses", {
            "model": model, "input": text, "temperature": 0, "max_output_tokens": 90, "stream": streams,
        }  # fmt: skip
    if caller == "anthropic_messages":
        return "/v1/messages", {
            "model": model, "messages": said, "temperature": 0, "max_tokens": 90, "stream": streams,
        }  # fmt: skip
    if caller == "gemini":
        kind = "streamGenerateContent?alt=sse" if streams else "generateContent"
        return f"/v1beta/models/{model}:{kind}", {
            "contents": [{"role": "user", "parts": [{"text": text}]}],
            "generationConfig": {"temperature": 0, "maxOutputTokens": 90},
        }
    options = {"temperature": 0, "num_predict": 90}
    return "/api/chat", {"model": model, "messages": said, "options": options, "stream": streams}


def send(gateway: RealGateway, caller: str, model: str, text: str, *, streams: bool, **headers: str) -> Any:
    path, body = asked(caller, model, text, streams=streams)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return gateway.client.post(path, content=json.dumps(body), headers={"content-type": "application/json", **named})


@pytest.mark.parametrize("streams", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("prefix", PROVIDERS)
@pytest.mark.parametrize("caller", CALLERS)
def test_a_hit_has_the_bytes_that_the_provider_gave(
    gateway: RealGateway, caller: str, prefix: str, streams: bool
) -> None:
    text = f"same bytes {caller} {prefix} {streams}"
    model = f"{prefix}/text"
    live = send(gateway, caller, model, text, streams=streams)
    assert live.status_code == 200, live.text
    mark = gateway.mark
    for _ in range(4):  # both workers
        hit = send(gateway, caller, model, text, streams=streams)
        assert (hit.headers["x-omniroute-cache"], hit.headers["x-omniroute-attempts"]) == ("HIT", "0")
        assert _VARIES.sub(b"_", hit.content) == _VARIES.sub(b"_", live.content)
        assert hit.headers["content-type"] == live.headers["content-type"]
    assert gateway.seen(mark) == []


@pytest.mark.parametrize("prefix", PROVIDERS)
@pytest.mark.parametrize("first_streams", [True, False], ids=["kept-stream", "kept-whole"])
def test_one_kept_answer_serves_callers_of_all_dialects_in_both_kinds(
    gateway: RealGateway, prefix: str, first_streams: bool
) -> None:
    text, model = f"all dialects {prefix} {first_streams}", f"{prefix}/text"
    assert send(gateway, "openai_chat", model, text, streams=first_streams).headers["x-omniroute-cache"] == "MISS"
    mark = gateway.mark
    for caller in CALLERS:
        for streams in (True, False):
            hit = send(gateway, caller, model, text, streams=streams)
            live = send(gateway, caller, model, text, streams=streams, x_omniroute_no_cache="true")
            assert hit.headers["x-omniroute-cache"] == "HIT", (caller, streams, hit.text)
            heard = told(caller, hit.content, streams=streams)
            assert heard
            assert heard == told(caller, live.content, streams=streams)
    assert len(gateway.seen(mark)) == 2 * len(CALLERS)  # the live ones


def told(caller: str, body: bytes, *, streams: bool) -> str:
    """The text of an answer, however it is told."""
    if not streams:
        found = json.loads(body)
        return _whole_text(caller, found)
    if caller == "ollama":
        return "".join(json.loads(line)["message"]["content"] for line in body.splitlines() if line)
    events = [json.loads(line[5:]) for line in body.splitlines() if line.startswith(b"data:") and b"[DONE]" not in line]
    assert events, body
    if caller == "openai_chat":
        return "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])
    if caller == "openai_responses":
        assert events[-1]["type"] == "response.completed"
        return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    if caller == "anthropic_messages":
        assert events[-1]["type"] == "message_stop"
        return "".join(event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta")
    return "".join(
        part.get("text", "")
        for event in events
        for one in event["candidates"]
        for part in one["content"].get("parts", ())
    )


def _whole_text(caller: str, answer: Any) -> str:
    if caller == "openai_chat":
        return str(answer["choices"][0]["message"]["content"])
    if caller == "openai_responses":
        return "".join(part["text"] for item in answer["output"] for part in item["content"])
    if caller == "anthropic_messages":
        return "".join(part["text"] for part in answer["content"])
    if caller == "gemini":
        return "".join(part["text"] for part in answer["candidates"][0]["content"]["parts"])
    return str(answer["message"]["content"])
