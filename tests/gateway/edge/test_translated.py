"""A worker between two dialects, from ASGI in to ASGI out: what the caller gets, what the provider is asked, what is told."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.dialects.envelope import Envelopes
from gateway.dialects.registry import GRAMMARS
from gateway.dialects.sse import EventSplitter
from gateway.domain.chat import Signature
from tests.gateway.edge.test_asgi import ANSWER, DONE, FINISH, HELLO, USAGE, Answer, Worker
from tests.support.scripted_transport import stream, whole

ASK = {"model": "local/m1", "max_tokens": 50, "messages": [{"role": "user", "content": "Hi"}]}
ERROR = b'data: {"error":{"message":"overloaded","code":503}}\n\n'
CLAUDE = (
    b'{"id":"msg_1","type":"message","role":"assistant","model":"c","content":[{"type":"text","text":"x"}],'
    b'"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":2}}'
)


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Any]:
    workers: list[Worker] = []

    def make(**more: Any) -> Worker:
        workers.append(Worker(tmp_path, **more))
        return workers[-1]

    yield make
    for worker in workers:
        await worker.transport.close()


async def post(worker: Worker, path: str, asked: dict[str, Any], **headers: str) -> Answer:
    return await worker.ask("POST", path, json.dumps(asked).encode(), **headers)


async def test_a_whole_answer_comes_in_the_callers_dialect(make: Any) -> None:
    worker = make(a=whole(200, ANSWER, content_type="application/json"))
    answer = await post(worker, "/v1/messages", ASK | {"top_k": 5})
    body = json.loads(answer.body)
    assert (answer.status, body["type"], body["content"][0]["text"]) == (200, "message", "x")
    assert (body["usage"]["input_tokens"], body["usage"]["output_tokens"]) == (5, 2)
    assert "top_k" in answer.headers["x-omniroute-dropped"]
    (record,) = worker.records()
    assert (record.dialect, record.usage.input, record.usage.output) == ("anthropic_messages", 5, 2)
    assert any("top_k" in note for note in record.attempts[0].dropped)
    sent = json.loads(worker.transport.requests[0].body)
    assert (sent["model"], sent["messages"]) == ("m1", [{"role": "user", "content": "Hi"}])


@pytest.mark.parametrize(
    ("path", "dialect", "asked"),
    [
        ("/v1/messages", "anthropic_messages", ASK | {"stream": True}),
        ("/v1/responses", "openai_responses", {"model": "local/m1", "input": "Hi", "stream": True}),
        (
            "/v1beta/models/local/m1:streamGenerateContent?alt=sse",
            "gemini",
            {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
        ),
    ],
)
async def test_a_stream_comes_in_the_callers_dialect_and_order(
    make: Any, path: str, dialect: Any, asked: dict[str, Any]
) -> None:
    worker = make(a=stream(HELLO, FINISH, USAGE, DONE))
    answer = await post(worker, path, asked)
    assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
    assert answer.has_ended
    grammar = GRAMMARS[dialect]()
    for event in EventSplitter().feed(answer.body):
        grammar.feed(event)
    grammar.end()
    assert grammar.violations == []
    assert b"Hello" in answer.body
    (record,) = worker.records()
    assert (record.status, record.usage.input, record.usage.output) == (200, 5, 2)


async def test_gemini_without_events_gets_one_array(make: Any) -> None:
    worker = make(a=stream(HELLO, FINISH, USAGE, DONE))
    answer = await post(
        worker,
        "/v1beta/models/local/m1:streamGenerateContent",
        {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
    )
    assert answer.headers["content-type"].startswith("application/json")
    parts = [
        part for element in json.loads(answer.body) for part in element["candidates"][0]["content"].get("parts", [])
    ]
    assert "".join(part.get("text", "") for part in parts) == "Hello"


async def test_ollama_streams_lines_by_default(make: Any) -> None:
    worker = make(a=stream(HELLO, FINISH, USAGE, DONE))
    answer = await post(worker, "/api/chat", {"model": "local/m1", "messages": [{"role": "user", "content": "Hi"}]})
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert "".join(line["message"]["content"] for line in lines) == "Hello"
    assert [line["done"] for line in lines][-1] is True


async def test_usage_that_the_provider_does_not_tell_is_estimated_and_says_so(make: Any) -> None:
    worker = make(a=stream(HELLO, FINISH, DONE))
    answer = await post(worker, "/v1/responses", {"model": "local/m1", "input": "Hi", "stream": True})
    completed = json.loads(EventSplitter().feed(answer.body)[-1].partition(b"data: ")[2])
    assert completed["response"]["usage"]["input_tokens"] > 0
    assert completed["response"]["usage"]["output_tokens"] == 1
    (record,) = worker.records()
    assert record.usage.estimated
    assert record.usage.input == completed["response"]["usage"]["input_tokens"]


async def test_the_same_for_a_whole_answer(make: Any) -> None:
    worker = make(a=whole(200, b'{"choices":[{"message":{"content":"two words"},"finish_reason":"stop"}]}'))
    answer = await post(worker, "/v1/messages", ASK)
    usage = json.loads(answer.body)["usage"]
    assert usage["input_tokens"] > 0
    assert usage["output_tokens"] > 0
    (record,) = worker.records()
    assert record.usage.estimated


async def test_an_error_inside_a_stream_ends_it_in_the_callers_dialect(make: Any) -> None:
    worker = make(a=stream(HELLO, ERROR))
    answer = await post(worker, "/v1/messages", ASK | {"stream": True})
    assert b"event: error" in answer.body
    assert b"message_stop" not in answer.body
    (record,) = worker.records()
    assert record.error == "provider_error_event"


async def test_a_cut_stream_ends_with_the_dialects_error(make: Any) -> None:
    worker = make(a=stream(HELLO))
    answer = await post(worker, "/v1/responses", {"model": "local/m1", "input": "Hi", "stream": True})
    assert b"event: error" in answer.body or b"response.failed" in answer.body
    assert b"response.completed" not in answer.body
    (record,) = worker.records()
    assert record.error == "stream_reset"


AND_MORE = HELLO.replace(b"Hello", b" and more").rstrip(b"\n")


@pytest.mark.parametrize("script", [(HELLO,), (HELLO, AND_MORE), (AND_MORE,)], ids=["cut", "unended", "unended alone"])
@pytest.mark.parametrize(
    ("path", "dialect", "asked"),
    [
        ("/v1/messages", "anthropic_messages", ASK | {"stream": True}),
        ("/v1/responses", "openai_responses", {"model": "local/m1", "input": "Hi", "stream": True}),
        ("/v1beta/models/local/m1:streamGenerateContent?alt=sse", "gemini", {"contents": [{"parts": [{"text": "Hi"}]}]}),
    ],
)  # fmt: skip
async def test_a_cut_stream_is_in_order_with_all_that_came_and_nothing_else_is_told(
    make: Any, path: str, dialect: Any, asked: dict[str, Any], script: tuple[bytes, ...]
) -> None:
    worker = make(a=stream(*script))
    answer = await post(worker, path, asked)
    grammar = GRAMMARS[dialect]()
    for event in EventSplitter().feed(answer.body):
        grammar.feed(event)
    grammar.end()
    assert grammar.violations == []
    assert (b"and more" in answer.body) is (AND_MORE in script)
    assert worker.metrics.grammar_violations.pending == {}
    (record,) = worker.records()
    assert record.error == "stream_reset"


@pytest.mark.parametrize("dialect", ["gemini", "openai_chat"])
async def test_an_array_is_one_when_its_only_event_has_no_end(make: Any, dialect: Any) -> None:
    only = b'data: {"candidates":[{"content":{"parts":[{"text":" and more"}]}}]}' if dialect == "gemini" else AND_MORE
    worker = make(a=stream(only), dialects={"a": dialect})
    asked = {"contents": [{"parts": [{"text": "Hi"}]}]}
    answer = await post(worker, "/v1beta/models/local/m1:streamGenerateContent", asked)
    first, last = json.loads(answer.body)
    assert first["candidates"][0]["content"]["parts"][0]["text"] == " and more"
    assert "error" in last


async def test_what_a_provider_says_of_the_request_is_in_the_ledger_and_not_in_the_log(make: Any) -> None:
    worker = make(a=whole(500, b'{"error":{"message":"I cannot read: my secret"}}'))
    with capture_logs() as logged:
        answer = await post(worker, "/v1/messages", ASK)
    assert b"my secret" in answer.body
    (line,) = [line for line in logged if line["event"] == "request_failed"]
    assert (line["cause"], line["provider_status"]) == ("server_error", 500)
    assert "my secret" not in str(logged)
    (record,) = worker.records()
    assert "my secret" in record.attempts[0].error


async def test_a_target_that_cannot_serve_it_is_passed_over(make: Any) -> None:
    worker = make(a=whole(200, ANSWER), b=whole(200, ANSWER), dialects={"a": "anthropic_messages"})
    answer = await worker.chat(n=2, messages=[{"role": "user", "content": "Hi"}])
    assert (answer.status, answer.headers["x-omniroute-attempts"]) == (200, "2")
    (record,) = worker.records()
    assert [attempt.outcome for attempt in record.attempts] == ["unsupported", "committed"]
    assert len(worker.transport.requests) == 1


async def test_what_no_target_can_serve_is_the_callers_error(make: Any) -> None:
    worker = make(a=whole(200, CLAUDE), dialects={"a": "anthropic_messages"})
    answer = await worker.chat(n=2, messages=[{"role": "user", "content": "Hi"}])
    assert answer.status == 400
    assert "n" in json.loads(answer.body)["error"]["message"]


async def test_the_providers_words_about_a_bad_request_arrive_in_the_callers_dialect(make: Any) -> None:
    refused = b'{"error":{"message":"prompt is too long: 9 tokens > 5 maximum","type":"invalid_request_error"}}'
    worker = make(a=whole(400, refused, content_type="application/json"))
    answer = await post(worker, "/v1/messages", ASK)
    body = json.loads(answer.body)
    assert (answer.status, body["type"], body["error"]["type"]) == (400, "error", "invalid_request_error")
    assert "prompt is too long: 9 tokens > 5 maximum" in body["error"]["message"]


async def test_foreign_state_is_not_passed_on_to_a_provider_of_the_callers_dialect(make: Any) -> None:
    sealed = Envelopes(b"key").seal(Signature("openai_responses", "blob", "elsewhere"))
    turn = {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "", "signature": sealed}, {"type": "text", "text": "A"}],
    }
    asked = ASK | {"messages": [*ASK["messages"], turn, {"role": "user", "content": "B"}]}  # type: ignore[misc]
    worker = make(a=whole(200, CLAUDE, content_type="application/json"), dialects={"a": "anthropic_messages"})
    answer = await post(worker, "/v1/messages", asked)
    assert answer.status == 200
    assert b"OMROMROMROMR1." not in worker.transport.requests[0].body
    assert answer.headers["x-omniroute-dropped"]


async def test_a_built_in_tool_is_refused_by_name_unless_the_client_does_without(make: Any) -> None:
    asked = {"model": "local/m1", "input": "Hi", "tools": [{"type": "web_search"}]}
    worker = make(a=whole(200, ANSWER, content_type="application/json"))
    refused = await post(worker, "/v1/responses", asked)
    assert refused.status == 400
    assert "web_search" in json.loads(refused.body)["error"]["message"]
    served = await post(worker, "/v1/responses", asked, originator="codex_exec")
    assert served.status == 200
    assert "web_search" in served.headers["x-omniroute-dropped"]


async def test_tokens_are_counted_here_when_the_provider_cannot(make: Any) -> None:
    worker = make(a=whole(200, ANSWER))
    answer = await post(worker, "/v1/messages/count_tokens", {"model": "local/m1", "messages": ASK["messages"]})
    assert answer.headers["x-omniroute-estimated"] == "true"
    assert json.loads(answer.body)["input_tokens"] > 0
    assert worker.transport.requests == []


async def test_the_providers_own_count_is_passed_on(make: Any) -> None:
    worker = make(a=whole(200, b'{"input_tokens": 7}'), dialects={"a": "anthropic_messages"})
    answer = await post(worker, "/v1/messages/count_tokens", {"model": "local/m1", "messages": ASK["messages"]})
    assert answer.body == b'{"input_tokens": 7}'
    assert "x-omniroute-estimated" not in answer.headers
    assert json.loads(worker.transport.requests[0].body)["model"] == "m1"


@pytest.mark.parametrize(
    ("dialect", "answer"), [("gemini", b'{"totalTokens": 7}'), ("openai_responses", b'{"input_tokens": 7}')]
)
async def test_a_provider_of_another_dialect_is_asked_for_its_count(make: Any, dialect: Any, answer: bytes) -> None:
    worker = make(a=whole(200, answer), dialects={"a": dialect})
    counted = await post(worker, "/v1/messages/count_tokens", {"model": "local/m1", "messages": ASK["messages"]})
    assert json.loads(counted.body) == {"input_tokens": 7}
    assert "x-omniroute-estimated" not in counted.headers
    assert b"Hi" in worker.transport.requests[0].body


async def test_a_count_that_fails_is_estimated(make: Any) -> None:
    worker = make(a=whole(500, b"busy"), dialects={"a": "gemini"})
    counted = await post(worker, "/v1/messages/count_tokens", {"model": "local/m1", "messages": ASK["messages"]})
    assert counted.headers["x-omniroute-estimated"] == "true"


async def test_models_are_listed_in_the_shape_of_who_asks(make: Any) -> None:
    worker = make(a=whole(200, ANSWER))
    openai = json.loads((await worker.ask("GET", "/v1/models")).body)
    claude = json.loads((await worker.ask("GET", "/v1/models", anthropic_version="2023-06-01")).body)
    gemini = json.loads((await worker.ask("GET", "/v1beta/models")).body)
    tags = json.loads((await worker.ask("GET", "/api/tags")).body)
    assert openai["data"][0]["id"] == "local/m1"
    assert claude["data"][0] | {"id": "local/m1", "type": "model"} == claude["data"][0]
    assert gemini["models"][0]["name"] == "models/local/m1"
    assert tags["models"][0]["model"] == "local/m1"


@pytest.mark.parametrize(
    ("path", "asked", "code"),
    [
        ("/v1/messages", {"model": "local/m1", "max_tokens": 5, "messages": [{"role": "robot", "content": "x"}]}, 400),
        ("/v1/responses", {"model": "local/m1"}, 400),
        ("/v1beta/models/local/m1:generateContent", {"contents": 5}, 400),
        ("/api/chat", {"model": "local/m1", "messages": "x"}, 400),
    ],
)
async def test_bad_requests_are_refused_in_dialect_and_leave_a_row(
    make: Any, path: str, asked: dict[str, Any], code: int
) -> None:
    worker = make(a=whole(200, ANSWER))
    answer = await post(worker, path, asked)
    assert answer.status == code
    assert json.loads(answer.body)["error"]
    (record,) = worker.records()
    assert record.status == code
