"""Find out whether a provider accepts a connection's credential, and which models it has.

First its list of models, which costs nothing. Some providers show that to anybody: then, and where there is no list,
a request for one token says it.
"""

import time
from dataclasses import replace

import msgspec

from admin_api.publish import connection_entry, node_entry
from admin_api.services.diagnosis import Diagnosis, of_chat, of_fault, of_list
from admin_api.services.keep_settings import load_proxies
from admin_api.services.model_list import models_in
from admin_api.services.plane import Plane
from admin_api.services.provider_calls import Reply
from admin_api.store.connections import ConnectionRow
from admin_api.store.nodes import NodeRow
from gateway.dialects.codec import Destination, Unsupported
from gateway.dialects.registry import PROVIDERS
from gateway.dialects.splice import drop_members
from gateway.domain.chat import ChatRequest, Text, Turn
from gateway.domain.errors import GatewayError
from gateway.domain.target import CREDENTIAL_HEADERS, Connection
from gateway.runtime import compile_connection
from gateway.upstream.seam import UpstreamFault

_JSON = b"Content-Type: application/json"


class Probe(msgspec.Struct, frozen=True):
    """`models` are those the provider listed; None when it did not. `proxy` is the one used, without credentials."""

    diagnosis: Diagnosis
    models: list[str] | None
    latency_ms: float
    proxy: str = ""
    proxy_level: str = ""


class Unusable(Exception):
    """The gateway itself cannot use the connection. The text holds no secret."""


async def usable(plane: Plane, row: ConnectionRow, node: NodeRow | None) -> Connection:
    """The connection as requests use it, the proxy of its level included. Raises Unusable."""
    async with plane.database.read() as connection:
        proxies = await load_proxies(connection)
    try:
        return compile_connection(
            connection_entry(row),
            None if node is None else node_entry(node),
            plane.specs,
            plane.encryption_key,
            {level: kept["proxy"] for level, kept in proxies.items()},
        )
    except KeyError as error:
        raise Unusable(f"there is no provider {row.provider!r}") from error
    except ValueError as error:
        raise Unusable(str(error)) from error


async def probe(plane: Plane, row: ConnectionRow, node: NodeRow | None, model: str = "") -> Probe:
    """Never raises for what a provider does. `model` is asked for one token where the list proves nothing."""
    began = time.perf_counter()
    try:
        connection = await usable(plane, row, node)
    except Unusable as error:
        return Probe(Diagnosis("local_error", "local", "unusable", str(error)), None, _ms_since(began))
    try:
        diagnosis, models = await _probe(plane, row, connection, model)
    except UpstreamFault as fault:
        diagnosis, models = of_fault(fault), None
    return Probe(diagnosis, models, _ms_since(began), connection.proxy_shown, connection.proxy_level)


async def list_models(
    plane: Plane, row: ConnectionRow, node: NodeRow | None
) -> tuple[list[str] | None, Diagnosis | None]:
    """What the provider lists, or why it does not."""
    try:
        connection = await usable(plane, row, node)
        reply = await _ask_list(plane, connection)
    except Unusable as error:
        return None, Diagnosis("local_error", "local", "unusable", str(error))
    except UpstreamFault as fault:
        return None, of_fault(fault)
    if reply is None:
        return None, Diagnosis("unsupported", "local", "no_list", "the provider has no list of models")
    models = models_in(reply.body) if reply.status == 200 else None
    if models is not None:
        return models, None
    said = _said(connection, reply)
    return None, of_list(reply.status, said) or Diagnosis("upstream_error", "upstream", str(reply.status), said)


async def ask_shortly(plane: Plane, connection: Connection, model: str, max_tokens: int, text: str = "Hi") -> Reply:
    """A request for a few tokens, not streamed. Raises UpstreamFault, Unsupported, GatewayError."""
    codec = PROVIDERS[connection.dialect]
    request = ChatRequest(model=model, turns=(Turn("user", (Text(text=text),)),), max_tokens=max_tokens)
    encoded = codec.encode_request(
        request, Destination(model=model, provider=connection.provider, quirks=connection.quirks_of(model))
    )
    body = encoded.body
    if connection.drop_request_fields:
        body = drop_members(body, connection.drop_request_fields)
    url = connection.paths["chat"] + (codec.path(model, False) if codec.is_model_in_path else "")
    return await plane.provider_calls.ask(connection, url, method="POST", headers=(_JSON, *codec.headers), body=body)


def _ms_since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)


async def _probe(
    plane: Plane, row: ConnectionRow, connection: Connection, model: str
) -> tuple[Diagnosis, list[str] | None]:
    reply = await _ask_list(plane, connection)
    models = models_in(reply.body) if reply is not None and reply.status == 200 else None
    if reply is not None:
        found = of_list(reply.status, _said(connection, reply))
        if found is not None:
            return _or_missing(connection, found), models
        if models is not None and not model and await _is_list_guarded(plane, connection):
            return Diagnosis("ok", "upstream", str(reply.status)), models
    asked = model or next(iter((*row.models, *_known_models(plane, row), *(models or ()))), "")
    if not asked:
        return _without_model(connection, reply, models), models
    try:
        answer = await ask_shortly(plane, connection, asked, 1)
    except (Unsupported, GatewayError) as error:
        return Diagnosis("unsupported", "validation", "request", str(error)), models
    return _or_missing(connection, of_chat(answer.status, _said(connection, answer))), models


async def _ask_list(plane: Plane, connection: Connection) -> Reply | None:
    url = connection.paths.get("models")
    if not url:
        return None
    return await plane.provider_calls.ask(connection, url, headers=PROVIDERS[connection.dialect].headers)


async def _is_list_guarded(plane: Plane, connection: Connection) -> bool:
    """Whether the list is refused without the credential: only then it proves that the credential is good.

    A connection without one has nothing to prove.
    """
    bare = tuple(line for line in connection.headers if line.partition(b":")[0].lower() not in CREDENTIAL_HEADERS)
    if bare == connection.headers:
        return True
    try:
        reply = await _ask_list(plane, replace(connection, id=f"{connection.id}:bare", headers=bare))
    except UpstreamFault:
        return False
    return reply is not None and reply.status in (401, 403)


def _known_models(plane: Plane, row: ConnectionRow) -> tuple[str, ...]:
    spec = plane.specs.get(row.provider)
    return tuple(model.id for model in spec.models) if spec else ()


def _without_model(connection: Connection, reply: Reply | None, models: list[str] | None) -> Diagnosis:
    if models is not None:
        return Diagnosis("ok", "upstream", "200", "it listed its models, which it also does for strangers")
    status = reply.status if reply is not None else 0
    if status >= 500:
        return Diagnosis("upstream_unavailable", "upstream", str(status), _said(connection, reply) if reply else "")
    return Diagnosis("unsupported", "validation", "no_model", "it lists no models: name one to test it with")


def _or_missing(connection: Connection, found: Diagnosis) -> Diagnosis:
    """A provider that refuses a connection without credential says nothing against one."""
    names = {line.partition(b":")[0].lower() for line in connection.headers}
    if found.type == "upstream_auth_error" and not names & CREDENTIAL_HEADERS:
        return msgspec.structs.replace(found, type="auth_missing", source="local")
    return found


def _said(connection: Connection, reply: Reply) -> str:
    """A provider's own words about a failure; never the credential, which some of them quote."""
    if reply.status == 200 or not reply.body:
        return ""
    body = connection.without_secret(reply.body[:65_536])
    return PROVIDERS[connection.dialect].error_text(body)
