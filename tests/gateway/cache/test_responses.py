"""Which answers are kept: only those that ended well, whatever the bytes look like at first sight."""

import json
from typing import Any

import pytest
from msgspec import structs

from gateway.cache.entry import Entry
from gateway.cache.front import Front
from gateway.cache.responses import MAX_JUDGED_BYTES, ResponseCache
from gateway.cache.store import CacheStore
from gateway.domain.dialect import ProviderDialect
from gateway.telemetry.metrics import Metrics

ENTRY = Entry(
    at=0.0, expires_at=100.0, dialect="openai_chat", is_stream=False, body=b"", content_type="", provider="p",
    connection_id="c", model="m", combo="", usage=None, cost_nano_usd=0, names={},
)  # fmt: skip


def kept(dialect: ProviderDialect, body: Any, *, is_stream: bool = False) -> bool:
    metrics = Metrics()
    cache = ResponseCache(CacheStore(None, metrics, lambda: 0.0), Front(9, 999_999, lambda: 0.0), metrics, lambda: 0.0)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    cache.keep("k", structs.replace(ENTRY, dialect=dialect, body=raw, is_stream=is_stream))
    return cache.front.get("k") is not None


def chat(finish: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": "Hello", "refusal": None}
    return {"id": "i", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": finish}]}


def claude(stop: str) -> dict[str, Any]:
    return {
        "id": "i", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": stop, "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
    }  # fmt: skip


def gemini(finish: str) -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hello"}]}, "finishReason": finish}]}


@pytest.mark.parametrize(
    ("dialect", "body", "is_good"),
    [
        ("openai_chat", chat("stop"), True),
        ("openai_chat", chat("length"), True),
        ("openai_chat", chat("eos"), True),
        *[
            ("openai_chat", chat(word), False)
            for word in ("content_filter", "sensitive", "error", "network_error", "abort")
        ],
        ("anthropic_messages", claude("end_turn"), True),
        ("anthropic_messages", claude("refusal"), False),
        ("anthropic_messages", claude("pause_turn"), False),
        ("gemini", gemini("STOP"), True),
        ("gemini", gemini("SAFETY"), False),
    ],
)
def test_only_an_answer_that_ended_well_is_kept(dialect: ProviderDialect, body: Any, is_good: bool) -> None:
    assert kept(dialect, body) == is_good


def test_a_filtered_or_failed_stream_is_not_kept() -> None:
    def event(delta: dict[str, str], finish: str | None) -> bytes:
        return b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}).encode() + b"\n\n"  # fmt: skip

    for finish, is_good in (("stop", True), ("content_filter", False), ("error", False), ("sensitive", False)):
        body = event({"content": "Hello"}, None) + event({}, finish) + b"data: [DONE]\n\n"
        assert kept("openai_chat", body, is_stream=True) == is_good


@pytest.mark.parametrize(("size", "is_kept"), [(1_000, True), (MAX_JUDGED_BYTES, False)])
def test_what_would_hold_the_loop_to_judge_is_not_kept(size: int, is_kept: bool) -> None:
    body = chat("eos")
    body["choices"][0]["message"]["content"] = "x" * size
    assert kept("openai_chat", body) == is_kept
    plain = chat("stop")
    plain["choices"][0]["message"]["content"] = (
        'it says "finish_reason":"error", and that it is incomplete' + "x" * size
    )
    assert kept("openai_chat", plain), "most need no judging"
