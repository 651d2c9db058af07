"""The whole worker in one process, from ASGI in to ASGI out, with the demo provider and with shared state away."""

import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.accounting.monitor import Monitor
from gateway.admission.load import Load
from gateway.cache.flights import Flights
from gateway.cache.front import Front
from gateway.cache.responses import ResponseCache
from gateway.cache.store import CacheStore
from gateway.config.settings import Settings
from gateway.config.snapshot import RoutingSettings
from gateway.dialects.envelope import Envelopes
from gateway.domain.dialect import ProviderDialect
from gateway.domain.record import RequestRecord, decode_record
from gateway.domain.waiting import Waiting
from gateway.edge.asgi import Edge, Health
from gateway.edge.reply import AsgiReply
from gateway.passage import Passage, Tools
from gateway.relay.attempt import Attempts
from gateway.relay.exchange import Exchange
from gateway.runtime import Runtime, RuntimeHolder
from gateway.state.cursors import Cursors
from gateway.state.holds import Holds
from gateway.state.keyring import Keyring
from gateway.state.resp import RespClient
from gateway.state.spool import Spool, adoptable
from gateway.telemetry.metrics import Metrics
from gateway.upstream.deadlines import Wheel
from tests.gateway.relay.test_attempt import NoPictures
from tests.gateway.relay.test_loop import traffic
from tests.support.catalogs import catalog, connection
from tests.support.scripted_transport import ScriptedTransport, cut, data, head, stream, whole

HELLO = b'data: {"choices":[{"index":0,"delta":{"content":"Hello"}}]}\n\n'
FINISH = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}\n\n'
DONE = b"data: [DONE]\n\n"
ANSWER = b'{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":5,"completion_tokens":2}}'


