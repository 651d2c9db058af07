"""The translator shows what targets and callers would get, and its keys open the gateway for a few minutes only."""

import json

import pytest

from admin_api.auth.sessions import create_admin_token
from gateway.dialects.registry import CALLERS, PROVIDERS

REQUESTS = {
    "openai_chat": {"model": "m", "messages": [{"role": "system", "content": "Be kind"}, {"role": "user", "content": "Hello"}], "logit_bias": {"1": 2}},
    "openai_responses": {"model": "m", "input": "Hello", "instructions": "Be kind"},
    "anthropic_messages": {
        "model": "m", "max_tokens": 9, "system": "Be kind", "messages": [{"role": "user", "content": "Hello"}],
    },
    "gemini": {
        "contents": [{"role": "user", "parts": [{"text": "Hello"}]}], "systemInstruction": {"parts": [{"text": "Be kind"}]},
    },
    "ollama": {
        "model": "m", "options": {"temperature": 0},
        "messages": [{"role": "system", "content": "Be kind"}, {"role": "user", "content": "Hello"}],
    },
}  # fmt: skip
ANSWERS = {
    "openai_chat": {
        "id": "1", "object": "chat.completion", "created": 1, "model": "m", "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi there"}, "finish_reason": "stop"}],
    },
    "openai_responses": {
        "id": "r", "object": "response", "status": "completed", "model": "m",
        "output": [{"type": "message", "id": "i", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "Hi there", "annotations": []}]}],
        "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
    },
    "anthropic_messages": {
        "id": "a", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "Hi there"}],
        "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 2},
    },
    "gemini": {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "Hi there"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3},
    },
}  # fmt: skip
STREAM = (
    'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi there"}}]}\n\n'
    'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    "data: [DONE]\n\n"
)


async def translate(admin, status=200, **body):
    answer = await admin.post("/api/translator/translate", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


@pytest.mark.parametrize("target", list(PROVIDERS))
@pytest.mark.parametrize("source", list(CALLERS))
async def test_a_request_of_every_caller_is_one_of_every_provider(admin, source, target):
    found = await translate(admin, source=source, target=target, text=json.dumps(REQUESTS[source]), model="there")
    asked = await admin.post("/api/translator/detect", json={"text": found["text"]})
    assert asked.json() == {"kind": "request", "dialect": target} or source == target
    assert "Hello" in found["text"]
    assert found["isPassedOn"] == (source == target)
    assert "there" in found["text"] + found["path"]


@pytest.mark.parametrize("target", list(CALLERS))
@pytest.mark.parametrize("source", list(PROVIDERS))
async def test_an_answer_of_every_provider_is_one_for_every_caller(admin, source, target):
    found = await translate(
        admin, kind="answer", source=source, target=target, text=json.dumps(ANSWERS[source]), model="asked-for"
    )
    told = await admin.post("/api/translator/detect", json={"text": found["text"]})
    assert told.json() == {"kind": "answer", "dialect": target}
    assert "Hi there" in found["text"]


@pytest.mark.parametrize("target", list(CALLERS))
async def test_a_stream_is_a_stream_in_the_order_of_the_other_dialect(admin, target):
    found = await translate(admin, kind="answer", source="openai_chat", target=target, text=STREAM)
    told = await admin.post("/api/translator/detect", json={"text": found["text"]})
    assert told.json() == {"kind": "answer", "dialect": target}
    assert found["violations"] == []


async def test_what_cannot_be_said_is_told(admin):
    text = json.dumps(REQUESTS["openai_chat"])
    found = await translate(admin, source="openai_chat", target="anthropic_messages", text=text)
    assert "logit_bias" in found["notes"]


@pytest.mark.parametrize(
    "text", ["no json", "{}", "[1]", '{"messages": 5}', "\ud800", '{"model": "\\ud800"}', "data: x\n\n"]
)
async def test_what_is_not_of_the_dialect_is_told_at_the_text(admin, text):
    for kind, source, target in (("request", "openai_chat", "gemini"), ("answer", "openai_chat", "gemini")):
        answer = await admin.post(
            "/api/translator/translate",
            content=json.dumps({"kind": kind, "source": source, "target": target, "text": text}),
            headers={"content-type": "application/json"},
        )
        assert answer.status_code in (200, 400), answer.text
        if answer.status_code == 400 and "\ud800" not in text:
            assert answer.json()["error"]["details"][0]["field"] == "text"


async def test_no_provider_speaks_ollama(admin):
    for kind, source, target in (("request", "openai_chat", "ollama"), ("answer", "ollama", "openai_chat")):
        found = await translate(admin, 400, kind=kind, source=source, target=target, text="{}")
        assert found["error"]["details"][0]["message"] == "no provider speaks it"


async def test_a_key_for_tests_expires_and_is_gone_when_the_next_is_made(admin, plane):
    made = await admin.post("/api/translator/key")
    assert made.status_code == 201, made.text
    key = (await admin.get(f"/api/keys/{made.json()['id']}")).json()
    assert key["name"].startswith("test: ")
    assert 0 < made.json()["expiresAt"] - plane.now() <= 600
    ended = await admin.patch(f"/api/keys/{key['id']}", json={"expiresAt": plane.now() - 1})
    assert ended.status_code == 200, ended.text
    other = await admin.post("/api/keys", json={"name": "mine", "expiresAt": plane.now() - 1})
    assert (await admin.post("/api/translator/key")).status_code == 201
    assert (await admin.get(f"/api/keys/{key['id']}")).status_code == 404
    assert (await admin.get(f"/api/keys/{other.json()['id']}")).status_code == 200


async def test_a_viewer_translates_but_gets_no_key(client, plane):
    async with plane.database.write() as connection:
        _, token = await create_admin_token(connection, "looker", "viewer", plane.now())
    client.headers["authorization"] = f"Bearer {token}"
    body = {"source": "ollama", "target": "gemini", "text": json.dumps(REQUESTS["ollama"])}
    assert (await client.post("/api/translator/translate", json=body)).status_code == 200
    assert (await client.post("/api/translator/key")).status_code == 403
