"""A fake provider on plain asyncio, for tests: it answers well or badly, and remembers what it saw.

In a test:      async with FakeProvider() as fake: ... fake.base_url ... fake.requests[-1].header("authorization")
As a process:   python -m tests.support.fake_provider --port 0      (prints the port; GET /_stats gives the records)

What is answered is chosen, first match, by
1. `fake.plan("status:429", "ok", model="m1")` or `key="sk-a"`: used in this order, the last one for good;
2. a JSON object in the request's `user` field: {"fake": "stall-after:2", "chunks": 50, "gap": 0.02};
3. the model's name, when a behaviour has that name ("slow-first:2"; a fault's argument comes after `~`, since a colon ends
   a model's name in Gemini's paths); every other model is answered "ok".
The behaviours are listed in `fake_behaviours.BEHAVIOURS`; they are OpenAI-like and lenient. The scenarios of
`fake_dialects` ("text", "tool-loop" …) and its faults ("broken-off:2" …) are chosen in the same way; they speak every
dialect, by the path, and are strict.
It must not import the product it tests.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Self

from tests.support.fake_behaviours import BEHAVIOURS, error_body
from tests.support.fake_dialects.faults import FAULTS, answer_fault
from tests.support.fake_dialects.scenarios import SCENARIOS
from tests.support.fake_dialects.serve import answer_scenario, dialect_of, model_of
from tests.support.fake_http import (
    MAX_HEAD_BYTES,
    BadRequestError,
    Exchange,
    PeerGoneError,
    RequestRecord,
    Wire,
    read_request,
)
from tests.support.patience import PATIENCE

KEPT_REQUESTS = 2000
LISTED_MODELS = ("ok", "m1", "m2")


class FakeProvider:
    """The server. `requests` holds the last 2,000 caller-visible requests, oldest first; `/_…` paths are not among them."""

    def __init__(self, *, port: int = 0, ssl_context: ssl.SSLContext | None = None, kept: int = KEPT_REQUESTS) -> None:
        self.port = port
        self._requests: deque[RequestRecord] = deque(maxlen=kept)
        self.list_keys: frozenset[str] | None = None
        """Credentials that are shown the list of models; None = everybody is."""
        self.has_list = True
        self.connections_total = 0
        self.connections_open = 0
        self._ssl = ssl_context
        self._seen = 0
        self._plans: dict[tuple[str, str], list[str]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    @property
    def origin(self) -> str:
        return f"{'https' if self._ssl else 'http'}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._new_wire, "127.0.0.1", self.port, ssl=self._ssl, backlog=4096)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Close the port and every connection, answered or not."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    def plan(self, *behaviours: str, model: str | None = None, key: str | None = None) -> None:
        """Answer requests of this model, or with this API key, in this way; none given = forget the plan."""
        for behaviour in behaviours:
            _known(behaviour)
        place = ("key", key) if key is not None else ("model", model or "*")
        self._plans[place] = list(behaviours)

    async def until(self, wish: Callable[[], bool], within: float = 2.0) -> None:
        """Wait for something to become true of this provider; TimeoutError if it does not."""
        async with asyncio.timeout(within * PATIENCE):
            while not wish():
                await asyncio.sleep(0.002)

    @property
    def requests(self) -> list[RequestRecord]:
        """A copy, made in one step: a test's thread looks while the provider's own goes on appending."""
        return list(self._requests)

    def keep_requests(self, most: int) -> None:
        """Remember so many instead of 2,000."""
        self._requests = deque(self._requests, maxlen=most)

    def forget_requests(self) -> None:
        self._requests.clear()

    def stats(self) -> dict[str, Any]:
        requests = self.requests
        return {
            "requests": [record.as_dict() for record in requests],
            "requests_total": self._seen,
            "connections_open": self.connections_open,
            "connections_total": self.connections_total,
            "answers_open": sum(r.finished_at is None and r.closed_at is None for r in requests),
            "closed_mid_answer": sum(r.closed_mid_answer for r in requests),
            "bytes_accepted": sum(r.bytes_accepted for r in requests),
            "now": time.monotonic(),
        }

    def _new_wire(self) -> Wire:
        self.connections_total += 1
        reader = asyncio.StreamReader(limit=MAX_HEAD_BYTES)
        wire: Wire

        def opened(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.get_running_loop().create_task(self._serve(wire, reader, writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        wire = Wire(reader, opened, self.connections_total)
        return wire

    async def _serve(self, wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(high=1 if self._ssl else 0, low=0)  # TLS never resumes at high=0
        self.connections_open += 1
        try:
            while record := await read_request(reader, writer):
                record.connection = wire.number
                await self._answer(record, wire, writer)
                if wire.gone.is_set() or wire.ended_by_us or record.header("connection") == "close":
                    break
        except (BadRequestError, ValueError, asyncio.IncompleteReadError) as error:
            writer.write(_plain_400(error))
        except (PeerGoneError, ConnectionError):
            pass
        finally:
            self.connections_open -= 1
            wire.ended_by_us = True
            writer.close()
            with contextlib.suppress(ConnectionError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), 1.0)

    async def _answer(self, record: RequestRecord, wire: Wire, writer: asyncio.StreamWriter) -> None:
        exchange = Exchange(record, {}, wire, writer)
        if record.path.startswith("/_"):
            return await self._answer_control(exchange)
        self._seen += 1
        record.number = self._seen
        self._requests.append(record)
        wire.current = record
        if record.method == "GET":
            return await self._answer_models(exchange)
        try:
            exchange.request = json.loads(record.body)
            exchange.options = _options(exchange.request)
            record.behaviour = self._choose(record, exchange)
            name, argument = _known(record.behaviour)
        except (ValueError, AttributeError) as error:
            body = json.dumps(error_body(f"fake provider: {error}", "invalid_request_error"))
            return await exchange.whole(400, body.encode())
        if name == "ok" and dialect_of(record.path).NAME != "openai_chat":
            name = "text"
        if name in FAULTS:
            return await answer_fault(exchange, name, argument, dialect_of(record.path))
        if name in SCENARIOS:
            return await answer_scenario(exchange, name)
        return await BEHAVIOURS[name](exchange, argument)

    def _choose(self, record: RequestRecord, exchange: Exchange) -> str:
        model = model_of(record.path, exchange.request)
        for place in (("key", exchange.credential), ("model", model), ("model", "*")):
            if planned := self._plans.get(place):
                return planned.pop(0) if len(planned) > 1 else planned[0]
        if asked := exchange.options.get("fake"):
            return str(asked)
        if model in SCENARIOS or model.partition(":")[0] in BEHAVIOURS:
            return model
        if model.partition("~")[0] in FAULTS:
            return model.replace("~", ":")
        return "ok"

    async def _answer_models(self, exchange: Exchange) -> None:
        if not self.has_list:
            return await exchange.whole(404, json.dumps(error_body("no such path", "invalid_request_error")).encode())
        if self.list_keys is not None and exchange.credential not in self.list_keys:
            said = error_body(f"Incorrect API key provided: {exchange.credential}", "invalid_request_error")
            return await exchange.whole(401, json.dumps(said).encode())
        listed = [{"id": name, "object": "model", "created": 1, "owned_by": "fake"} for name in LISTED_MODELS]
        if exchange.record.path.partition("?")[0].endswith("/models"):
            return await exchange.whole(200, json.dumps({"object": "list", "data": listed}).encode())
        return await exchange.whole(404, json.dumps(error_body("no such path", "invalid_request_error")).encode())

    async def _answer_control(self, exchange: Exchange) -> None:
        """GET /_stats; POST /_plan {"behaviours": [...], "model" or "key": ...}; POST /_clear forgets requests and plans."""
        record = exchange.record
        if record.path == "/_plan":
            asked = record.json()
            self.plan(*asked["behaviours"], model=asked.get("model"), key=asked.get("key"))
        elif record.path == "/_clear":
            self.forget_requests()
            self._plans.clear()
        await exchange.whole(200, json.dumps(self.stats()).encode())


def _known(behaviour: str) -> tuple[str, str]:
    name, _, argument = behaviour.partition(":")
    if name not in BEHAVIOURS and name not in SCENARIOS and name not in FAULTS:
        raise ValueError(f"no behaviour {name!r}; known: {', '.join([*BEHAVIOURS, *SCENARIOS, *FAULTS])}")
    return name, argument


def _options(request: dict[str, Any]) -> dict[str, Any]:
    user = request.get("user")
    if not isinstance(user, str) or not user.startswith("{"):
        return {}
    options: dict[str, Any] = json.loads(user)
    return options


def _plain_400(error: Exception) -> bytes:
    body = json.dumps(error_body(f"fake provider: bad request: {error}", "invalid_request_error")).encode()
    return b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


async def _run(port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with FakeProvider(port=port) as fake:
        print(fake.port, flush=True)
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="Fake provider for tests, on loopback.")
    parser.add_argument("--port", type=int, default=0, help="0 = any free port; the port is printed")
    asyncio.run(_run(parser.parse_args().port))


if __name__ == "__main__":
    main()
