"""The callers of the soak: many at once, some of whom leave. `python -m loadtests.soak_callers PORT`, told by `loadtests.soak`.

Reads one JSON object a line from standard input, {"seconds": S, "rate": R} for R requests/s (open loop: latency counts from
when a request was due) or {"seconds": S, "at_once": N} for N callers who ask again when they are answered. Writes a
JSON line each second while it runs, and one with "is_end" at its end, with which every request is accounted for. The API
key comes from SOAK_KEY. It judges nothing (soak_verdict.py), and does not claim what it cannot know: whether a caller who
left before it was answered was heard, and whether one who got 503 was refused before it was read, which leaves no row.
"""

import asyncio
import json
import os
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import cast

import uvloop

ANSWER_LIMIT_S = 60.0
IDLE_LIMIT_S = 20.0
"""A kept connection is used no longer, well before the gateway closes it under a request (60 s)."""
MOST_OPEN = 2000
"""A request that is due while so many are open is not sent, and counted as left out."""
ABORT_SHARE = 0.05
STREAM_SHARE = 0.6
EVENTS = 20
MOCK = {True: f"mock:n={EVENTS},d=5000,s=220", False: "mock:b=1024,l=10000"}
FILLING = "Tell me something about routing. " * 50
IDS = "soak-%09d"


