"""The end of a drain's budget: what still streams then gets its dialect's own error event, and each has its row."""

import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.support.product import REAL, products, wait_for
from tests.support.real_gateway import KEY, MESSAGES, RealGateway, running_gateway

pytestmark = pytest.mark.process

NODES = {"resp": "openai_responses", "anth": "anthropic_messages", "gem": "gemini"}
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"messages": MESSAGES, "stream": True}),
    "responses": ("/v1/responses", {"input": "Hello", "stream": True}),
    "messages": ("/v1/messages", {"messages": MESSAGES, "max_tokens": 50, "stream": True}),
    "gemini": ("/v1beta/models/{model}:streamGenerateContent?alt=sse", GEMINI),
    "array": ("/v1beta/models/{model}:streamGenerateContent", GEMINI),
    "ollama": ("/api/chat", {"messages": MESSAGES}),
}
STREAMS = [
    ("chat", "local"), ("chat", "anth"), ("responses", "resp"), ("responses", "local"), ("messages", "anth"),
    ("messages", "local"), ("gemini", "gem"), ("gemini", "local"), ("array", "gem"), ("ollama", "local"),
]  # fmt: skip
"""What the caller speaks, and a provider that speaks it too or another dialect: bytes that pass, and a translation."""
SILENT: dict[str, dict[str, Any]] = {
    "no head": {"model": "local/slow-headers:300"},
    "half a body": {"model": "local/slow-first:300"},
    "no event": {"model": "local/slow-first:300", "stream": True},
}
"""Requests whose provider has said nothing useful yet."""
CLEAN_ENDS = (b"[DONE]", b"response.completed", b"message_stop", b'"finishReason":"', b'"done":true')


class Streams:
    """Streams whose provider falls silent after three pieces, as their callers hear them."""

    def __init__(self, gateway: RealGateway) -> None:
        self._gateway = gateway
        self.ids = {one: gateway.new_id() for one in STREAMS}
        self.heard = dict.fromkeys(STREAMS, b"")
        self.refused: list[httpx.Response] = []

    def listen(self, one: tuple[str, str]) -> None:
        """To one, until it ends; a connection that is cut raises httpx.HTTPError."""
        path, body = CALLS[one[0]]
        model = f"{one[1]}/stalled~3"
        headers = {"authorization": f"Bearer {KEY}", "x-request-id": self.ids[one]}
        url = self._gateway.url + path.format(model=model)
        body = body if "{model}" in path else body | {"model": model}
        with httpx.stream("POST", url, json=body, headers=headers, timeout=60) as answer:
            assert answer.status_code == 200, answer.read()
            for piece in answer.iter_bytes():
                self.heard[one] += piece

    def wait(self, name: str) -> None:
        """For an answer of which nothing has come."""
        self.refused.append(self._gateway.chat(**SILENT[name]))


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Streams, list[dict[str, Any]], int]]:
    """The streams after a drain, the rows of their requests, and the product's exit code."""
    timeouts = dict.fromkeys(("headers_s", "first_event_s", "first_event_reasoning_s", "gap_s"), 100.0)
    variables = {"nodes": NODES, "timeouts": timeouts, "early_headers_s": 300.0, "SHUTDOWN_TIMEOUT_S": "3"}
    with running_gateway(tmp_path_factory.mktemp("drain"), **variables) as gateway:  # type: ignore[arg-type]
        streams, mark = Streams(gateway), gateway.mark
        with ThreadPoolExecutor(len(STREAMS) + len(SILENT)) as pool:
            listening = [pool.submit(streams.listen, one) for one in STREAMS]
            listening += [pool.submit(streams.wait, name) for name in SILENT]
            wait_for(lambda: len(gateway.seen(mark)) == len(STREAMS) + len(SILENT), 10)
            wait_for(lambda: all(streams.heard.values()), 10, lambda: str(streams.heard))
            gateway.product.process.send_signal(signal.SIGTERM)
            for one in listening:
                one.result()
        code = gateway.product.wait()
        ids = tuple(streams.ids.values())
        with products() as make:  # what SQL had no time to take waits in Valkey's file
            make(gateway.product.data_dir, REAL, OMNIROUTE_CONFIG=str(gateway.config)).wait_ready()
            wait_for(lambda: len(gateway.rows(*ids)) == len(ids), 10)
        yield streams, gateway.rows(*ids), code


def test_every_stream_ends_with_an_error_event_of_its_dialect_and_no_clean_end(ended) -> None:
    streams, _, _ = ended
    for one, heard in streams.heard.items():
        assert not any(end in heard for end in CLEAN_ENDS), (one, heard[-500:])
        assert told(one[0], heard) == ("shutting_down" if one[0] != "ollama" else "the gateway is shutting down"), one


def told(dialect: str, heard: bytes) -> str:
    """What the error at the end tells, by the dialect's own grammar for errors in mid-stream."""
    if dialect == "array":
        return reason(json.loads(heard)[-1])
    if dialect == "ollama":
        return str(json.loads(heard.splitlines()[-1])["error"])
    last = heard.replace(b"\r\n", b"\n").split(b"\n\n")[-2]
    if dialect in ("chat", "gemini"):
        assert last.startswith(b"data: ")
        return reason(json.loads(last.removeprefix(b"data: ")))
    event, _, rest = heard.partition(b"event: error\n")[2].partition(b"\n\n")
    said = json.loads(event.removeprefix(b"data: "))
    assert said["type"] == "error"
    if dialect == "messages":
        assert not rest
        return str(said["error"]["code"])
    assert not rest or rest.startswith(b"event: response.failed\n"), "of a response that we made: it has failed"
    return str(said["code"])


def reason(event: dict[str, Any]) -> str:
    error = event["error"]
    return str(error["details"][0]["reason"] if "details" in error else error["code"])


def test_every_stream_that_was_ended_has_one_row_that_says_so(ended) -> None:
    streams, rows, _ = ended
    assert {row["request_id"]: row["error"] for row in rows} == dict.fromkeys(streams.ids.values(), "stream_draining")


def test_whoever_has_got_nothing_yet_is_told_with_503(ended) -> None:
    streams, _, _ = ended
    told = [(answer.status_code, answer.json()["error"]["code"]) for answer in streams.refused]
    assert told == [(503, "shutting_down")] * len(SILENT)


def test_the_product_ends_with_code_0_all_the_same(ended) -> None:
    assert ended[2] == 0
