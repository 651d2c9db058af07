"""Requests as real command-line clients send them cross the hub to every provider, and its API takes them.

The files in tests/exchanges/clients keep the structure, the fields and the headers of what these clients sent; the words
are ours. `shell` names the client's shell tool (empty: this request has none); `has_result` says that the request is the
second of a round: a call of the shell and its result are in it.
"""

import json
import re
from typing import Any

import pytest
from msgspec import structs

from gateway.dialects.codec import Arrival
from gateway.domain.chat import ChatRequest, Part, ToolCall, ToolResult
from tests.support.fake_dialects import anthropic_messages, gemini, openai_chat, openai_responses
from tests.support.fake_dialects.script import Asked
from tests.support.traffic import CALLERS, ENVELOPES, EXCHANGES, PROVIDERS, destination

Sent = dict[str, Any]

SENT: dict[str, Sent] = {
    file.stem: json.loads(file.read_text()) for file in sorted((EXCHANGES / "clients").glob("*.json"))
}
FAKES = {fake.NAME: fake for fake in (openai_chat, openai_responses, anthropic_messages, gemini)}
"""Strict readers of what a provider takes, which share no code with the product."""

KEYS = {"authorization": "Bearer k", "x-api-key": "k", "x-goog-api-key": "k", "anthropic-version": "2023-06-01"}
VERSIONS = {"gemini": "/v1beta"}
COMMAND = "echo round trip > made.txt && cat made.txt"
WISH = "Write a file with the shell, then say so."
ROLE = "Help with code."
SAID = "The file is written."

every_request = pytest.mark.parametrize("name", SENT)


def dialect(sent: Sent) -> Any:
    ends = {"messages": "anthropic_messages", "responses": "openai_responses", "completions": "openai_chat"}
    return ends.get(sent["path"].partition("?")[0].rpartition("/")[2], "gemini")


def crossings(having: str = "client") -> pytest.MarkDecorator:
    """Every request that has this, to every provider but its own dialect's: there it goes as it came."""
    found = [
        (name, provider)
        for name, sent in SENT.items()
        for provider in PROVIDERS
        if sent[having] and provider != dialect(sent)
    ]
    return pytest.mark.parametrize(("name", "provider"), found)


def test_there_are_requests_of_four_clients() -> None:
    assert len({sent["client"].split()[0] for sent in SENT.values()}) == 4


@crossings()
def test_a_providers_api_takes_the_request(name: str, provider: str) -> None:
    asked = crossed(SENT[name], provider)
    assert asked.model == "there"
    assert asked.is_stream == is_stream(SENT[name])


@crossings(having="shell")
def test_the_shell_tool_arrives_with_its_schema(name: str, provider: str) -> None:
    sent = SENT[name]
    asked = crossed(sent, provider)
    wanted = shell_schema(sent)
    found = asked.tools[sent["shell"]]
    assert set(found["properties"]) == set(wanted["properties"])
    assert found["required"] == wanted["required"]
    assert len(asked.tools) == len(declared(sent))


@crossings(having="has_result")
def test_the_call_and_its_result_arrive(name: str, provider: str) -> None:
    sent = SENT[name]
    asked = crossed(sent, provider)
    [call] = asked.calls()
    [result] = asked.results()
    assert call.name == result.name == sent["shell"]
    assert COMMAND in call.arguments.values()
    assert result.call_id == call.id
    assert "round trip" in result.text
    assert not result.is_error


@crossings()
def test_words_arrive_under_the_role_that_said_them(name: str, provider: str) -> None:
    """Instructions in the middle of a conversation must never become the assistant's own words."""
    sent = SENT[name]
    asked = crossed(sent, provider)
    users = " ".join(text for turn in asked.turns if turn.role == "user" for text in turn.texts)
    assert WISH in users
    assert ROLE in " ".join(asked.system)
    assert "billing" not in " ".join(asked.system), "it is for Anthropic's accounts"
    models = [text for turn in asked.turns if turn.role not in ("user", "tool") for text in turn.texts if text]
    assert models == ([SAID] if name == "gemini-resumed" else [])


