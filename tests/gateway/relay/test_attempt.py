"""One attempt commits at the first useful byte; everything before it that goes wrong is a failed attempt."""

import asyncio
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from gateway.dialects.codec import Arrival
from gateway.dialects.envelope import Envelopes
from gateway.dialects.registry import CALLERS
from gateway.domain.errors import CallerGone
from gateway.domain.timeouts import Timeouts
from gateway.relay import attempt as attempt_module
from gateway.relay.attempt import MAX_HELD_BYTES, MAX_REMEMBERED_TARGETS, Attempts, Committed, Failed
from gateway.relay.exchange import Exchange
from gateway.upstream.deadlines import Wheel
from gateway.upstream.fetch import Picture
from gateway.upstream.seam import UpstreamFault
from tests.support.catalogs import target
from tests.support.scripted_transport import ScriptedTransport, cut, data, end, head, stream, whole

ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
HELLO = b'data: {"choices":[{"index":0,"delta":{"content":"Hello"}}]}\n\n'
FINISH = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}\n\n'
ERROR = b'data: {"error":{"message":"overloaded","code":503}}\n\n'
DONE = b"data: [DONE]\n\n"
ANSWER = b'{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":5,"completion_tokens":2}}'
REFUSAL = b'{"error":{"message":"Unrecognized request argument supplied: stream_options"}}'


def exchange(*, streamed: bool = True, timeouts: Timeouts = Timeouts(), **fields: object) -> Exchange:  # noqa: B008  (frozen)
    body = json.dumps({"model": "local/m1", "messages": [], "stream": streamed, **fields}).encode()
    caller = CALLERS["openai_chat"]
    return Exchange(
        request_id="r",
        caller=caller,
        arrival=Arrival(),
        head=caller.read_head(body, Arrival()),
        body=body,
        envelopes=Envelopes(b"key"),
        headers=(),
        timeouts=timeouts,
        started_at=time.monotonic(),
    )


class NoPictures:
    """Nothing may be fetched."""

    async def fetch_all(self, urls: Iterable[str], *, within_s: float) -> Mapping[str, Picture]:
        raise AssertionError(tuple(urls))


async def silent() -> None:
    """No early headers."""


async def make(script: Any, asked: Exchange | None = None, **more: Any) -> tuple[Committed | Failed, ScriptedTransport]:
    scripts = script if isinstance(script[0], list | UpstreamFault) else [script]
    transport = ScriptedTransport({"a": scripts})
    asked = asked or exchange()
    attempts = Attempts({"direct": transport}, Wheel(), NoPictures())
    attempts.wheel.add(asked.watch)
    result = await attempts.make(asked, target(**more), silent, is_last=False)
    attempts.wheel.release(asked.watch)
    await transport.close()
    return result, transport


async def test_a_stream_commits_at_its_first_content_with_all_that_came() -> None:
    result, transport = await make(stream(b": hello\n\n", ROLE, HELLO, DONE))
    assert isinstance(result, Committed)
    assert result.held == b": hello\n\n" + ROLE + HELLO
    assert result.hides_usage_chunk
    assert json.loads(transport.requests[0].body) == {
        "model": "m1", "messages": [], "stream": True, "stream_options": {"include_usage": True},
    }  # fmt: skip
    assert transport.requests[0].headers == (b"Content-Type: application/json",)


async def test_an_event_in_pieces_commits_when_it_is_whole() -> None:
    pieces = [HELLO[at : at + 9] for at in range(0, len(HELLO), 9)]
    result, _ = await make(stream(*pieces, DONE))
    assert isinstance(result, Committed)
    assert result.held == HELLO


async def test_a_finish_without_content_is_an_answer() -> None:
    result, _ = await make(stream(ROLE, FINISH, DONE))
    assert isinstance(result, Committed)


