"""Build the record of a request. Pure: ids and times come in."""

from hashlib import blake2b

from msgspec import structs

from gateway.accounting.cost import Rates, cost_of
from gateway.cache.semantic.embed import Embedded
from gateway.domain.caching import HowAnswered
from gateway.domain.caller import Caller
from gateway.domain.ids import uuid7
from gateway.domain.inbound import Inbound
from gateway.domain.record import RequestRecord
from gateway.domain.usage import Usage
from gateway.relay.exchange import Exchange

BYTES_A_TOKEN = 4
"""Rule of thumb for what a provider does not tell: English text in JSON. Such counts are marked `estimated`."""


def note_of(inbound: Inbound, caller: Caller, *, at: float, worker: str, model: str, is_stream: bool) -> RequestRecord:
    """The record as it would stand if the worker died now: what was asked, with the input estimated."""
    return RequestRecord(
        id=inbound.request_id,
        at=at,
        worker=worker,
        endpoint=inbound.endpoint,
        dialect=inbound.dialect,
        requested_model=model,
        request_id=inbound.caller_request_id,
        key_id=caller.key_id,
        key_name=caller.key_name,
        is_stream=is_stream,
        state="lost",
        usage=Usage(input=_tokens(len(inbound.body)), estimated=True),
        bytes_in=len(inbound.body),
    )


def refusal_of(note: RequestRecord, *, status: int, error: str, duration_s: float) -> RequestRecord:
    """The record of a request that was refused before any attempt: nothing was used."""
    return structs.replace(note, status=status, error=error, state="final", usage=Usage(), duration_ms=_ms(duration_s))


def record_of(
    note: RequestRecord, exchange: Exchange, rates: Rates, *, status: int, ended_at: float, bytes_out: int
) -> RequestRecord:
    """The final record. Usage is the provider's own, else estimated from what passed, else zero if nothing did."""
    target = exchange.target
    usage = exchange.usage or _estimated(exchange)
    cost_nano_usd = 0
    if target is not None and len(rates):
        rate = rates.rate(target.connection.provider, target.model, note.at)
        if rate is not None:
            cost_nano_usd = cost_of(usage, rate).nano_usd
    return RequestRecord(
        id=note.id,
        at=note.at,
        worker=note.worker,
        endpoint=note.endpoint,
        dialect=note.dialect,
        requested_model=note.requested_model,
        request_id=note.request_id,
        key_id=note.key_id,
        key_name=note.key_name,
        is_stream=note.is_stream,
        bytes_in=note.bytes_in,
        combo=target.combo if target else "",
        provider=target.connection.provider if target else "",
        connection_id=target.connection.id if target else "",
        model=target.model if target else "",
        status=status,
        error=exchange.error,
        state="final",
        usage=usage,
        cost_nano_usd=cost_nano_usd,
        attempts=tuple(exchange.attempts),
        first_byte_ms=_ms(exchange.committed_at - exchange.started_at) if exchange.committed_at else None,
        duration_ms=_ms(ended_at - exchange.started_at),
        bytes_out=bytes_out,
    )


def saved_of(record: RequestRecord, how: HowAnswered, cost_nano_usd: int) -> RequestRecord:
    """The record of a request that a kept answer has served: it used nothing, and saved what the answer had cost."""
    return structs.replace(
        record,
        cache=how,
        usage=Usage(),
        cost_nano_usd=0,
        saved_input=record.usage.input,
        saved_output=record.usage.output,
        saved_nano_usd=cost_nano_usd,
    )


def record_of_embedding(note: RequestRecord, embedded: Embedded, rates: Rates) -> RequestRecord:
    """The row of a call that the gateway made for itself: the vector of the question that `note` is of.

    Its `request_id` is our id of that request. What it cost stands in the ledger with the key's name; no budget has it.
    """
    target = embedded.target
    assert target is not None, "nobody was asked"
    connection, usage = target.connection, Usage(input=embedded.tokens)
    rate = rates.rate(connection.provider, target.model, note.at)
    return RequestRecord(
        id=uuid7(int(note.at * 1000), blake2b(note.id.encode(), digest_size=10).digest()),
        at=note.at,
        worker=note.worker,
        endpoint="semantic_embeddings",
        dialect="openai_chat",
        requested_model=f"{connection.prefix}/{target.model}",
        request_id=note.id,
        key_id=note.key_id,
        key_name=note.key_name,
        provider=connection.provider,
        connection_id=connection.id,
        model=target.model,
        status=embedded.status or 504,
        error=f"embedding_{embedded.failure}" if embedded.failure else "",
        usage=usage,
        cost_nano_usd=cost_of(usage, rate).nano_usd,
        duration_ms=_ms(embedded.took_s),
    )


def _estimated(exchange: Exchange) -> Usage:
    """A provider that had begun to work may bill the prompt; one that refused before bills nothing."""
    has_reached_provider = exchange.committed_at > 0 or any(
        attempt.outcome in ("caller_left", "silent", "cut") for attempt in exchange.attempts
    )
    if not has_reached_provider:
        return Usage()
    output = exchange.chunks or _tokens(exchange.answer_bytes)
    return Usage(input=_tokens(len(exchange.body)), output=output, estimated=True)


def _tokens(size: int) -> int:
    return (size + BYTES_A_TOKEN - 1) // BYTES_A_TOKEN


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
