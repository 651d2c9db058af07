"""The hot path's connection to Redis: pipelined RESP on one socket, one write per loop tick, hiredis for parsing.

redis-py costs 60-70 µs a command, this 5-10 µs (docs/adr/0003). It knows only what the request path needs: send a
command, run a script by its SHA, fail fast. Everything else (pub/sub, streams, leases) uses redis-py.
A trip that is not back in time raises StateAway; its answer is dropped when it comes. After a lost connection all
waiting trips fail at once and a reconnect with jitter begins.
"""

import asyncio
import contextlib
import hashlib
import random
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import hiredis
import structlog

from gateway.state.address import Address, find_primary

_log = structlog.get_logger()

Argument = bytes | str | int | float

MAX_WAITING = 50_000
BLACK_HOLE_S, WATCHED_BLACK_HOLE_S = 10.0, 1.0
MISSES_TO_OPEN, OPEN_S = 5, 1.0
"""After so many trips in a row over their budget no new one is tried for a while: slow is worse than gone. When nothing
came for BLACK_HOLE_S (where Sentinels may name another server: WATCHED_BLACK_HOLE_S), a new connection is made."""

RECONNECT_MIN_S, RECONNECT_MAX_S = 0.05, 2.0


_EVALSHA = re.compile(rb"\*(\d+)\r\n\$7\r\nEVALSHA\r\n\$40\r\n[0-9a-f]{40}\r\n")


class StateAway(Exception):
    """Redis did not answer: not connected, loading, full, or over the trip's time budget."""


class NotPrimary(StateAway):
    """The server is a replica: there was a fail-over."""


class NotSent(StateAway):
    """The server cannot have seen it: there was no connection, or none was tried."""