@pytest.mark.parametrize(
    ("script", "name", "status"),
    [
        ([head(), data(ERROR), end()], "server_error", 503),
        ([head(), data(ROLE), 0.0, data(ERROR), end()], "server_error", 503),
        ([head(), data(b'data: {"error":"plain"}\n\n')], "error_in_200", 502),
        ([head(), data(b"data: <html>\n\n")], "error_in_200", 502),
        ([head(), data(b"data: \xff\n\n")], "error_in_200", 502),
        ([head(), data(DONE), end()], "empty_answer", 502),
        ([head(), data(ROLE, DONE), end()], "empty_answer", 502),
        ([head(), data(ROLE), end()], "empty_answer", 502),
        ([head(), end()], "empty_answer", 502),
        ([head(), data(b"<!doctype html><title>Just a moment</title>"), end()], "broken_answer", 502),
        ([head(), data(b'{"error":{"message":"exploded","code":429}}'), end()], "rate_limited", 429),
        ([head(), data(ANSWER), end()], "broken_answer", 502),
        ([head(), data(ROLE), cut()], "cut", 502),
        ([cut()], "cut", 502),
        ([cut("refused")], "unreachable", 502),
        ([head(), data(ROLE), cut("protocol")], "broken_answer", 502),
        (whole(503, b"busy"), "server_error", 503),
        (whole(401, b'{"error":{"message":"wrong key"}}'), "auth", 502),
        ([head(500), cut()], "server_error", 502),
        ([head(500), data(b"x" * 70_000)], "server_error", 502),
        (whole(302, b""), "broken_answer", 502),
        ([UpstreamFault("blocked_address", "no")], "blocked_address", 502),
        ([UpstreamFault("no_capacity", "full")], "no_capacity", 503),
    ],
)
async def test_what_goes_wrong_before_commit_is_a_failed_attempt(script: Any, name: str, status: int) -> None:
    result, transport = await make(script)
    assert isinstance(result, Failed)
    assert (result.outcome.name, result.outcome.status) == (name, status)
    assert all(call.is_over for call in transport.calls), "a failed attempt leaves no call open"


async def test_a_providers_error_is_kept_with_its_type() -> None:
    body = b'{"error":{"message":"temperature must be a number"}}'
    result, _ = await make(whole(400, body, content_type="application/json"))
    assert isinstance(result, Failed)
    assert (result.status, result.body, result.content_type) == (400, body, "application/json")
    assert result.message == "the provider answered 400: temperature must be a number"
    assert result.outcome.is_callers_fault


@pytest.mark.parametrize(
    ("script", "streamed"),
    [
        (whole(401, b'{"error":{"message":"no such key: sk-upstream"}}'), False),
        (whole(200, b'{"error":{"message":"no such key: sk-upstream"}}'), False),
        (whole(200, b'{"error":{"message":"no such key: sk-upstream"}}'), True),
        (stream(b'data: {"error":{"message":"no such key: sk-upstream"}}\n\n'), True),
    ],
)
async def test_a_provider_that_quotes_its_key_does_not_give_it_away(script: Any, streamed: bool) -> None:
    result, _ = await make(script, exchange(streamed=streamed))
    assert isinstance(result, Failed)
    assert "no such key: ***" in result.message
    assert b"sk-upstream" not in result.body + result.message.encode()


async def test_what_is_held_before_commit_is_bounded() -> None:
    noise = b"data: {}\n: " + b"x" * 998 + b"\n\n"
    result, _ = await make(stream(*[noise] * 100, HELLO))
    assert isinstance(result, Committed)
    assert MAX_HELD_BYTES < len(result.held) <= MAX_HELD_BYTES + len(noise)


async def test_a_long_page_is_no_stream() -> None:
    result, transport = await make([head(), *[step for _ in range(100) for step in (data(b"<p>" * 400), 0.0)]])
    assert isinstance(result, Failed)
    assert result.outcome.name == "broken_answer"
    assert transport.cancelled == transport.calls


