"""What routing must know of a request, and how the request goes on."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.openai_chat.request import pass_on, read_head
from gateway.domain.errors import BadRequest


def body(**fields: object) -> bytes:
    return json.dumps({"model": "m1", "messages": [{"role": "user", "content": "hi"}], **fields}).encode()


def test_a_whole_head_is_read() -> None:
    head = read_head(body(stream=True, stream_options={"include_usage": True}, reasoning_effort="high"))
    assert (head.model, head.is_stream, head.wants_usage, head.has_stream_options, head.is_reasoning) == (
        "m1", True, True, True, True,
    )  # fmt: skip
    plain = read_head(body())
    assert (plain.is_stream, plain.wants_usage, plain.has_stream_options, plain.is_reasoning) == (False,) * 4


@pytest.mark.parametrize("effort", [None, "none", "minimal"])
def test_little_reasoning_is_none(effort: str | None) -> None:
    assert not read_head(body(reasoning_effort=effort)).is_reasoning


@pytest.mark.parametrize("usage", [{"include_usage": False}, {"include_usage": None}, {}, "yes", {"include_usage": 1}])
def test_only_a_true_asks_for_usage(usage: object) -> None:
    assert not read_head(body(stream=True, stream_options=usage)).wants_usage


@pytest.mark.parametrize(
    ("raw", "code", "param"),
    [
        (b"", "invalid_json", None),
        (b"{", "invalid_json", None),
        (b'{"model":"m"} x', "invalid_json", None),
        (b"\xff\xfe", "invalid_json", None),
        (b'{"model":"\xff","messages":[]}', "invalid_json", None),
        (b'{"model":"m","messages":[],"x":NaN}', "invalid_json", None),
        (b"[]", "invalid_request_body", None),
        (b"null", "invalid_request_body", None),
        (b'"text"', "invalid_request_body", None),
        (b'{"messages":[]}', "missing_model", "model"),
        (b'{"model":null,"messages":[]}', "missing_model", "model"),
        (b'{"model":"","messages":[]}', "invalid_model", "model"),
        (b'{"model":5,"messages":[]}', "invalid_model", "model"),
        (b'{"model":["m"],"messages":[]}', "invalid_model", "model"),
        (b'{"model":"a\\nb","messages":[]}', "invalid_model", "model"),
        (b'{"model":"' + b"m" * 513 + b'","messages":[]}', "invalid_model", "model"),
        (b'{"model":"m"}', "missing_messages", "messages"),
        (b'{"model":"m","messages":"hi"}', "invalid_messages", "messages"),
        (b'{"model":"m","messages":null}', "invalid_messages", "messages"),
        (b'{"model":"m","messages":[],"stream":"true"}', "invalid_stream", "stream"),
        (b'{"model":"m","messages":[],"stream":1}', "invalid_stream", "stream"),
        (b'{"model":"m","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "invalid_json", None),
    ],
)
def test_a_bad_request_names_what_is_wrong(raw: bytes, code: str, param: str | None) -> None:
    with pytest.raises(BadRequest) as error:
        read_head(raw)
    assert (error.value.status, error.value.code, error.value.param) == (400, code, param)
    assert len(error.value.message) < 400


@settings(deadline=None, database=None, max_examples=300)
@given(st.binary(max_size=60) | st.binary(max_size=30).map(lambda noise: b'{"model":"m","messages":[' + noise + b"]}"))
def test_any_bytes_give_a_head_or_a_bad_request(raw: bytes) -> None:
    with contextlib.suppress(BadRequest):
        read_head(raw)


def test_a_plain_request_changes_by_its_model_only() -> None:
    raw = b' {"model" : "local/m1", "messages":[ ],"temperature":1.0}\n'
    assert pass_on(raw, read_head(raw), "m1", asks_usage=True) == raw.replace(b"local/m1", b"m1")
    assert pass_on(raw, read_head(raw), "local/m1", asks_usage=True) is raw


def test_a_stream_is_asked_for_its_usage() -> None:
    raw = b'{"model":"a","stream":true,"messages":[]}'
    assert pass_on(raw, read_head(raw), "b", asks_usage=True) == (
        b'{"model":"b","stream":true,"messages":[],"stream_options":{"include_usage":true}}'
    )
    assert pass_on(raw, read_head(raw), "b", asks_usage=False) == b'{"model":"b","stream":true,"messages":[]}'


def test_a_caller_who_asked_for_usage_is_passed_on_as_is() -> None:
    raw = b'{"model":"a","stream":true,"stream_options":{ "include_usage":true},"messages":[]}'
    assert pass_on(raw, read_head(raw), "a", asks_usage=True) is raw


@pytest.mark.parametrize("options", [{"include_usage": False}, {}, None, "odd"])
def test_stream_options_without_usage_are_set_once(options: object) -> None:
    raw = body(stream=True, stream_options=options)
    pairs = json.loads(pass_on(raw, read_head(raw), "m1", asks_usage=True), object_pairs_hook=list)
    assert [dict(value) for name, value in pairs if name == "stream_options"] == [{"include_usage": True}]


def test_other_stream_options_of_the_caller_stay() -> None:
    raw = body(stream=True, stream_options={"include_obfuscation": False})
    passed = json.loads(pass_on(raw, read_head(raw), "m1", asks_usage=True))
    assert passed["stream_options"] == {"include_obfuscation": False, "include_usage": True}


def test_fields_that_a_provider_refuses_are_dropped() -> None:
    raw = body(logprobs=True, seed=1)
    passed = json.loads(pass_on(raw, read_head(raw), "m2", asks_usage=True, drop_fields=("logprobs", "absent")))
    assert passed == {"model": "m2", "messages": [{"role": "user", "content": "hi"}], "seed": 1}