class Script:
    """A Lua script from `scripts/`, run by SHA and loaded again when the server has lost it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = (Path(__file__).parent / "scripts" / f"{name}.lua").read_bytes()
        self.sha = hashlib.sha1(self.text).hexdigest()  # noqa: S324  (Redis names scripts by SHA-1)


class _Uncounted:
    """Stands for the answers that nobody waits for, of commands sent together: only how many were errors is kept."""

    def __init__(self) -> None:
        self.failed = 0

    def done(self) -> bool:
        return False

    def set_result(self, answer: object) -> None:
        self.failed += isinstance(answer, Exception)

    def set_exception(self, _: Exception) -> None:
        self.failed += 1

    def exception(self) -> None:
        return None


class _Protocol(asyncio.Protocol):
    """Feeds hiredis and resolves the waiting futures in order."""

    def __init__(self, lost: Callable[[], None]) -> None:
        self.reader = hiredis.Reader()
        self.waiting: deque[asyncio.Future[object] | _Uncounted] = deque()
        self.transport: asyncio.Transport | None = None
        self._lost = lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's does not inherit asyncio's

    def data_received(self, data: bytes) -> None:
        self.reader.feed(data)
        try:
            while (answer := self.reader.gets()) is not False:
                future = self.waiting.popleft()
                if not future.done():
                    future.set_result(answer)
        except (hiredis.ProtocolError, IndexError):
            assert self.transport is not None
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        waiting, self.waiting = self.waiting, deque()
        for future in waiting:
            if not future.done():
                future.set_exception(StateAway("the connection to Redis was lost"))
                future.exception()
        self._lost()


class RespClient:
    """One pipelined connection. `is_up` tells whether trips can be made now; `run_id` names the server process."""

    def __init__(self, url: str, *, budget_s: float = 0.05, connect_s: float = 2.0) -> None:
        self._address = Address(url)
        self._budget_s = budget_s
        self._connect_s = connect_s
        self._black_hole_s = WATCHED_BLACK_HOLE_S if self._address.sentinels else BLACK_HOLE_S
        self._protocol: _Protocol | None = None
        self._out: list[bytes] = []
        self._reconnecting: asyncio.Task[None] | None = None
        self._is_closed = False
        self._misses = 0
        self._open_until = 0.0
        self._slow_since = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._budgeted: deque[tuple[float, asyncio.Future[object]]] = deque()
        self._watchman: asyncio.TimerHandle | None = None
        self.run_id = b""
        self.outages = {"lost": 0, "slow": 0}
        """How often it went away: the connection ended, or too many trips in a row were over their budget."""
        self.on_up: Callable[[bool], None] = lambda is_another_server: None
        """Called after each (re)connect; True when the server is another process than before."""

    @property
    def is_up(self) -> bool:
        return self._protocol is not None and self._misses < MISSES_TO_OPEN

    @property
    def waiting(self) -> int:
        """Trips under way."""
        return len(self._protocol.waiting) if self._protocol else 0

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._reconnect_soon()

    async def wait_until_up(self, limit_s: float) -> bool:
        """Wait for the first connection, so long at most; whether there is one."""
        if self._reconnecting is not None:
            await asyncio.wait((self._reconnecting,), timeout=limit_s)
        return self.is_up

    async def close(self) -> None:
        self._is_closed = True
        if self._reconnecting is not None:
            self._reconnecting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reconnecting
        if self._protocol and self._protocol.transport:
            self._flush()
            self._protocol.transport.close()

    def send(self, *command: Argument) -> asyncio.Future[object]:
        """Queue a command for the write at the end of this tick. Raises NotSent when it cannot be sent.

        The future gives the raw answer; an error answer of the server is a value (hiredis.ReplyError).
        """
        return self._queue(packed_command(*command))

    def send_all(self, commands: Sequence[bytes], tell: Callable[[int], None]) -> None:
        """Queue packed commands together. `tell` gets how many of them failed, once all are answered. Raises NotSent."""
        rest = _Uncounted()
        last = self._queue(commands[0])
        self._out.extend(commands[1:])
        waiting = cast("_Protocol", self._protocol).waiting
        waiting.pop()  # it stands for the last of them
        waiting.extend([rest] * (len(commands) - 1))
        waiting.append(last)

        def over(answer: asyncio.Future[object]) -> None:
            is_lost = answer.cancelled() or answer.exception() is not None or isinstance(answer.result(), Exception)
            tell(rest.failed + is_lost)

        last.add_done_callback(over)

    def _queue(self, packed: bytes) -> asyncio.Future[object]:
        protocol, loop = self._protocol, self._loop
        if protocol is None or loop is None:
            raise NotSent("not connected to Redis")
        if len(protocol.waiting) >= MAX_WAITING:
            raise NotSent("too many trips to Redis are under way")
        if self._misses >= MISSES_TO_OPEN:
            self._check_open(protocol, loop)
        future: asyncio.Future[object] = loop.create_future()
        if not self._out:
            loop.call_soon(self._flush)
        self._out.append(packed)
        protocol.waiting.append(future)
        return future

    def _check_open(self, protocol: _Protocol, loop: asyncio.AbstractEventLoop) -> None:
        if loop.time() < self._open_until:
            raise NotSent("Redis is too slow; waiting before the next try")
        self._open_until = loop.time() + OPEN_S
        if loop.time() - self._slow_since > self._black_hole_s and protocol.transport is not None:
            protocol.transport.abort()  # nothing came for long: the connection may lead nowhere, a new one may not
            raise NotSent("Redis is silent; connecting anew")

    async def call(self, *command: Argument, budget_s: float | None = None) -> object:
        """Run one command within the time budget. Raises StateAway; a ReplyError that is no outage is raised too."""
        if budget_s is not None:
            return self._checked(await self._within_budget(self.send(*command), budget_s))
        return self.answer_of(await self.ask(*command))

    def ask(self, *command: Argument) -> asyncio.Future[object]:
        """Queue a command whose answer is awaited within the time budget: the future then raises StateAway. Raises NotSent."""
        future = self._queue(packed_command(*command))
        self._watch(future)
        return future

    def answer_of(self, answer: object) -> object:
        """What `ask` gave, if it is no error: those of an outage are raised as StateAway, others as they are."""
        self._misses = 0
        return answer if answer is None else self._checked(answer)

    async def run(
        self,
        script: Script,
        keys: Sequence[Argument],
        arguments: Sequence[Argument],
        budget_s: float | None = None,
    ) -> object:
        """Run a script within the time budget, or within one of its own. Raises StateAway."""
        packed = pack_run(script, keys, arguments)
        if budget_s is None:
            return await self.run_packed(packed, script)
        answer = await self._within_budget(self._queue(packed), budget_s)
        if type(answer) is hiredis.ReplyError and str(answer).startswith("NOSCRIPT"):
            return await self.call("EVAL", script.text, len(keys), *keys, *arguments, budget_s=budget_s)
        return self._checked(answer)

    def _checked(self, answer: object) -> object:
        try:
            return _checked(answer)
        except NotPrimary:
            if self._protocol is not None and self._protocol.transport is not None:
                self._protocol.transport.abort()  # connecting anew finds the primary
            raise

    async def run_packed(self, packed: bytes, script: Script) -> object:
        """The same for a command in the protocol's own form (`packed_run`): the request path packs most of it in advance."""
        future = self._queue(packed)
        self._watch(future)
        answer = await future
        self._misses = 0
        if type(answer) is hiredis.ReplyError:
            if str(answer).startswith("NOSCRIPT"):
                again = _EVALSHA.match(packed)
                assert again is not None
                answer = await self._within_budget(self._queue(_packed_start(again, script) + packed[again.end() :]))
            return self._checked(answer)
        return answer

    async def _within_budget(self, future: asyncio.Future[object], budget_s: float | None = None) -> object:
        loop = future.get_loop()
        handle = loop.call_later(self._budget_s if budget_s is None else budget_s, self._give_up_soon, future)
        try:
            answer = await future
        finally:
            handle.cancel()
        self._misses = 0
        return answer

    def _watch(self, future: asyncio.Future[object]) -> None:
        """Give it up when the client's own budget is over, without a timer of its own."""
        self._budgeted.append((time.monotonic() + self._budget_s, future))
        if self._watchman is None:
            self._watchman = future.get_loop().call_later(self._budget_s, self._check_budgets)

    def _check_budgets(self) -> None:
        """Trips end in the order in which they began, so one timer looks after all of them."""
        now = time.monotonic()
        budgeted = self._budgeted
        while budgeted and (budgeted[0][1].done() or budgeted[0][0] <= now):
            self._give_up(budgeted.popleft()[1])
        due_s = max(0.001, budgeted[0][0] - now) if budgeted else 0.0
        self._watchman = asyncio.get_running_loop().call_later(due_s, self._check_budgets) if budgeted else None

    def _give_up_soon(self, future: asyncio.Future[object]) -> None:
        """A loop that was held looks at its sockets once more first: the answer may be there."""
        if not future.done():
            future.get_loop().call_later(0.001, self._give_up, future)

    def _give_up(self, future: asyncio.Future[object]) -> None:
        if not future.done():
            self._misses += 1
            if self._misses == MISSES_TO_OPEN:
                self.outages["slow"] += 1
            if self._misses == 1:
                self._slow_since = asyncio.get_running_loop().time()
            self._open_until = asyncio.get_running_loop().time() + OPEN_S
            future.set_exception(StateAway("Redis did not answer within the time budget"))
            future.exception()  # whoever asked may have left; one that nobody looks at would be logged

    def _flush(self) -> None:
        out, self._out = self._out, []
        if out and self._protocol is not None and self._protocol.transport is not None:
            self._protocol.transport.write(b"".join(out))

    def _reconnect_soon(self) -> None:
        if self.is_up and not self._is_closed:
            self.outages["lost"] += 1
        self._protocol = None
        self._loop = asyncio.get_running_loop()
        self._out.clear()
        if not self._is_closed and (self._reconnecting is None or self._reconnecting.done()):
            self._reconnecting = asyncio.get_running_loop().create_task(self._reconnect())

    async def _reconnect(self) -> None:
        delay_s = RECONNECT_MIN_S
        while not self._is_closed:
            protocol: _Protocol | None = None
            try:
                async with asyncio.timeout(self._connect_s):
                    protocol = await self._open()
                    run_id = await self._greet(protocol)
            except (OSError, StateAway, TimeoutError, hiredis.ReplyError) as error:
                if protocol is not None and protocol.transport is not None:
                    protocol.transport.abort()
                if delay_s >= RECONNECT_MAX_S:
                    _log.warning("redis_away", cause=str(error) or type(error).__name__)
                await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))
                delay_s = min(RECONNECT_MAX_S, delay_s * 2)
                continue
            is_another = bool(self.run_id) and run_id != self.run_id
            self.run_id, self._protocol = run_id, protocol
            self._misses = 0  # it has answered; what the connection before it missed says nothing of this one
            self.on_up(is_another)
            return

    async def _open(self) -> _Protocol:
        address, loop = self._address, asyncio.get_running_loop()
        created: list[_Protocol] = []

        def lost() -> None:
            if created and self._protocol is created[0]:
                self._reconnect_soon()

        def factory() -> _Protocol:
            created.append(_Protocol(lost))
            return created[0]

        if address.is_unix:
            await loop.create_unix_connection(factory, address.path)
        else:
            host, port = await find_primary(address)
            server_hostname = host if address.tls else None
            await loop.create_connection(factory, host, port, ssl=address.tls, server_hostname=server_hostname)
        return created[0]

    async def _greet(self, protocol: _Protocol) -> bytes:
        """Authenticate, choose the database, and ask who the server is. LOADING counts as away."""
        address = self._address
        commands: list[tuple[Argument, ...]] = []
        if address.password:
            commands.append(("AUTH", *([address.username] if address.username else []), address.password))
        if address.db:
            commands.append(("SELECT", address.db))
        if address.sentinels:
            commands.append(("ROLE",))  # a Sentinel may be late; not asked elsewhere: a user may lack the right to
        commands += [("GET", "-"), ("INFO", "server")]  # GET answers LOADING while INFO would not
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[object]] = [loop.create_future() for _ in commands]
        protocol.waiting.extend(futures)
        assert protocol.transport is not None
        protocol.transport.write(b"".join(packed_command(*command) for command in commands))
        answers = [_checked(await future) for future in futures]
        info = answers[-1]
        if any(isinstance(answer, list) and answer[0] != b"master" for answer in answers):
            raise NotPrimary("the server is a replica")
        assert isinstance(info, bytes)
        return next((line[7:] for line in info.splitlines() if line.startswith(b"run_id:")), b"")