async def test_a_whole_answer_that_stops_half_way_is_not_waited_for() -> None:
    limits = Timeouts(gap_s=0.05)
    result, _ = await make([head(), data(ANSWER[:30]), 60.0], exchange(streamed=False, timeouts=limits))
    assert isinstance(result, Failed)
    assert result.outcome.name == "silent"


async def test_a_whole_answer_is_committed_with_its_usage() -> None:
    result, transport = await make([head(), data(ANSWER[:30]), 0.0, data(ANSWER[30:]), end()], exchange(streamed=False))
    assert isinstance(result, Committed)
    assert result.held == ANSWER
    assert result.usage is not None
    assert (result.usage.input, result.usage.output) == (5, 2)
    assert b"stream_options" not in transport.requests[0].body


@pytest.mark.parametrize(
    ("script", "name"),
    [
        (whole(200, b""), "empty_answer"),
        (whole(200, b"<html>"), "broken_answer"),
        (whole(200, b'{"error":{"message":"x"}}'), "error_in_200"),
        (whole(200, b'{"choices":[]}'), "empty_answer"),
        ([head(), data(ANSWER[:30]), end()], "broken_answer"),
        ([head(), data(ANSWER[:30]), cut()], "cut"),
    ],
)
async def test_no_answer_under_200_is_a_failed_attempt(script: Any, name: str) -> None:
    result, _ = await make(script, exchange(streamed=False))
    assert isinstance(result, Failed)
    assert result.outcome.name == name


async def test_a_refusal_of_stream_options_is_asked_again_without_and_remembered() -> None:
    transport = ScriptedTransport({"a": [whole(400, REFUSAL), stream(HELLO, DONE)]})
    attempts = Attempts({"direct": transport}, Wheel(), NoPictures())
    aim = target()
    first = await attempts.make(exchange(), aim, silent, is_last=True)
    second = await attempts.make(exchange(), aim, silent, is_last=True)
    await transport.close()
    assert isinstance(first, Committed)
    assert isinstance(second, Committed)
    assert not first.hides_usage_chunk
    assert [b"stream_options" in request.body for request in transport.requests] == [True, False, False]


async def test_a_callers_own_stream_options_are_not_taken_away() -> None:
    asked = exchange(stream_options={"include_usage": True})
    result, transport = await make([whole(400, REFUSAL), stream(HELLO, DONE)], asked)
    assert isinstance(result, Failed)
    assert len(transport.requests) == 1


async def test_a_target_known_to_refuse_is_not_asked() -> None:
    result, transport = await make(stream(HELLO, DONE), refuses_stream_options=True)
    assert isinstance(result, Committed)
    assert not result.hides_usage_chunk
    assert b"stream_options" not in transport.requests[0].body


async def test_the_memory_of_refusals_is_bounded() -> None:
    transport = ScriptedTransport({"a": [whole(400, REFUSAL), stream(HELLO, DONE)]})
    attempts = Attempts({"direct": transport}, Wheel(), NoPictures())
    attempts.refusing = {("c", str(i)): None for i in range(MAX_REMEMBERED_TARGETS)}
    await attempts.make(exchange(), target(), silent, is_last=True)
    await transport.close()
    assert len(attempts.refusing) == MAX_REMEMBERED_TARGETS
    assert ("c", "0") not in attempts.refusing
    assert ("local-a", "m1") in attempts.refusing


@pytest.mark.parametrize(
    ("script", "name"),
    [
        ([60.0], "headers_timeout"),
        ([head(), 60.0], "first_event_timeout"),
        ([head(), data(ROLE), 60.0], "first_event_timeout"),
    ],
)
async def test_silence_before_commit_is_a_failed_attempt(script: Any, name: str) -> None:
    limits = Timeouts(headers_s=0.05, first_event_s=0.05)
    started = time.monotonic()
    result, transport = await make(script, exchange(timeouts=limits))
    assert isinstance(result, Failed)
    assert result.outcome.name == "silent"
    assert result.outcome.then == "next"
    assert time.monotonic() - started < 20
    assert transport.cancelled == transport.calls


