"""Providers that fail, in every way the fake knows, in front of the started product: fail-over before the first useful
byte, an honest end after it, and one row that tells what happened. Limits of upstream calls are scaled down.
"""

import json
from collections.abc import Iterator

import pytest

from tests.support.product import wait_for
from tests.support.real_gateway import (
    FIRST_KEY,
    QUICK,
    SECOND_KEY,
    RealGateway,
    content_of,
    events_of,
    final_error,
    running_gateway,
)

pytestmark = pytest.mark.process

EARLY_HEADERS_S = 0.25
WORDS = "Hello word1 word2 word3 word4"


@pytest.fixture(scope="module", params=["", "chrome"], ids=["direct", "curl"])
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    """With a fingerprint the calls go through curl, else through the direct transport; the promises are the same."""
    folder = tmp_path_factory.mktemp("faults")
    with running_gateway(folder, timeouts=QUICK, early_headers_s=30.0, fingerprint=request.param) as running:
        yield running


@pytest.fixture(scope="module", params=["", "chrome"], ids=["direct", "curl"])
def early(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    """A gateway that sends headers early."""
    folder = tmp_path_factory.mktemp("early")
    with running_gateway(folder, timeouts=QUICK, early_headers_s=EARLY_HEADERS_S, fingerprint=request.param) as running:
        yield running


BEFORE_COMMIT = [
    # what the provider does, streamed?, status for the caller, code, outcome of the attempt
    ("slow-headers:30", False, 504, "upstream_timeout", "silent"),
    ("slow-headers:30", True, 504, "upstream_timeout", "silent"),
    ("slow-first:30", True, 504, "upstream_timeout", "silent"),
    ("stall-after:0", True, 504, "upstream_timeout", "silent"),
    ("cut-after:0", True, 502, "upstream_cut", "cut"),
    ("cut-after:0", False, 502, "upstream_cut", "cut"),
    ("clean-end-after:0", True, 502, "upstream_invalid_answer", "empty_answer"),
    ("clean-end-after:0", False, 502, "upstream_invalid_answer", "broken_answer"),
    ("html", False, 502, "upstream_invalid_answer", "broken_answer"),
    ("html", True, 502, "upstream_invalid_answer", "broken_answer"),
    ("error-in-200", False, 502, "upstream_invalid_answer", "error_in_200"),
    ("error-in-200", True, 502, "upstream_invalid_answer", "error_in_200"),
    ("stream-error-first", True, 502, "upstream_invalid_answer", "error_in_200"),
    ("stream-error-second", True, 502, "upstream_invalid_answer", "error_in_200"),
    ("empty-200", False, 502, "upstream_invalid_answer", "empty_answer"),
    ("empty-200", True, 502, "upstream_invalid_answer", "empty_answer"),
    ("empty-stream", True, 502, "upstream_invalid_answer", "empty_answer"),
    ("stall-after:1", False, 504, "upstream_timeout", "silent"),
    ("slow-first:30", False, 504, "upstream_timeout", "silent"),
    ("bad-chunk", False, 502, "upstream_cut|upstream_invalid_answer", "cut|broken_answer"),
    ("status:401", False, 502, "upstream_auth", "auth"),
    ("status:401", True, 502, "upstream_auth", "auth"),
    ("status:403", True, 502, "upstream_auth", "auth"),
    ("status:402", False, 503, "upstream_quota", "quota"),
    ("status:404", False, 404, "model_not_found", "unknown_model"),
    ("status:404", True, 404, "model_not_found", "unknown_model"),
    ("status:408", True, 504, "upstream_timeout", "rate_limited"),
    ("status:429:retry-after=7", False, 429, "rate_limit_exceeded", "rate_limited"),
    ("status:429:retry-after=7", True, 429, "rate_limit_exceeded", "rate_limited"),
    ("status:500", False, 502, "upstream_error", "server_error"),
    ("status:500", True, 502, "upstream_error", "server_error"),
    ("status:503", True, 503, "upstream_unavailable", "server_error"),
    ("status:302:location=/elsewhere", False, 502, "upstream_invalid_answer", "broken_answer"),
    ("status:529", True, 503, "upstream_overloaded", "server_error"),
]
IDS = [f"{case[0]}-{'stream' if case[1] else 'whole'}" for case in BEFORE_COMMIT]


@pytest.fixture
def first_account(gateway: RealGateway) -> Iterator[None]:
    """Plans are forgotten after the test."""
    yield
    gateway.fake._plans.clear()


class TestBeforeTheFirstUsefulByte:
    @pytest.mark.parametrize(("behaviour", "stream", "status", "code", "outcome"), BEFORE_COMMIT, ids=IDS)
    def test_the_caller_gets_a_plain_error_and_the_ledger_one_row(
        self, gateway, behaviour, stream, status, code, outcome
    ):
        request_id = gateway.new_id()
        answer = gateway.chat(f"local/{behaviour}", stream=stream, headers={"x-request-id": request_id})
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-omniroute-attempts"] == "1"
        assert answer.headers["x-omniroute-provider"] == "local"
        error = answer.json()["error"]
        assert error["message"]
        attempts = error["omniroute"]["attempts"]
        assert len(attempts) == 1
        assert error["code"] in code.split("|")
        assert attempts[0]["outcome"] in outcome.split("|")
        row = gateway.row(request_id)
        assert (row["status"], row["error"]) == (status, error["code"])
        assert [attempt["outcome"] for attempt in row["attempts"]] == [attempts[0]["outcome"]]

    @pytest.mark.parametrize(("behaviour", "stream", "status", "code", "outcome"), BEFORE_COMMIT, ids=IDS)
    @pytest.mark.usefixtures("first_account")
    def test_the_next_connection_answers_in_its_place(self, gateway, behaviour, stream, status, code, outcome):
        gateway.fake.plan(behaviour, key=FIRST_KEY)
        request_id, mark = gateway.new_id(), gateway.mark
        answer = gateway.chat("pair/m1", stream=stream, headers={"x-request-id": request_id})
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-omniroute-attempts"] == "2"
        text = content_of(answer.content) if stream else answer.json()["choices"][0]["message"]["content"]
        assert text == WORDS
        assert answer.content.count(b'"role"') == 1, "nothing of the failed attempt is in it"
        keys = [record.header("authorization") for record in gateway.seen(mark)]
        assert keys == [f"Bearer {FIRST_KEY}", f"Bearer {SECOND_KEY}"]
        row = gateway.row(request_id)
        assert [attempt["outcome"] for attempt in row["attempts"]][-1] == "committed"
        assert (len(row["attempts"]), row["output_tokens"]) == (2, 5)

    @pytest.mark.parametrize("stream", [False, True])
    def test_a_provider_that_refuses_connections_is_502_and_is_passed_over(self, gateway, stream):
        answer = gateway.chat("refusing/m1", stream=stream)
        assert answer.status_code == 502
        assert answer.json()["error"]["code"] == "upstream_unreachable"
        passed = gateway.chat("refusing-first", stream=stream)
        assert (passed.status_code, passed.headers["x-omniroute-model"]) == (200, "m2")

    @pytest.mark.parametrize("stream", [False, True])
    def test_a_provider_that_takes_the_connection_and_says_nothing_is_504_and_is_passed_over(self, gateway, stream):
        answer = gateway.chat("mute/m1", stream=stream)
        assert answer.status_code == 504
        assert answer.json()["error"]["code"] == "upstream_timeout"
        passed = gateway.chat("mute-first", stream=stream)
        assert (passed.status_code, passed.headers["x-omniroute-model"]) == (200, "m2")

    def test_an_answer_larger_than_the_gateway_takes_is_502_and_is_not_read_on(self, gateway):
        mark = gateway.mark
        answer = gateway.chat("local/big:100000000")
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_answer_too_large")
        wait_for(lambda: gateway.seen(mark)[0].closed_mid_answer, 2)

    def test_a_kept_connection_that_the_provider_has_closed_costs_no_request(self, gateway):
        gateway.blackhole.heal()
        try:
            for _ in range(3):
                assert [gateway.chat("mute/m1").status_code for _ in range(4)] == [200] * 4
                made = gateway.blackhole.connections_total
                gateway.in_loop(gateway.blackhole.reset_all)
                answer = gateway.chat("mute/m1")
                assert (answer.status_code, answer.headers["x-omniroute-attempts"]) == (200, "1")
                assert gateway.blackhole.connections_total > made
        finally:
            gateway.blackhole.is_blackhole = True
            gateway.in_loop(gateway.blackhole.reset_all)

    def test_what_waits_for_the_first_event_is_longer_for_reasoning(self, gateway):
        assert (
            gateway.chat("pair/slow-first:0.6", stream=True, reasoning_effort="high").headers["x-omniroute-attempts"]
            == "1"
        )
        assert gateway.chat("pair/slow-first:0.6", stream=True).headers["x-omniroute-attempts"] == "2"

    @pytest.mark.usefixtures("first_account")
    def test_when_all_fail_the_first_cause_is_told_and_every_attempt_listed(self, gateway):
        gateway.fake.plan("status:500", key=FIRST_KEY)
        gateway.fake.plan("status:429", key=SECOND_KEY)
        answer = gateway.chat("pair/m1")
        assert answer.status_code == 502
        attempts = answer.json()["error"]["omniroute"]["attempts"]
        assert [attempt["outcome"] for attempt in attempts] == ["server_error", "rate_limited"]
        assert answer.headers["x-omniroute-attempts"] == "2"
        assert SECOND_KEY not in answer.text

    def test_the_providers_retry_after_is_kept(self, gateway):
        assert gateway.chat("local/status:429:retry-after=7").headers["retry-after"] == "7"

    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.usefixtures("first_account")
    def test_what_is_the_callers_fault_is_told_in_the_providers_own_bytes_and_tried_once(self, gateway, stream):
        gateway.fake.plan("status:400:message=messages[0] is odd:code=odd_message", key=FIRST_KEY)
        mark = gateway.mark
        answer = gateway.chat("pair/m1", stream=stream)
        assert answer.status_code == 400
        assert answer.content == (
            b'{"error":{"message":"messages[0] is odd","type":"invalid_request_error","param":null,"code":"odd_message"}}'
        )
        assert len(gateway.seen(mark)) == 1

    def test_a_context_that_is_too_long_is_400_and_recorded_as_that(self, gateway):
        request_id = gateway.new_id()
        model = "local/status:400:code=context_length_exceeded:message=too long"
        assert (
            gateway.chat(model, headers={"x-request-id": request_id}).json()["error"]["code"]
            == "context_length_exceeded"
        )
        assert gateway.row(request_id)["error"] == "context_length_exceeded"

    def test_a_target_that_refuses_stream_options_is_asked_without_and_remembered(self, gateway):
        model = "local/reject-stream-options"
        mark = gateway.mark
        for _ in range(6):
            answer = gateway.chat(model, stream=True)
            assert content_of(answer.content) == WORDS
        request_id = gateway.new_id()
        gateway.chat(model, stream=True, headers={"x-request-id": request_id})
        row = gateway.row(request_id)
        assert (row["is_estimated"], row["output_tokens"] > 0) == (1, True)
        asked = [b"stream_options" in record.body for record in gateway.seen(mark)]
        assert asked.count(True) <= 2, "once a worker"
        assert asked.count(False) == 7


class TestAfterTheFirstUsefulByte:
    @pytest.mark.parametrize(
        ("behaviour", "error"),
        [
            ("cut-after:2", "stream_reset"),
            ("clean-end-after:2", "stream_reset"),
            ("stall-after:2", "stream_gap_timeout"),
            ("bad-chunk", "stream_"),
        ],
    )
    def test_a_stream_that_breaks_ends_with_an_error_event_and_without_done(self, gateway, behaviour, error):
        request_id = gateway.new_id()
        answer = gateway.chat(f"pair/{behaviour}", stream=True, headers={"x-request-id": request_id})
        assert answer.status_code == 200
        assert answer.content.count(b"Hello") == 1, "no second attempt once something useful was sent"
        failure = final_error(answer.content)
        assert (failure["code"], failure["type"]) == ("upstream_cut", "server_error")
        assert failure["omniroute"]["attempts"][0]["outcome"] == "committed"
        row = gateway.row(request_id)
        assert row["error"].startswith(error)
        assert (row["is_estimated"], row["output_tokens"] > 0, row["input_tokens"] > 0) == (1, True, True)
        assert row["bytes_out"] == len(answer.content)

    def test_a_stream_without_done_that_gave_its_reason_to_finish_is_whole(self, gateway):
        request_id = gateway.new_id()
        answer = gateway.chat("local/no-done", stream=True, headers={"x-request-id": request_id})
        assert content_of(answer.content) == WORDS
        assert b'"error"' not in answer.content
        row = gateway.row(request_id)
        assert (row["error"], row["output_tokens"], row["is_estimated"]) == ("", 5, 0)

    def test_comments_and_events_split_at_any_byte_come_through(self, gateway):
        assert content_of(gateway.chat("local/comments", stream=True).content) == WORDS
        for size in (3, 50):
            assert content_of(gateway.chat(f"local/split:{size}", stream=True).content) == "Grüße 世界 👋🏽 done"

    def test_a_tool_stream_comes_through(self, gateway):
        request_id = gateway.new_id()
        answer = gateway.chat("local/tools", stream=True, headers={"x-request-id": request_id})
        calls = [
            call["function"].get("arguments", "")
            for event in events_of(answer.content)[:-1]
            for choice in json.loads(event)["choices"]
            for call in choice["delta"].get("tool_calls", ())
        ]
        assert json.loads("".join(calls)) == {"city": "Paris", "unit": "c"}
        assert gateway.row(request_id)["output_tokens"] == 9


class TestEarlyHeaders:
    def test_a_slow_first_event_is_bridged_by_comments(self, early):
        answer = early.chat("local/slow-first:0.6", stream=True)
        assert answer.status_code == 200
        assert answer.content.startswith(b": keep-alive\n\n")
        assert content_of(answer.content) == WORDS
        assert "x-omniroute-provider" not in answer.headers, "nobody had answered when they left"
        assert answer.headers["x-request-id"]

    def test_headers_alone_are_no_commit_and_the_next_connection_is_asked(self, early):
        early.fake.plan("slow-first:30", key=FIRST_KEY)
        answer = early.chat("pair/m1", stream=True)
        early.fake._plans.clear()
        assert answer.content.startswith(b": keep-alive\n\n")
        assert content_of(answer.content) == WORDS
        assert answer.content.endswith(b"data: [DONE]\n\n")

    def test_a_failure_after_early_headers_is_an_error_event(self, early):
        request_id = early.new_id()
        answer = early.chat("local/slow-headers:30", stream=True, headers={"x-request-id": request_id})
        assert answer.status_code == 200
        assert answer.content.startswith(b": keep-alive\n\n")
        failure = final_error(answer.content)
        assert failure["code"] == "upstream_timeout"
        assert failure["omniroute"]["attempts"][0]["outcome"] == "silent"
        assert early.row(request_id)["status"] == 504

    def test_a_call_that_is_not_streamed_gets_no_early_headers(self, early):
        answer = early.chat("local/slow-first:0.6")
        assert answer.json()["choices"][0]["message"]["content"] == WORDS
        assert answer.headers["x-omniroute-provider"] == "local"


def test_nothing_of_all_this_leaves_a_connection_or_a_count_behind(gateway):
    def still_open() -> list[str]:
        return [
            record.behaviour
            for record in gateway.seen()
            if record.finished_at is None and record.closed_at is None and not record.behaviour.startswith("cut-after")
        ]

    wait_for(lambda: not still_open(), 3, lambda: str(still_open()))
    wait_for(lambda: _gauge(gateway, "omniroute_open_streams") == 0, 3, lambda: str(gateway.product.metrics()))
    assert gateway.chat("local/m1").status_code == 200


def _gauge(gateway: RealGateway, name: str) -> float:
    found = [value for key, value in gateway.product.metrics().items() if key.partition("{")[0] == name]
    assert found, name
    return sum(found)