class Connection(asyncio.Protocol):
    """One keep-alive connection that carries one request after another."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.is_lost = False
        self.idle_since = 0.0
        self._begin(False)

    def _begin(self, is_stream: bool) -> None:
        self.data = bytearray()
        self.is_stream = is_stream
        self.first_at = 0.0
        self.changed = asyncio.get_running_loop().create_future()

    def ask(self, request: bytes, is_stream: bool) -> None:
        assert self.transport is not None
        self._begin(is_stream)
        self.transport.write(request)

    @property
    def is_whole(self) -> bool:
        head, gap, _ = bytes(self.data[:2048]).partition(b"\r\n\r\n")
        if not gap:
            return False
        if b"chunked" in head.lower():
            return self.data.endswith(b"\r\n0\r\n\r\n")
        length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
        return len(self.data) - len(head) - 4 >= int(length.partition(b":")[2])

    @property
    def events(self) -> int:
        return self.data.count(b"data: {")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        self.data += data
        if not self.first_at and (not self.is_stream or b"data: {" in data):
            self.first_at = time.monotonic()
        if not self.changed.done():
            self.changed.set_result(None)

    def connection_lost(self, _: Exception | None) -> None:
        self.is_lost = True
        if not self.changed.done():
            self.changed.set_result(None)

    async def more(self) -> None:
        """Until something came or the connection is lost."""
        await self.changed
        self.changed = asyncio.get_running_loop().create_future()

    def leave(self) -> None:
        assert self.transport is not None
        self.transport.abort()


@dataclass(slots=True)
class Callers:
    """All callers together. `counts` by how a request ended, of all time; `unsure` are ids of which no row may be there."""

    port: int
    key: str
    chance: random.Random
    counts: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    unsure: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    first_ms: list[float] = field(default_factory=list)
    total_ms: list[float] = field(default_factory=list)
    idle: list[Connection] = field(default_factory=list)
    open: int = 0
    number: int = 0

    async def one(self, due: float) -> None:
        """One request, however it ends."""
        self.open += 1
        self.number += 1
        number, is_stream = self.number, self.chance.random() < STREAM_SHARE
        leaves = self.chance.random() < ABORT_SHARE
        is_hasty = leaves and not (is_stream and self.chance.random() < 0.8)
        patience_s = self.chance.uniform(0.0, 0.02) if is_hasty else ANSWER_LIMIT_S
        leaves_after = self.chance.randint(1, EVENTS // 2) if leaves and not is_hasty else 0
        try:
            async with asyncio.timeout(patience_s):
                ended = await self._ask(number, is_stream, leaves_after, due)
        except TimeoutError:
            ended = "left" if is_hasty else "failed"
            self.unsure.append(number)
        except OSError as error:
            ended = "failed"
            self._note(number, repr(error))
        self.counts[ended] += 1
        self.open -= 1

    async def _ask(self, number: int, is_stream: bool, leaves_after: int, due: float) -> str:
        connection = await self._connection()
        connection.ask(self._request(number, is_stream), is_stream)
        is_done = False
        try:
            while not (is_done := connection.is_whole):
                if connection.is_lost:
                    self._note(number, f"closed after {bytes(connection.data[:200])!r}")
                    return "failed"
                if leaves_after and connection.events >= leaves_after:
                    return "left midway"
                await connection.more()
        finally:
            if is_done and b"connection: close" not in bytes(connection.data[:1024]).lower():
                connection.idle_since = time.monotonic()
                self.idle.append(connection)
            else:
                connection.leave()
        return self._ended(number, connection, due)

    def _ended(self, number: int, connection: Connection, due: float) -> str:
        status = bytes(connection.data[9:12]).decode()
        if status != "200":
            self.statuses[status] += 1
            if status == "503":
                self.unsure.append(number)
            return "refused"
        if connection.is_stream and b"data: [DONE]" not in connection.data:
            return "broken"
        self.first_ms.append((connection.first_at - due) * 1000)
        self.total_ms.append((time.monotonic() - due) * 1000)
        return "answered"

    def _note(self, number: int, what: str) -> None:
        if len(self.failures) < 20:
            self.failures.append(f"{IDS % number}: {what}")
        self.unsure.append(number)

    async def _connection(self) -> Connection:
        while self.idle:
            connection = self.idle.pop()
            if not connection.is_lost and time.monotonic() < connection.idle_since + IDLE_LIMIT_S:
                return connection
            connection.leave()
        _, fresh = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", self.port)
        return fresh

    def _request(self, number: int, is_stream: bool) -> bytes:
        said = f"{MOCK[is_stream]} {number} {FILLING}"
        body = b'{"model":"local/soak","stream":%b,"messages":[{"role":"user","content":"%b"}]}' % (
            b"true" if is_stream else b"false",
            said.encode(),
        )
        return (
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\nX-Request-Id: %b\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (self.key.encode(), (IDS % number).encode(), len(body), body)
        )

    def said(self) -> dict[str, object]:
        """What a line tells; latencies since the last one."""
        told = {
            "at": time.time(),
            "sent": self.number,
            "open": self.open,
            "counts": dict(self.counts),
            "first_ms": _quantiles(self.first_ms),
            "total_ms": _quantiles(self.total_ms),
        }
        self.first_ms.clear()
        self.total_ms.clear()
        return told


def _quantiles(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    ordered = sorted(values)
    return {
        f"p{share}": round(ordered[min(len(ordered) - 1, len(ordered) * share // 100)], 2) for share in (50, 95, 99)
    }


async def open_loop(callers: Callers, rate: float, seconds: float, tasks: set[asyncio.Task[None]]) -> None:
    began, sent = time.monotonic(), 0
    while (now := time.monotonic()) < began + seconds:
        while sent < (now - began) * rate:
            due = began + sent / rate
            sent += 1
            if callers.open >= MOST_OPEN:
                callers.counts["left out"] += 1
                continue
            task = asyncio.create_task(callers.one(due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.sleep(0.002)


async def closed_loop(callers: Callers, at_once: int, seconds: float, tasks: set[asyncio.Task[None]]) -> None:
    until = time.monotonic() + seconds

    async def again() -> None:
        while time.monotonic() < until:
            await callers.one(time.monotonic())

    tasks |= {asyncio.create_task(again()) for _ in range(at_once)}
    await asyncio.wait(tasks)


async def tell(callers: Callers) -> None:
    while True:
        await asyncio.sleep(1)
        print(json.dumps(callers.said()), flush=True)


async def main(port: int, key: str) -> None:
    callers = Callers(port, key, random.Random(1))
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        wish = json.loads(line)
        tasks: set[asyncio.Task[None]] = set()
        telling = asyncio.create_task(tell(callers))
        if wish.get("rate"):
            await open_loop(callers, wish["rate"], wish["seconds"], tasks)
        else:
            await closed_loop(callers, wish["at_once"], wish["seconds"], tasks)
        if tasks:
            await asyncio.wait(tasks)
        telling.cancel()
        known = {"statuses": dict(callers.statuses), "unsure": callers.unsure, "failures": callers.failures}
        print(json.dumps(callers.said() | known | {"is_end": True}), flush=True)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]), os.environ["SOAK_KEY"]))