async def test_the_last_target_is_waited_for_longer() -> None:
    limits = Timeouts(headers_s=0.01, first_event_s=0.01, first_event_reasoning_s=30)
    transport = ScriptedTransport({"a": [[0.2, head(), 0.2, data(HELLO)]]})
    attempts, asked = Attempts({"direct": transport}, Wheel(), NoPictures()), exchange(timeouts=limits)
    attempts.wheel.add(asked.watch)
    assert isinstance(await attempts.make(asked, target(), silent, is_last=True), Committed)
    thoughtful = exchange(timeouts=limits, reasoning_effort="high")
    attempts.wheel.add(thoughtful.watch)
    assert isinstance(await attempts.make(thoughtful, target(), silent, is_last=False), Committed)
    await transport.close()


async def test_the_total_limit_covers_a_trickle() -> None:
    limits = Timeouts(total_s=0.1)
    result, _ = await make([head(), *[data(b": x\n\n"), 0.02] * 100], exchange(timeouts=limits))
    assert isinstance(result, Failed)
    assert (result.outcome.name, result.outcome.then) == ("silent", "stop")


@pytest.mark.parametrize("script", [[60.0], [head(), 60.0], [head(), data(ROLE), 60.0]])
async def test_a_caller_who_leaves_cancels_the_call_at_once(script: Any) -> None:
    transport, asked = ScriptedTransport({"a": [script]}), exchange()
    attempts = Attempts({"direct": transport}, Wheel(), NoPictures())
    making = asyncio.ensure_future(attempts.make(asked, target(), silent, is_last=True))
    await asyncio.sleep(0.02)
    asked.caller_left()
    assert transport.cancelled == transport.calls
    with pytest.raises(CallerGone):
        await making
    await transport.close()


async def test_a_caller_who_left_while_the_call_began_is_noticed() -> None:
    asked = exchange()
    asked.has_caller_left = True
    with pytest.raises(CallerGone):
        await make([60.0], asked)


async def test_early_headers_are_sent_while_nothing_useful_has_come() -> None:
    transport, asked = ScriptedTransport({"a": [[0.05, head(), 0.05, data(HELLO)]]}), exchange()
    attempts = Attempts({"direct": transport}, Wheel(), NoPictures())
    sent: list[float] = []

    async def on_nudge() -> None:
        sent.append(time.monotonic())

    making = asyncio.ensure_future(attempts.make(asked, target(), on_nudge, is_last=True))
    for _ in range(2):
        await asyncio.sleep(0.03)
        transport.calls[0].nudge()
    result = await making
    await transport.close()
    assert isinstance(result, Committed)
    assert len(sent) == 2


async def test_an_answer_over_the_bound_is_refused() -> None:
    piece = b" " * (8 * 1024 * 1024)
    script = [head(), *[step for _ in range(9) for step in (data(piece), 0.0)], 60.0]
    result, transport = await make(script, exchange(streamed=False))
    assert 8 * len(piece) == attempt_module.MAX_ANSWER_BYTES
    assert isinstance(result, Failed)
    assert result.outcome.code == "upstream_answer_too_large"
    assert transport.calls[0].is_over


@pytest.mark.parametrize("ending", [b"", b"\n"])
async def test_a_last_event_without_its_blank_line_counts(ending: bytes) -> None:
    result, _ = await make(stream(ROLE, HELLO.rstrip() + ending))
    assert isinstance(result, Committed)
    assert HELLO.rstrip() in result.held
    failed, _ = await make(stream(ROLE, ERROR.rstrip() + ending))
    assert isinstance(failed, Failed)
    assert (failed.outcome.name, failed.message) == ("server_error", "overloaded")