def pack_run(script: Script, keys: Sequence[Argument], arguments: Sequence[Argument]) -> bytes:
    """A script call in the protocol's own form."""
    return packed_command("EVALSHA", script.sha, len(keys), *keys, *arguments)


def packed_run(script: Script, arguments: int, *first: Argument) -> bytes:
    """The beginning of a packed script call with so many parts after `script` (count of keys, keys, arguments), `first` among them.

    The rest is appended with `packed_part`.
    """
    whole = packed_command("EVALSHA", script.sha, *first)
    return b"*%d\r\n" % (arguments + 2) + whole.partition(b"\r\n")[2]


def packed_part(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


def _packed_start(evalsha: re.Match[bytes], script: Script) -> bytes:
    """The same command by the script's text: the server has lost it."""
    return b"*%b\r\n$4\r\nEVAL\r\n%b" % (evalsha.group(1), packed_part(script.text))


def packed_command(*command: Argument) -> bytes:
    return hiredis.pack_command(command)  # type: ignore[arg-type,no-any-return]  # its stub says a tuple of one


def _checked(answer: object) -> object:
    """Error answers that mean an outage (LOADING, OOM, READONLY …) become StateAway; others are raised as they are."""
    if isinstance(answer, hiredis.ReplyError):
        word = str(answer).partition(" ")[0]
        if word == "READONLY":
            raise NotPrimary("Redis answers READONLY") from answer
        if word in (
            "LOADING",
            "OOM",
            "MASTERDOWN",
            "BUSY",
            "MISCONF",
            "CLUSTERDOWN",
            "TRYAGAIN",
            "NOREPLICAS",
        ):
            raise StateAway(f"Redis answers {word}") from answer
        raise answer
    return answer
