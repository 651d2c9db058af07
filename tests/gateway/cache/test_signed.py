"""Signatures known by the bytes of their requests: within bounds, and never one for another."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from gateway.cache.front import Front
from gateway.cache.responses import ResponseCache
from gateway.cache.signed import MAX_BODY_BYTES, Signed
from gateway.cache.store import CacheStore
from gateway.dialects.codec import IN_BODY
from gateway.dialects.envelope import Envelopes
from gateway.dialects.registry import CALLERS
from gateway.domain.caching import CacheSettings
from gateway.domain.caller import ANONYMOUS
from gateway.domain.timeouts import Timeouts
from gateway.relay.exchange import Exchange
from gateway.telemetry.metrics import Metrics

BODY = {"model": "m", "temperature": 0, "messages": [{"role": "user", "content": "Hello"}]}
CHAT = CALLERS["openai_chat"]


def test_what_was_used_longest_ago_gives_way_to_bytes_and_to_entries() -> None:
    signed = Signed(max_bytes=10, max_entries=3)
    for name in "abc":
        signed.put((name,), name, 3)
    assert signed.get(("a",)) == "a"
    signed.put(("d",), "d", 4)  # 13 bytes and 4 entries: b and nothing else has to go
    assert [signed.get((name,)) for name in "abcd"] == ["a", None, "c", "d"]
    assert (len(signed), signed.held_bytes) == (3, 10)
    signed.put(("e",), "e", 0)
    assert len(signed) == 3


def test_the_signature_of_a_long_request_is_not_remembered() -> None:
    signed = Signed()
    signed.put(("long",), "x", MAX_BODY_BYTES + 1)
    assert (signed.get(("long",)), len(signed), signed.held_bytes) == (None, 0, 0)


def a_cache() -> ResponseCache:
    metrics = Metrics()
    return ResponseCache(CacheStore(None, metrics, lambda: 0.0), Front(9, 9999, lambda: 0.0), metrics, lambda: 0.0)


def exchange_of(body: dict[str, Any], *headers: tuple[bytes, bytes]) -> Exchange:
    raw = json.dumps(body).encode()
    return Exchange(
        request_id="r", caller=CHAT, arrival=IN_BODY, head=CHAT.read_head(raw, IN_BODY), body=raw,
        envelopes=Envelopes(b"k" * 32), headers=headers, timeouts=Timeouts(), started_at=0.0,
    )  # fmt: skip


WAYS = st.fixed_dictionaries(
    {
        "scope": st.sampled_from(["one", "two"]),
        "pinned_provider": st.sampled_from(["", "local"]),
        "meaning": st.sampled_from(["before", "after"]),
        "header": st.sampled_from([(b"user-agent", b"x"), (b"user-agent", b"codex/1"), (b"openai-beta", b"b")]),
        "text": st.sampled_from(["Hello", "Hullo"]),
        "model": st.sampled_from(["m", "m2"]),
        "web_search_options": st.sampled_from([None, {}]),
    }
)


@settings(max_examples=300, deadline=None)
@given(before=st.lists(WAYS, max_size=4), way=WAYS)
def test_a_remembered_signature_is_the_one_that_would_be_made(before: list[Any], way: Any) -> None:
    warm, cold = a_cache(), a_cache()

    def key(cache: ResponseCache, way: dict[str, Any]) -> str:
        messages = [{"role": "user", "content": way["text"]}]
        body = {**BODY, "model": way["model"], "messages": messages, "web_search_options": way["web_search_options"]}
        caller = structs.replace(ANONYMOUS, cache_scope=way["scope"])
        pinned, meaning = way["pinned_provider"], way["meaning"]
        return cache.key_of(
            exchange_of(body, way["header"]), caller, CacheSettings(), pinned_provider=pinned, meaning=meaning
        )

    for one in before:
        key(warm, one)
    assert key(warm, way) == key(cold, way) == key(warm, way)


@pytest.mark.parametrize("temperature", [None, 0.1, 1, "0", False])
def test_nothing_is_decoded_of_a_request_that_does_not_write_temperature_0(temperature: Any) -> None:
    exchange = exchange_of({**BODY, "temperature": temperature})
    cache = a_cache()
    assert cache.key_of(exchange, ANONYMOUS, CacheSettings()) == ""
    assert (exchange._request, len(cache.signed)) == (None, 0)
    assert cache.key_of(exchange_of(BODY), ANONYMOUS, CacheSettings())
