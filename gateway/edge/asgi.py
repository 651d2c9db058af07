"""ASGI in: one scope → an endpoint → the journey; probes; what is not ours goes to the admin process.

Errors end here: a GatewayError becomes an answer (`rescue.py`), anything else is logged and becomes a 500.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from gateway.admission.gate import Gate
from gateway.admission.peer import peer_address
from gateway.admission.permit import pass_door
from gateway.config.addresses import is_host_allowed
from gateway.config.settings import Settings
from gateway.dialects.ollama.tags import encode_version
from gateway.domain.caller import Caller
from gateway.domain.dialect import CallerDialect
from gateway.domain.errors import (
    BadRequest,
    CallerGone,
    Forbidden,
    GatewayError,
    Internal,
    MethodNotAllowed,
    NotBuilt,
    NotFound,
    UpgradeRequired,
)
from gateway.domain.ids import uuid7
from gateway.domain.inbound import Inbound
from gateway.domain.reply import Headers
from gateway.domain.waiting import Waiting
from gateway.edge.admin_relay import AdminRelay
from gateway.edge.body import BodyReader, Receive, unread
from gateway.edge.credentials import secret_of
from gateway.edge.endpoints import Endpoint, dialect_of_area, find_endpoint, is_caller_area
from gateway.edge.models import get_model, list_models
from gateway.edge.reply import AsgiReply, Send
from gateway.edge.rescue import rescue
from gateway.journey import identify, record_refusal, run_chat
from gateway.journey_count import run_count
from gateway.journey_stored import run_chat_stored
from gateway.journey_watched import run_chat_watched
from gateway.passage import Tools
from gateway.relay.exchange import Exchange

_log = structlog.get_logger()

Scope = dict[str, Any]

RANDOM_STOCK_BYTES = 10 * 256


@dataclass(slots=True)
class Health:
    """What the probes tell. `is_draining` is set when the process is asked to stop."""

    is_draining: bool = False


class Edge:
    """The ASGI application of a worker, for HTTP scopes."""

    def __init__(
        self,
        settings: Settings,
        tools: Tools,
        health: Health,
        relay: AdminRelay | None,
        randomness: Callable[[int], bytes],
    ) -> None:
        self._settings = settings
        self._tools = tools
        self._health = health
        self._relay = relay
        self._randomness = randomness
        self._random, self._random_at = b"", 0
        self._checks_host = settings.is_loopback
        self._opens_cors = settings.require_api_key
        self._host_seen = b""
        self.bodies = BodyReader()
        self._waiting: Waiting | None = None
        self.open_requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("raw_path")
        raw_path = (path.decode("latin-1") if path else scope["path"]).partition("?")[0]
        if raw_path in ("/healthz", "/readyz"):
            await self._probe(raw_path, scope, send)
            return
        request_id = uuid7(time.time_ns() // 1_000_000, self._ten_random())
        endpoint = find_endpoint(raw_path)
        is_caller_path = endpoint is not None or is_caller_area(raw_path)
        dialect = endpoint.dialect if endpoint else dialect_of_area(raw_path)
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        named = dict(headers)
        caller_request_id = _caller_request_id(named.get(b"x-request-id", b""))
        common: Headers = [(b"x-request-id", caller_request_id.encode() or request_id.encode())]
        if is_caller_path and self._opens_cors:
            common.append((b"access-control-allow-origin", b"*"))
        if self._health.is_draining:  # a kept connection ends with an answer, not under somebody's next request
            common.append((b"connection", b"close"))
        reply = AsgiReply(send, common, is_head_only=scope["method"] == "HEAD")
        self.open_requests += 1
        try:
            gate = self._tools.runtimes.gate
            if gate is not None:
                await self._pass_gate(gate, scope)
            if self._checks_host:
                self._check_host(named.get(b"host", b""))
            if endpoint is not None:
                await self._serve(endpoint, scope, named, receive, reply, request_id, caller_request_id)
            elif is_caller_path:
                await _answer_error(_unknown_path(scope["method"], raw_path), dialect, request_id, reply)
                await self.bodies.throw_away(receive)
            else:
                await self._relay_to_admin(scope, receive, reply)
        except GatewayError as error:
            await _answer_error(error, dialect, request_id, reply)
            if error.is_body_unread:
                await self.bodies.throw_away(receive, named.get(b"content-length", b""))
        except CallerGone:
            _log.info("caller_left", request_id=request_id)
            if not reply.has_started:  # or it is there, and its body no HTTP: of silence the server makes a 500
                with contextlib.suppress(Exception):
                    await _answer_error(_broken_off(), dialect, request_id, reply)
        except Exception as error:  # noqa: BLE001  (the last line of defence: the caller gets an answer, the log the cause)
            _log.exception("request_failed", request_id=request_id, path=raw_path[:200])
            await _answer_error(_internal(error, request_id), dialect, request_id, reply)
        finally:
            self.open_requests -= 1

    def _ten_random(self) -> bytes:
        """Of a stock: a system call for each request cost 2 µs."""
        at = self._random_at
        if at >= len(self._random):
            self._random, at = self._randomness(RANDOM_STOCK_BYTES), 0
        self._random_at = at + 10
        return self._random[at : at + 10]

    async def _pass_gate(self, gate: Gate, scope: Scope) -> None:
        """Before anything else is looked at. Raises Forbidden, AddressOverLimit."""
        address, addresses = self._peer(scope), self._tools.addresses
        refusal: str = gate.judge(address, time.time())
        try:
            if refusal:
                raise Forbidden("this address may not come in here", code="address_not_allowed")
            if gate.rpm and addresses is not None:
                refusal = "rate"
                await addresses.take(address, gate.rpm)
        except GatewayError as error:
            self._tools.metrics.address_refusals.add((refusal,))
            error.is_body_unread = True
            raise

    async def _probe(self, path: str, scope: Scope, send: Send) -> None:
        is_ready = self._tools.runtimes.is_ready and not self._health.is_draining
        is_ok = path == "/healthz" or is_ready
        text = b"ok\n" if is_ok else b"draining\n" if self._health.is_draining else b"no configuration yet\n"
        reply = AsgiReply(send, [], is_head_only=scope["method"] == "HEAD")
        await reply.whole(200 if is_ok else 503, [(b"content-type", b"text/plain")], text)

    def _check_host(self, host: bytes) -> None:
        if host == self._host_seen:
            return
        if not is_host_allowed(host.decode("latin-1"), self._settings.base_url):
            raise unread(
                Forbidden("this Host is not served here; set BASE_URL if it should be", code="host_not_allowed")
            )
        self._host_seen = host

    async def _serve(
        self,
        endpoint: Endpoint,
        scope: Scope,
        named: dict[bytes, bytes],
        receive: Receive,
        reply: AsgiReply,
        request_id: str,
        caller_request_id: str,
    ) -> None:
        method = scope["method"]
        if method == "OPTIONS":
            await reply.whole(204, _preflight(endpoint), b"")
            return
        if named.get(b"upgrade", b"").lower() == b"websocket":
            raise UpgradeRequired("WebSockets are not served here; use POST")
        if method not in endpoint.methods and not (method == "HEAD" and "GET" in endpoint.methods):
            raise unread(MethodNotAllowed(f"{endpoint.template} takes {', '.join(endpoint.methods)}"))
        try:
            if endpoint.operation == "later":
                raise NotBuilt(f"{endpoint.template} is not available in this version")
            caller = await identify(secret_of(named, scope["query_string"], endpoint.dialect), self._tools)
            if caller.door is not None:
                pass_door(caller.door, endpoint.template, self._peer(scope))
            if endpoint.operation in ("chat", "count_tokens"):
                self._admit(caller)
        except GatewayError as error:
            error.is_body_unread = True
            raise
        if endpoint.operation not in ("chat", "count_tokens"):
            listed = self._list(endpoint, caller, scope, named)
            await reply.whole(200, [(b"content-type", b"application/json")], listed)
            return
        ids, started_at = (request_id, caller_request_id), time.monotonic()
        try:
            body = await self.bodies.read(
                receive, named.get(b"content-length", b""), named.get(b"content-encoding", b"")
            )
        except GatewayError as error:
            bare = _inbound(endpoint, scope, ids, started_at, b"")
            await record_refusal(bare, caller, bare.path_model, error, self._tools)
            raise
        inbound = _inbound(endpoint, scope, ids, started_at, body, named.get(b"idempotency-key", b""))
        if endpoint.operation == "count_tokens":
            await run_count(inbound, caller, reply, self._tools)
            return
        watch = _CallerWatch(receive)
        try:
            if self._tools.monitor.is_watched:
                await run_chat_watched(inbound, caller, reply, self._tools, watch.begin)
            elif caller.stores_bodies:
                await run_chat_stored(inbound, caller, reply, self._tools, watch.begin)
            else:
                await run_chat(inbound, caller, reply, self._tools, watch.begin)
        finally:
            watch.end()

    def _admit(self, caller: Caller) -> None:
        """Refuse at once when there is too much to do. Raises Unavailable."""
        waiting, load = self._tools.runtimes.current().settings.waiting, self._tools.load
        if waiting is not self._waiting:
            self._waiting, load.bound_open, load.bound_lag_s = waiting, waiting.max_open, waiting.max_lag_s
        if self.open_requests * 2 > load.bound_open > 0 or load.lag_s * 2 > load.bound_lag_s > 0:
            load.admit(caller.priority, self.open_requests - 1)

    def _list(self, endpoint: Endpoint, caller: Caller, scope: Scope, named: dict[bytes, bytes]) -> bytes:
        """Models in the shape of who asks: `/v1/models` is OpenAI's path and Anthropic's, told apart by a header."""
        if endpoint.operation == "version":
            return encode_version()
        catalog = self._tools.runtimes.current().catalog
        dialect = endpoint.dialect
        if dialect == "openai_chat" and b"anthropic-version" in named:
            dialect = "anthropic_messages"
        if endpoint.operation == "get_model":
            return get_model(catalog, caller, endpoint.argument, dialect)
        return list_models(catalog, caller, dialect, scope["query_string"])

    async def _relay_to_admin(self, scope: Scope, receive: Receive, reply: AsgiReply) -> None:
        if self._relay is None:
            raise unread(NotFound("there is nothing here; the API is under /v1", code="unknown_path"))
        status = await self._relay.relay(scope, receive, reply, self._peer(scope))
        self._tools.metrics.relayed_requests.add((str(status),))

    def _peer(self, scope: Scope) -> str:
        """The caller's address, behind trusted proxies; empty where there is none."""
        direct = scope["client"][0] if scope.get("client") else ""
        trusted = self._settings.trusted_proxies
        if not trusted:
            return direct
        hops = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
        return peer_address(direct, hops.decode("latin-1"), trusted)