@pytest.mark.parametrize("provider", [provider for provider in PROVIDERS if provider != "gemini"])
def test_the_schema_of_geminis_router_arrives_in_the_words_of_json_schema(provider: str) -> None:
    """Gemini CLI writes its types in capitals, as nobody else does."""
    schema = crossed(SENT["gemini-router"], provider).schema
    assert schema is not None
    kinds = {name: one["type"] for name, one in schema["properties"].items()}
    assert kinds == {"complexity_reasoning": "string", "complexity_score": "integer"}


@every_request
def test_its_own_dialect_can_write_the_request_anew(name: str) -> None:
    """A provider of the same dialect may need changes that bytes passed on cannot have."""
    sent = SENT[name]
    encoded = PROVIDERS[dialect(sent)].encode_request(decoded(sent), destination())
    again = CALLERS[dialect(sent)].decode_request(encoded.body, arrival(sent), ENVELOPES)
    assert len(again.tools) == len(decoded(sent).tools)
    assert parts_of(again, ToolCall) == parts_of(decoded(sent), ToolCall)
    assert parts_of(again, ToolResult) == parts_of(decoded(sent), ToolResult)


@every_request
def test_the_client_is_known_to_want_a_stream_and_a_model(name: str) -> None:
    """What routing reads from the head is what the whole request says."""
    sent = SENT[name]
    head = CALLERS[dialect(sent)].read_head(body(sent), arrival(sent))
    request = decoded(sent)
    assert head.model == request.model == (arrival(sent).model or sent["body"]["model"])
    assert head.is_stream == request.is_stream == is_stream(sent)


def crossed(sent: Sent, provider: str) -> Asked:
    """The request as a strict provider of another dialect understands it, with the caller's own tool names."""
    codec = PROVIDERS[provider]  # type: ignore[index]
    request = structs.replace(
        decoded(sent), does_without_tools="codex" in sent["client"].lower()
    )  # `edge/credentials.py`
    encoded = codec.encode_request(request, destination())
    path = VERSIONS.get(provider, "/v1") + codec.path("there", request.is_stream)
    asked = FAKES[provider].read(path, KEYS, json.loads(encoded.body))
    own = {wire: known.name for wire, known in encoded.names.items()}
    asked.tools = {own.get(wire, wire): schema for wire, schema in asked.tools.items()}
    for call in asked.calls():
        call.name = own.get(call.name, call.name)
    for result in asked.results():
        result.name = own.get(result.name, result.name)
    return asked


def decoded(sent: Sent) -> ChatRequest:
    return CALLERS[dialect(sent)].decode_request(body(sent), arrival(sent), ENVELOPES)


def body(sent: Sent) -> bytes:
    return json.dumps(sent["body"], ensure_ascii=False).encode()


def parts_of(request: ChatRequest, kind: type[Part]) -> list[Part]:
    return [part for turn in request.turns for part in turn.parts if isinstance(part, kind)]


def arrival(sent: Sent) -> Arrival:
    """Gemini's model and method stand in its path."""
    match = re.search(r"/models/([^:]+):(\w+)", sent["path"])
    return Arrival(model=match[1], is_stream=match[2] == "streamGenerateContent") if match else Arrival()


def is_stream(sent: Sent) -> bool:
    return bool(sent["body"].get("stream") or arrival(sent).is_stream)


def declared(sent: Sent) -> list[Sent]:
    """The functions that a request declares, those in a namespace too; tools that a provider runs itself left out."""
    found: list[Sent] = []
    for tool in sent["body"].get("tools", ()):
        inner = tool.get("functionDeclarations") or (tool["tools"] if tool.get("type") == "namespace" else [tool])
        found += [one.get("function", one) for one in inner if one.get("type") != "web_search"]
    return found


def shell_schema(sent: Sent) -> Any:
    tool = next(one for one in declared(sent) if one["name"] == sent["shell"])
    return next(tool[key] for key in ("parameters", "parametersJsonSchema", "input_schema") if key in tool)