class Answer:
    """What one request got."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.has_ended = False

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message["body"]
            self.has_ended = not message.get("more_body", False)


class Worker:
    """A worker without a server. `scripts` say what the provider `local` does, by connection."""

    def __init__(
        self,
        folder: Path,
        *,
        require_api_key: bool = False,
        dialects: Mapping[str, ProviderDialect] | None = None,
        **scripts: Any,
    ) -> None:
        redis = RespClient("unix:///tmp/no-such-server.sock")
        self.sends: Callable[[dict[str, Any]], bool] = lambda message: True
        self.folder, self.metrics, self.health = folder, Metrics(), Health()
        self.spool = Spool(folder, "w")
        keyring = Keyring(redis, b"pepper")
        self.transport = ScriptedTransport({name: [script] for name, script in scripts.items()})
        self.tools = Tools(
            cache=ResponseCache(
                CacheStore(None, self.metrics, time.time), Front(10, 0, time.time), self.metrics, time.time
            ),
            flights=Flights(None, "", self.metrics),
            loop=asyncio.get_running_loop(),
            runtimes=RuntimeHolder(),
            keyring=keyring,
            holds=Holds(redis, keyring, self.spool, "w", self.metrics, asyncio.get_running_loop().time),
            attempts=Attempts({"direct": self.transport}, Wheel(), NoPictures()),
            metrics=self.metrics,
            worker="w",
            requires_key=require_api_key,
            chance=lambda: 0.0,
            envelopes=Envelopes(b"key"),
            grammar_sample=1.0,
            traffic=traffic(redis),
            load=Load(0, 0.0),
            tickets=Cursors(redis, "w", time.monotonic).ticket,
            open_exchanges=set(),
            monitor=Monitor(redis, self.metrics),
        )
        spoken = dialects or {}
        tables = catalog(
            *(
                connection(name=name, models=["m1"], priority=at, dialect=spoken.get(name, "openai_chat"))
                for at, name in enumerate(scripts)
            )
        )
        self.tools.runtimes.swap(Runtime(1, tables, RoutingSettings()))
        settings = Settings(data_dir=folder, redis_url="unix:///x", require_api_key=require_api_key)
        self.edge = Edge(settings, self.tools, self.health, None, bytes)

    async def ask(
        self, method: str, path: str, body: bytes = b"", *, leaves_after: float | None = None, **headers: str
    ) -> Answer:
        lines = {"host": "localhost:1"} | {name.replace("_", "-"): value for name, value in headers.items()}
        scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": path.partition("?")[2].encode(),
            "headers": [(name.encode(), value.encode()) for name, value in lines.items()], "client": ("127.0.0.1", 5),
        }  # fmt: skip
        messages = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> dict[str, Any]:
            message = next(messages, None)
            if message is not None:
                return message
            await (asyncio.Event().wait() if leaves_after is None else asyncio.sleep(leaves_after))
            return {"type": "http.disconnect"}

        answer = Answer()

        async def send(message: dict[str, Any]) -> None:
            if not self.sends(message):
                raise OSError("cannot send")
            await answer.send(message)

        async with asyncio.timeout(5):
            await self.edge(scope, receive, send)
        return answer

    async def chat(
        self, *, path: str = "/v1/chat/completions", leaves_after: float | None = None, **fields: Any
    ) -> Answer:
        body = json.dumps({"model": "local/m1", "messages": [], **fields}).encode()
        return await self.ask("POST", path, body, leaves_after=leaves_after)

    def records(self) -> list[RequestRecord]:
        self.spool.release()
        return [decode_record(line) for _, lines in adoptable(self.folder) for line in lines]


@pytest.fixture
async def made() -> AsyncIterator[list[Worker]]:
    workers: list[Worker] = []
    yield workers
    for worker in workers:
        await worker.transport.close()


@pytest.fixture
def make(made: list[Worker], tmp_path: Path) -> Any:
    def make(**more: Any) -> Worker:
        made.append(Worker(tmp_path, **more))
        return made[-1]

    return make


async def test_a_whole_answer_passes_unchanged_with_its_headers_and_one_record(make: Any) -> None:
    worker = make(a=whole(503, b"busy"), b=whole(200, ANSWER, content_type="application/json"))
    answer = await worker.chat()
    assert (answer.status, answer.body, answer.has_ended) == (200, ANSWER, True)
    assert answer.headers["x-omniroute-provider"] == "local"
    assert answer.headers["x-omniroute-model"] == "m1"
    assert answer.headers["x-omniroute-attempts"] == "2"
    (record,) = worker.records()
    assert (record.status, record.usage.input, record.usage.output, record.bytes_out) == (200, 5, 2, len(ANSWER))
    assert answer.headers["x-request-id"] == record.id
    assert [attempt.outcome for attempt in record.attempts] == ["server_error", "committed"]


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_request_that_is_over_is_gone_without_the_garbage_collector(make: Any, streamed: bool) -> None:
    """A ring of references would keep its body until the next collection, and make that one slow."""
    script = stream(HELLO, FINISH, USAGE, DONE) if streamed else whole(200, ANSWER, content_type="application/json")
    worker = make(a=script)
    gc.collect()
    gc.disable()
    try:
        before = [one for one in gc.get_objects() if isinstance(one, Exchange | Passage | AsgiReply)]  # of other tests
        assert (await worker.chat(stream=streamed)).status == 200
        after = [one for one in gc.get_objects() if isinstance(one, Exchange | Passage | AsgiReply)]
        assert [type(one) for one in after if not any(one is other for other in before)] == []
    finally:
        gc.enable()


async def test_a_stream_passes_without_the_usage_chunk_that_we_asked_for(make: Any) -> None:
    worker = make(a=stream(HELLO, FINISH, USAGE, DONE))
    answer = await worker.chat(stream=True)
    assert (answer.status, answer.body, answer.has_ended) == (200, HELLO + FINISH + DONE, True)
    (record,) = worker.records()
    assert (record.usage.input, record.usage.output, record.usage.estimated) == (5, 2, False)
    assert record.bytes_out == len(answer.body)
    answer = await worker.chat(stream=True, stream_options={"include_usage": True})
    assert answer.body == HELLO + FINISH + USAGE + DONE


@pytest.mark.parametrize(
    "script", [[head(), data(HELLO), 0.0, cut()], [head(), data(HELLO), 0.0, lambda call: call.feed_end()]]
)
async def test_a_cut_stream_ends_with_an_error_and_no_terminator(make: Any, script: Any) -> None:
    worker = make(a=script)
    answer = await worker.chat(stream=True)
    assert answer.status == 200
    assert answer.has_ended
    assert answer.body.startswith(HELLO)
    assert b"[DONE]" not in answer.body
    assert json.loads(answer.body[len(HELLO) :].removeprefix(b"data: "))["error"]["code"] == "upstream_cut"
    (record,) = worker.records()
    assert record.error == "stream_reset"
    assert record.usage.estimated


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("script", [[60.0], [head(), 60.0], [head(), data(HELLO), 60.0]])
async def test_a_caller_who_leaves_stops_the_provider_and_leaves_one_record(
    make: Any, script: Any, streamed: bool
) -> None:
    worker = make(a=script, b=whole(200, ANSWER))
    await worker.chat(stream=streamed, leaves_after=0.05)
    assert worker.transport.cancelled == worker.transport.calls
    assert len(worker.transport.calls) == 1
    (record,) = worker.records()
    assert (record.status, record.error) == (499, "caller_left")
    assert worker.edge.open_requests == 0
    assert worker.tools.open_exchanges == set()


async def test_a_body_that_breaks_off_is_answered_in_dialect_in_case_somebody_is_there(make: Any) -> None:
    worker = make(a=whole(200, ANSWER))
    messages = iter([{"type": "http.request", "body": b'{"mod', "more_body": True}, {"type": "http.disconnect"}])
    scope = {"type": "http", "method": "POST", "path": "/v1/messages", "raw_path": b"/v1/messages", "query_string": b"",
             "headers": [(b"host", b"localhost:1")], "client": ("127.0.0.1", 5)}  # fmt: skip

    async def receive() -> dict[str, Any]:
        return next(messages)

    answer = Answer()
    await worker.edge(scope, receive, answer.send)
    assert (answer.status, answer.has_ended) == (400, True)
    assert json.loads(answer.body)["error"]["type"] == "invalid_request_error"
    assert worker.transport.requests == []


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_server_that_cannot_send_leaves_one_record_and_no_open_call(make: Any, streamed: bool) -> None:
    script = [head(), data(HELLO), 0.0, data(HELLO), 60.0] if streamed else whole(200, ANSWER)
    worker = make(a=script)
    worker.sends = lambda message: message["type"] == "http.response.start"
    with pytest.raises(OSError, match="cannot send"):
        await worker.chat(stream=streamed)
    assert len(worker.records()) == 1
    assert all(call.is_over for call in worker.transport.calls)
    assert worker.tools.open_exchanges == set()


async def test_when_all_targets_fail_the_error_has_the_attempts(make: Any) -> None:
    worker = make(a=whole(503, b"busy"), b=whole(500, b""))
    answer = await worker.chat(stream=True)
    assert (answer.status, answer.headers["x-omniroute-attempts"]) == (503, "2")
    error = json.loads(answer.body)["error"]
    assert [attempt["outcome"] for attempt in error["omniroute"]["attempts"]] == ["server_error", "server_error"]
    (record,) = worker.records()
    assert (record.status, record.usage.input) == (503, 0)


async def test_a_refused_request_leaves_its_row(make: Any) -> None:
    worker = make(a=whole(200, ANSWER))
    answer = await worker.chat(model="local/m9")
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (404, "model_not_found")
    (record,) = worker.records()
    assert (record.status, record.error, record.requested_model) == (404, "model_not_found", "local/m9")


async def test_a_pinned_provider_is_asked(make: Any) -> None:
    worker = make(a=whole(200, ANSWER))
    assert (await worker.chat(path="/v1/providers/local/chat/completions", model="m1")).status == 200
    assert (await worker.chat(path="/v1/providers/nobody/chat/completions", model="m1")).status == 400


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"),
    [
        ("GET", "/v1/chat/completions", {}, 405, "method_not_allowed"),
        ("POST", "/v1/embeddings", {}, 501, "not_implemented"),
        ("POST", "/v1/nothing", {}, 404, "unknown_path"),
        ("GET", "/api/keys", {}, 404, "unknown_path"),
        ("GET", "/v1/models/nothing", {}, 404, "model_not_found"),
        ("GET", "/v1/responses", {"upgrade": "websocket"}, 426, "upgrade_required"),
        ("GET", "/v1/models", {"host": "evil.test"}, 403, "host_not_allowed"),
        ("POST", "/v1/chat/completions", {"content_encoding": "gzip"}, 415, "unsupported_content_encoding"),
        ("POST", "/v1/chat/completions", {"content_length": "99999999"}, 413, "request_too_large"),
        ("POST", "/v1/chat/completions", {}, 400, "invalid_json"),
    ],
)
async def test_what_cannot_be_served_is_told_in_openais_shape(
    make: Any, method: str, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await make(a=[60.0]).ask(method, path, b"{", **headers)
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("headers", "status", "error"),
    [
        ({"content_encoding": "gzip"}, 415, "unsupported_content_encoding"),
        ({"content_length": "99999999"}, 413, "request_too_large"),
        ({"content_length": "many"}, 400, "invalid_content_length"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
async def test_a_body_that_is_not_taken_leaves_its_row(
    make: Any, path: str, headers: dict[str, str], status: int, error: str
) -> None:
    worker = make(a=[60.0])
    assert (await worker.ask("POST", path, b"{}", **headers)).status == status
    (record,) = worker.records()
    assert (record.endpoint, record.status, record.error, record.usage.input) == (path, status, error, 0)


async def test_a_key_is_required_where_it_is_and_503_when_it_cannot_be_checked(make: Any) -> None:
    worker = make(require_api_key=True, a=whole(200, ANSWER))
    missing = await worker.chat()
    assert (missing.status, json.loads(missing.body)["error"]["code"]) == (401, "missing_api_key")
    assert missing.headers["access-control-allow-origin"] == "*"
    unchecked = await worker.ask("GET", "/v1/models", authorization="Bearer sk-x")
    assert (unchecked.status, unchecked.headers["retry-after"]) == (503, "1")
    assert worker.records() == []


async def test_lists_heads_and_options_answer(make: Any) -> None:
    worker = make(a=[60.0])
    assert json.loads((await worker.ask("GET", "/v1/models")).body)["data"][0]["id"] == "local/m1"
    listed = await worker.ask("HEAD", "/v1/models")
    assert (listed.status, listed.body) == (200, b"")
    assert int(listed.headers["content-length"]) > 0
    assert (await worker.ask("OPTIONS", "/v1/chat/completions")).status == 204


async def test_probes_tell_readiness(make: Any) -> None:
    worker = make(a=[60.0])
    assert (await worker.ask("GET", "/readyz")).status == 200
    worker.health.is_draining = True
    assert ((await worker.ask("GET", "/readyz")).status, (await worker.ask("GET", "/healthz")).status) == (503, 200)


@pytest.mark.parametrize("path", ["/v1/models", "/v1/nothing"])
async def test_while_it_drains_answers_end_the_connections_that_they_came_on(make: Any, path: str) -> None:
    worker = make(a=[60.0])
    assert "connection" not in (await worker.ask("GET", path)).headers
    worker.health.is_draining = True
    assert (await worker.ask("GET", path)).headers["connection"] == "close"


@pytest.mark.parametrize(
    ("theirs", "is_kept"), [("abc-1", True), ("x" * 128, True), ("x" * 129, False), ("a\tb", False), ("", False)]
)
async def test_a_callers_request_id_is_kept_if_it_may_stand_in_a_header(make: Any, theirs: str, is_kept: bool) -> None:
    answer = await make(a=[60.0]).ask("GET", "/v1/models", x_request_id=theirs)
    assert (answer.headers["x-request-id"] == theirs) is is_kept


async def test_a_worker_with_too_much_to_do_refuses_before_it_reads(make: Any) -> None:
    worker = make(a=whole(200, ANSWER))
    settings = RoutingSettings(waiting=Waiting(max_open=1))
    worker.tools.runtimes.swap(Runtime(2, worker.tools.runtimes.current().catalog, settings))
    assert (await worker.chat()).status == 200
    worker.edge.open_requests = 1
    refused = await worker.chat()
    assert (refused.status, json.loads(refused.body)["error"]["code"]) == (503, "overloaded")
    assert refused.headers["retry-after"] == "1"
    assert worker.tools.load.shed == {("interactive", "open_requests"): 1}


async def test_who_asks_is_told_why_the_request_went_there(make: Any) -> None:
    worker = make(a=whole(503, b"busy"), b=whole(200, ANSWER))
    body = json.dumps({"model": "local/m1", "messages": []}).encode()
    answer = await worker.ask("POST", "/v1/chat/completions", body, x_omniroute_explain="true")
    told = json.loads(answer.headers["x-omniroute-explain"])
    assert [one["name"] for one in told["candidates"]] == ["local/m1 @a", "local/m1 @b"]
    assert [one["outcome"] for one in told["attempts"]] == ["server_error", "committed"]
    assert "x-omniroute-explain" not in (await worker.ask("POST", "/v1/chat/completions", body)).headers