class _CallerWatch:
    """Waits for the caller to leave, in one task for the whole request, and tells the exchange at once."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._task: asyncio.Task[None] | None = None

    def begin(self, exchange: Exchange) -> None:
        self._task = asyncio.get_running_loop().create_task(self._watch(exchange))

    def end(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _watch(self, exchange: Exchange) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            while (await self._receive())["type"] != "http.disconnect":
                pass
            exchange.caller_left()


async def _answer_error(error: GatewayError, dialect: CallerDialect, request_id: str, reply: AsgiReply) -> None:
    if reply.has_started:
        await reply.finish()
        return
    status, headers, body = rescue(error, dialect, request_id)
    await reply.whole(status, headers, body)


def _inbound(
    endpoint: Endpoint,
    scope: Scope,
    ids: tuple[str, str],
    started_at: float,
    body: bytes,
    idempotency_key: bytes = b"",
) -> Inbound:
    """`ids`: ours, and the caller's own or nothing."""
    is_gemini = endpoint.dialect == "gemini"
    return Inbound(
        request_id=ids[0],
        caller_request_id=ids[1],
        endpoint=endpoint.template,
        dialect=endpoint.dialect,
        body=body,
        headers=scope["headers"],
        started_at=started_at,
        pinned_provider="" if is_gemini else endpoint.argument,
        path_model=endpoint.argument if is_gemini else "",
        path_streams=endpoint.streams,
        wants_array=endpoint.streams is True and b"alt=sse" not in scope["query_string"],
        idempotency_key=idempotency_key,
    )


def _internal(error: Exception, request_id: str) -> GatewayError:
    internal = Internal(request_id)
    internal.__cause__ = error
    return internal


def _broken_off() -> BadRequest:
    return BadRequest("the request broke off before its body was whole", code="incomplete_body")


def _unknown_path(method: str, raw_path: str) -> NotFound:
    return NotFound(f"there is no {method} {raw_path[:200]} here", code="unknown_path")


def _caller_request_id(value: bytes) -> str:
    """The caller's own id, if it is one that may stand in a header and a log."""
    return value.decode() if value and len(value) <= 128 and value.isascii() and value.decode().isprintable() else ""


def _preflight(endpoint: Endpoint) -> Headers:
    return [
        (b"access-control-allow-methods", ", ".join((*endpoint.methods, "OPTIONS")).encode()),
        (b"access-control-allow-headers", b"*, authorization"),
        (b"access-control-max-age", b"86400"),
    ]
