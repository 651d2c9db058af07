"""The live monitor through the started product: what an owner who watches is shown of requests, and that nobody else is shown anything."""

import contextlib
import json
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import redis

from gateway.state import keys
from tests.support.patience import PATIENCE
from tests.support.product import wait_for
from tests.support.real_gateway import KEY, NODE_KEY, RealGateway, running_gateway

pytestmark = pytest.mark.process

SOON_S = 30.0
CANARY = "the canary sings 4711"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with running_gateway(tmp_path_factory.mktemp("monitor"), nodes={"claude": "anthropic_messages"}) as gateway:
        yield gateway


@contextlib.contextmanager
def overhearing(gateway: RealGateway) -> Iterator["redis.client.PubSub"]:
    """What workers publish, heard past the product."""
    socket = str(gateway.product.data_dir / "run" / "valkey.sock")
    with redis.Redis(unix_socket_path=socket) as client, client.pubsub(ignore_subscribe_messages=True) as heard:
        heard.subscribe(keys.SAMPLES)
        wait_for(lambda: client.pubsub_numsub(keys.SAMPLES)[0][1] >= 1, 10)
        yield heard


def published(heard: "redis.client.PubSub") -> bytes:
    """All that was, until nothing comes any more."""
    found, silences = [], 0
    while silences < 2:  # a subscription that is confirmed counts as one
        message = heard.get_message(timeout=0.3)
        silences = 0 if message else silences + 1
        found += [message["data"]] if message else []
    return b"".join(found)


@contextlib.contextmanager
def watching(gateway: RealGateway) -> Iterator["queue.Queue[dict[str, Any]]"]:
    """The samples that the live stream tells an owner, in a thread of its own."""
    rows: queue.Queue[dict[str, Any]] = queue.Queue()
    is_over = threading.Event()

    def read(answer: httpx.Response) -> None:
        name = ""
        with contextlib.suppress(httpx.HTTPError, httpx.StreamError):
            for line in answer.iter_lines():
                if is_over.is_set():
                    return
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: ") and name == "samples":
                    for row in json.loads(line[6:])["rows"]:
                        rows.put(row)

    with gateway.admin.stream("GET", "/api/live", params={"samples": "true"}) as answer:
        assert answer.status_code == 200
        reader = threading.Thread(target=read, args=(answer,), daemon=True)
        reader.start()
        wait_for(lambda: gateway.health()["live"]["watchers"] == 1, 10)
        yield rows
        is_over.set()
        reader.join(SOON_S * PATIENCE)


def sample_of(
    gateway: RealGateway, rows: "queue.Queue[dict[str, Any]]", ask: Callable[[], object], **wanted: Any
) -> dict[str, Any]:
    """A sample that is as wanted: asked until one is there, since a worker hears of the watcher a moment later."""
    found: list[dict[str, Any]] = []

    def comes() -> bool:
        ask()
        with contextlib.suppress(queue.Empty):
            while True:
                row = rows.get(timeout=1.5)
                if all(row[name] == value for name, value in wanted.items()):
                    found.append(row)
                    return True
        return False

    wait_for(comes, SOON_S, lambda: f"no such sample: {wanted}; {gateway.product.errors[-2000:]}")
    return found[0]


def test_nothing_is_published_until_somebody_watches_and_again_when_nobody_does(gateway: RealGateway) -> None:
    with overhearing(gateway) as heard:
        for _ in range(8):  # both workers
            answer = gateway.chat(headers={"x-request-id": gateway.new_id()})
            gateway.row(answer.headers["x-request-id"], within_s=10)
        assert published(heard) == b""
        assert gateway.health()["live"]["watchers"] == 0
        with watching(gateway) as rows:
            sample_of(gateway, rows, gateway.chat, dialect="openai_chat")
        wait_for(lambda: gateway.health()["live"]["watchers"] == 0, SOON_S)
        assert b"openai_chat" in published(heard)

        def is_silent() -> bool:
            gateway.row(gateway.chat(headers={"x-request-id": gateway.new_id()}).headers["x-request-id"], within_s=10)
            return not published(heard)

        wait_for(is_silent, 60)


def test_a_translated_request_is_shown_by_what_it_is_built_like_on_both_sides(gateway: RealGateway) -> None:
    body = {
        "model": "claude/ok",
        "max_tokens": 77,
        "n": 1,
        "logit_bias": {"1": 2},
        "messages": [{"role": "system", "content": CANARY}, {"role": "user", "content": f"{CANARY} {KEY}"}],
        "tools": [{"type": "function", "function": {"name": "look", "description": CANARY, "parameters": {"type": "object"}}}],
    }  # fmt: skip

    def ask() -> None:
        answer = gateway.client.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.text

    with overhearing(gateway) as heard, watching(gateway) as rows:
        row = sample_of(gateway, rows, ask, requestedModel="claude/ok")
        raw = published(heard)
    assert (row["dialect"], row["targetDialect"], row["passedOn"]) == ("openai_chat", "anthropic_messages", False)
    assert (row["status"], row["provider"], row["keyName"]) == (200, "claude", "all")
    asked, sent, answered = (json.loads(row[name]) for name in ("asked", "sent", "answered"))
    assert [one["role"] for one in asked["messages"]] == ["system", "user"]
    assert asked["messages"][0]["content"] == f"<{len(CANARY)}>"
    assert (sent["max_tokens"], sent["tools"][0]["name"]) == (77, "look")
    assert [one["role"] for one in sent["messages"]] == ["user"]
    assert answered["choices"][0]["message"]["role"] == "assistant"
    assert b"claude/ok" in raw
    for text in (raw.decode(), json.dumps(row)):
        assert not [secret for secret in (CANARY, KEY, NODE_KEY, "sk-node-claude") if secret in text]


def test_a_refused_request_and_a_stream_are_shown_too(gateway: RealGateway) -> None:
    with watching(gateway) as rows:
        refused = sample_of(gateway, rows, lambda: gateway.chat("nobody/knows"), requestedModel="")
        assert refused["status"] == 404
        assert refused["targetDialect"] == ""
        stream = sample_of(gateway, rows, lambda: gateway.chat("local/ok", stream=True), isStream=True)
        assert stream["passedOn"] is True
        assert stream["sent"] == ""
        assert all("choices" in event or isinstance(event, str) for event in json.loads(stream["answered"]))


def test_of_a_key_that_leaves_no_trace_nothing_is_sampled(gateway: RealGateway) -> None:
    made = gateway.admin.post("/api/keys", json={"name": "quiet", "noLog": True}).json()
    with overhearing(gateway) as heard, watching(gateway) as rows:
        sample_of(gateway, rows, gateway.chat, keyName="all")
        for _ in range(4):
            assert gateway.chat(key=made["key"]).status_code == 200
            sample_of(gateway, rows, gateway.chat, keyName="all")
        raw = published(heard)
    assert b'"all"' in raw
    assert b"quiet" not in raw


@pytest.mark.parametrize("role", ["operator", "viewer"])
def test_only_owners_may_watch(gateway: RealGateway, role: str) -> None:
    token = gateway.admin.post("/api/admin-tokens", json={"name": role, "role": role}).json()["token"]
    answer = httpx.get(
        f"{gateway.url}/api/live",
        params={"samples": "true"},
        headers={"authorization": f"Bearer {token}"},
        timeout=60,
    )
    assert answer.status_code == 403
