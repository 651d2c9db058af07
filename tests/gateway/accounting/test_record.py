"""One record a request: what was asked, who answered, what it used, told or estimated."""

import msgspec
import pytest

from gateway.accounting.cost import Rates
from gateway.accounting.record import note_of, record_of, refusal_of
from gateway.domain.caller import Caller
from gateway.domain.inbound import Inbound
from gateway.domain.record import AttemptRecord, decode_record, encode_record
from gateway.domain.usage import Usage
from gateway.relay.exchange import Exchange
from gateway.routing.prices import PriceBook
from tests.gateway.relay.test_attempt import exchange
from tests.support.catalogs import target

INBOUND = Inbound(
    request_id="id-1", caller_request_id="theirs", endpoint="/v1/chat/completions", dialect="openai_chat",
    body=b"x" * 401, headers=(), started_at=10.0,
)  # fmt: skip
CALLER = Caller(key_id="k1", key_name="ci", digest="d", version=1)
NOTE = note_of(INBOUND, CALLER, at=1_700_000_000.5, worker="w", model="local/m1", is_stream=True)


def answered(**fields: object) -> Exchange:
    one = exchange()
    one.started_at = 10.0
    one.target = target()
    for name, value in fields.items():
        setattr(one, name, value)
    return one


def test_a_note_is_what_is_written_when_the_worker_dies() -> None:
    assert (NOTE.id, NOTE.request_id, NOTE.state, NOTE.status) == ("id-1", "theirs", "lost", 0)
    assert (NOTE.key_id, NOTE.key_name, NOTE.worker, NOTE.requested_model) == ("k1", "ci", "w", "local/m1")
    assert NOTE.usage == Usage(input=101, estimated=True)
    assert NOTE.bytes_in == 401
    assert decode_record(encode_record(NOTE)) == NOTE


def test_a_refusal_used_nothing() -> None:
    refusal = refusal_of(NOTE, status=403, error="model_not_allowed", duration_s=0.0015)
    assert (refusal.status, refusal.error, refusal.state) == (403, "model_not_allowed", "final")
    assert (refusal.usage, refusal.duration_ms, refusal.id) == (Usage(), 1.5, "id-1")


def test_the_final_record_keeps_the_note_and_adds_what_came_of_it() -> None:
    attempts = [AttemptRecord("local", "local-a", "m1", "committed")]
    one = answered(usage=Usage(input=5, output=2), committed_at=10.25, attempts=attempts)
    record = record_of(NOTE, one, Rates(PriceBook((), {})), status=200, ended_at=11.5, bytes_out=99)
    assert (record.id, record.key_id, record.requested_model, record.is_stream) == ("id-1", "k1", "local/m1", True)
    assert (record.provider, record.connection_id, record.model) == ("local", "local-a", "m1")
    assert (record.first_byte_ms, record.duration_ms, record.bytes_out, record.bytes_in) == (250.0, 1500.0, 99, 401)
    assert (record.state, record.status, record.usage, record.attempts) == (
        "final",
        200,
        Usage(input=5, output=2),
        tuple(attempts),
    )
    changed = {"state", "status", "usage", "attempts", "provider", "connection_id", "model", "combo", "error",
               "first_byte_ms", "duration_ms", "bytes_out"}  # fmt: skip
    for name in set(msgspec.structs.asdict(NOTE)) - changed:
        assert getattr(record, name) == getattr(NOTE, name), name


@pytest.mark.parametrize(
    ("fields", "usage"),
    [
        ({"committed_at": 11.0, "chunks": 7}, (True, 7)),
        ({"committed_at": 11.0, "answer_bytes": 41}, (True, 11)),
        ({"committed_at": 11.0}, (True, 0)),
        ({"attempts": [AttemptRecord("p", "c", "m", "caller_left")]}, (True, 0)),
        ({"attempts": [AttemptRecord("p", "c", "m", "silent")]}, (True, 0)),
        ({"attempts": [AttemptRecord("p", "c", "m", "cut")]}, (True, 0)),
        ({"attempts": [AttemptRecord("p", "c", "m", "unreachable")]}, (False, 0)),
        ({"attempts": [AttemptRecord("p", "c", "m", "rate_limited", 429)]}, (False, 0)),
        ({}, (False, 0)),
    ],
)
def test_what_no_provider_told_is_estimated_if_one_began_to_work(
    fields: dict[str, object], usage: tuple[bool, int]
) -> None:
    one = answered(**fields)
    record = record_of(NOTE, one, Rates(PriceBook((), {})), status=200, ended_at=12.0, bytes_out=0)
    is_estimated, output = usage
    prompt = -(-len(one.body) // 4) if is_estimated else 0
    assert record.usage == Usage(input=prompt, output=output, estimated=is_estimated)


def test_told_usage_of_zero_is_believed() -> None:
    record = record_of(
        NOTE,
        answered(usage=Usage(), committed_at=11.0, chunks=9),
        Rates(PriceBook((), {})),
        status=200,
        ended_at=12.0,
        bytes_out=0,
    )
    assert record.usage == Usage()


def test_without_a_target_the_record_names_none() -> None:
    one = answered(target=None)
    record = record_of(NOTE, one, Rates(PriceBook((), {})), status=499, ended_at=12.0, bytes_out=0)
    assert (record.provider, record.connection_id, record.model, record.first_byte_ms) == ("", "", "", None)
