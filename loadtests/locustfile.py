"""Load with real client behaviour against a running gateway: chat and streams, time to first token apart from the total.

    OMNIROUTE_URL=http://127.0.0.1:20128 OMNIROUTE_KEY=sk-or-… MODEL=demo/echo locust -f loadtests/locustfile.py

For how many users a deployment carries and what they see. Not for what a request costs: the client here is slower than
the gateway (see README.md). It must never be pointed at a provider that bills.
"""

import json
import os
import time
from collections.abc import Iterator

from geventhttpclient.response import HTTPParseError
from locust import FastHttpUser, between, task
from locust.contrib.fasthttp import ResponseContextManager

PATH = "/v1/chat/completions"
PROMPT = "Tell me something about routing, in a few sentences. " * 8


class ChatUser(FastHttpUser):
    """A user who asks, reads the answer and thinks for a moment; one answer in three is not streamed."""

    host = os.environ.get("OMNIROUTE_URL", "http://127.0.0.1:20128")
    wait_time = between(0.5, 2.0)
    connection_timeout = 10.0
    network_timeout = 120.0

    def on_start(self) -> None:
        self.model = os.environ.get("MODEL", "demo/echo")
        self.headers = {"Authorization": f"Bearer {os.environ.get('OMNIROUTE_KEY', '')}"}

    @task(1)
    def chat(self) -> None:
        with self.client.post(
            PATH, json=self._body(False), headers=self.headers, name="chat total", catch_response=True
        ) as answer:
            if answer.status_code != 200:
                answer.failure(f"status {answer.status_code}")
            elif '"choices"' not in (answer.text or ""):
                answer.failure("no choices in the answer")

    @task(2)
    def stream(self) -> None:
        began = time.perf_counter()
        with self.client.post(
            PATH, json=self._body(True), headers=self.headers, name="stream headers", catch_response=True, stream=True
        ) as answer:
            if answer.status_code != 200:
                answer.failure(f"status {answer.status_code}")
                return
            self._read(answer, began)

    def _read(self, answer: ResponseContextManager, began: float) -> None:
        """Report the first token when it comes and the total at the end; a stream without its end has failed."""
        seen_first, ended, size = False, False, 0
        problem: Exception | None = None
        try:
            for data in _events(answer):
                size += len(data)
                if data == "[DONE]":
                    ended = True
                elif not seen_first and _has_content(data):
                    seen_first = True
                    self._report("stream first token", began, 0, None)
        except (OSError, ValueError, HTTPParseError) as error:
            problem = error
        if problem is None and not (seen_first and ended):
            problem = RuntimeError("stream ended without content or without [DONE]")
        self._report("stream total", began, size, problem)

    def _report(self, name: str, began: float, size: int, problem: Exception | None) -> None:
        self.environment.events.request.fire(
            request_type="SSE",
            name=name,
            response_time=(time.perf_counter() - began) * 1000,
            response_length=size,
            exception=problem,
            context={},
        )

    def _body(self, streamed: bool) -> dict[str, object]:
        return {"model": self.model, "stream": streamed, "messages": [{"role": "user", "content": PROMPT}]}


def _events(answer: ResponseContextManager) -> Iterator[str]:
    # Event by event: a read of N bytes would wait until N bytes have come, and hide when the first token did.
    while event := answer.stream.readline(sep=b"\n\n"):
        for line in bytes(event).split(b"\n"):
            if line.startswith(b"data: "):
                yield line[6:].decode("utf-8", "replace")


def _has_content(data: str) -> bool:
    choices = json.loads(data).get("choices") or [{}]
    delta = choices[0].get("delta") or {}
    return bool(delta.get("content") or delta.get("reasoning_content") or delta.get("tool_calls"))
