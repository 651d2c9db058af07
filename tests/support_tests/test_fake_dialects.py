"""The fake dialects are what they say: each official SDK is served by the fake of its own dialect, case by case."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.journeys.matrix.ask import Caller
from tests.journeys.matrix.callers.all import callers
from tests.journeys.matrix.cases import At, play
from tests.journeys.matrix.cells import Cell, cells
from tests.support.fake_provider import FakeProvider
from tests.support.real_gateway import running_fake

SILENT = {"cut", "switch", "switch-stream", "switch-tools", "switch-tools-stream"}
"""These are about what the gateway does, not a provider: most SDKs do not notice a stream that ends too early."""
DIRECT = [cell for cell in cells() if cell.caller == cell.provider and not cell.reason and cell.case.name not in SILENT]


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeProvider]:
    with running_fake() as running:
        yield running


@pytest.fixture(scope="module")
def sdks(fake: FakeProvider) -> Iterator[dict[str, Caller]]:
    with callers(fake.origin, "sk-direct") as made:
        yield made


@pytest.mark.parametrize("cell", DIRECT, ids=lambda cell: cell.id)
def test_an_sdk_is_served_by_its_own_dialect(cell: Cell, fake: FakeProvider, sdks: dict[str, Caller]) -> None:
    play(At(cell, sdks[cell.caller], lambda: fake.requests, model_of=lambda scenario, _: scenario))


USER: dict[str, Any] = {"role": "user", "content": "Hi"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ITEM_CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
USE = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "x"}
SAYS = {"role": "user", "parts": [{"text": "Hi"}]}
CALLS = {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]}
ANSWERS = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]}
FAKE_STATE = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "mine"}


def chat(*messages: object, **more: object) -> tuple[str, dict[str, Any]]:
    return "/v1/chat/completions", {"model": "text", "messages": list(messages), **more}


def responses(*items: object, **more: object) -> tuple[str, dict[str, Any]]:
    return "/v1/responses", {"model": "text", "input": list(items), **more}


def messages(*turns: object, **more: object) -> tuple[str, dict[str, Any]]:
    return "/v1/messages", {"model": "text", "max_tokens": 2048, "messages": list(turns), **more}


def contents(*turns: object, **more: object) -> tuple[str, dict[str, Any]]:
    return "/v1beta/models/text:generateContent", {"contents": list(turns), **more}


def asked(request: tuple[str, dict[str, Any]], fake: FakeProvider) -> httpx.Response:
    headers = {"authorization": "Bearer k", "x-goog-api-key": "k", "anthropic-version": "2023-06-01", "x-api-key": "k"}
    return httpx.post(fake.origin + request[0], json=request[1], headers=headers, timeout=5)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (chat({"role": "robot", "content": "x"}), "unknown role"),
        (chat(USER, {"role": "tool", "tool_call_id": "c1", "content": "x"}), "answers no call"),
        (chat(USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}, USER), "no result before it"),
        (chat(USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}), "have no result"),
        (chat(USER, top_k=5), "unknown field 'top_k'"),
        (chat(USER, stream_options={}), "only allowed when stream"),
        (chat(USER, tool_choice="auto"), "only allowed when tools"),
        (responses(USER, ITEM_CALL), "No tool output found"),
        (responses(USER, {"type": "function_call_output", "call_id": "c9", "output": "x"}), "No tool call found"),
        (responses({"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}), "Invalid value"),
        (responses(USER, FAKE_STATE, {"role": "assistant", "content": "x"}), "could not be verified"),
        (responses(USER, {"type": "reasoning", "id": "rs_1", "summary": []}, USER), "required following item"),
        (responses(USER, stop=["x"]), "unknown field 'stop'"),
        (responses(USER, max_output_tokens=5), "16 at least"),
        (
            responses(USER, tools=[{"type": "function", "name": "f", "parameters": {"type": "object"}}]),
            "additionalProp",
        ),
        (messages(USER, max_tokens=None), "Field required"),
        (messages({"role": "assistant", "content": "x"}), "first message must use the user role"),
        (messages(USER, {"role": "system", "content": "x"}), "Unexpected role"),
        (messages(USER, {"role": "assistant", "content": [USE]}, USER), "without `tool_result` blocks"),
        (messages({"role": "user", "content": [RESULT]}), "unexpected `tool_use_id`"),
        (messages(USER, {"role": "assistant", "content": [USE | {"id": "a.b"}]}), "should match"),
        (messages({"role": "user", "content": [{"type": "text", "text": ""}]}), "must be non-empty"),
        (messages(USER, temperature=1.5), "range: 0..1"),
        (messages(USER, thinking={"type": "enabled", "budget_tokens": 4096}), "below max_tokens"),
        (messages(USER, thinking={"type": "enabled", "budget_tokens": 1024}, temperature=0), "may only be 1"),
        (
            messages(USER, {"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": "x"}]}),
            "Inv",
        ),
        (contents(SAYS, SAYS), "follow each other"),
        (contents(SAYS, CALLS, {"role": "user", "parts": [{"text": "x"}]}), "number of function response parts"),
        (contents(ANSWERS), "immediately after its function call"),
        (contents(SAYS, CALLS), "has no response"),
        (contents({"role": "user", "parts": [{}]}), "one data field"),
        (contents({"role": "system", "parts": [{"text": "x"}]}), "valid role"),
        (
            contents(SAYS, generationConfig={"thinkingConfig": {"thinkingBudget": 1, "thinkingLevel": "LOW"}}),
            "only one",
        ),
        (contents({"role": "user", "parts": [{"text": "x", "thoughtSignature": "AAAA"}]}), "signature is not valid"),
        (
            contents(
                SAYS, tools=[{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "$ref": "x"}}]}]
            ),
            "Unknown name",
        ),
    ],
)
def test_what_the_real_api_refuses_is_refused_with_the_reason(
    fake: FakeProvider, request_: tuple[str, dict[str, Any]], reason: str
) -> None:
    answer = asked(request_, fake)
    assert answer.status_code == 400, answer.text
    assert reason in answer.json()["error"]["message"]
