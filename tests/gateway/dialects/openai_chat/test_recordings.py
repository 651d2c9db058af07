"""Real traffic of real providers passes unchanged and is understood. It stays outside the repository."""

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from gateway.dialects.openai_chat.request import pass_on, read_head
from gateway.dialects.openai_chat.response import read_answer
from gateway.dialects.openai_chat.stream import StreamTap, classify
from gateway.dialects.openai_chat.usage import usage_of
from gateway.dialects.sse import EventSplitter, data_of
from gateway.relay.classify import of_status

FOLDER = Path(__file__).parents[5] / "shared/recordings"
EXCHANGES = Path(__file__).parents[3] / "exchanges/openai_chat"


@lru_cache(1)
def rows() -> list[dict[str, Any]]:
    """The rows of both indexes: ours always, the recordings where they are."""
    found = [row | {"folder": EXCHANGES} for row in json.loads((EXCHANGES / "index.json").read_text())]
    if (FOLDER / "index.json").exists():
        found += [row | {"folder": FOLDER} for row in json.loads((FOLDER / "index.json").read_text())]
    return [row for row in found if row["format"] == "openai-chat"]


def recorded(kind: str) -> list[Any]:
    return [
        pytest.param(row, id=row["file"], marks=[pytest.mark.recordings] if row["folder"] == FOLDER else [])
        for row in rows()
        if row["kind"] == kind
    ]


def read(row: dict[str, Any]) -> bytes:
    return Path(row["folder"], row["file"]).read_bytes()


def events_of(stream: bytes) -> list[bytes]:
    return EventSplitter().feed(stream)


def told_usage(stream: bytes) -> dict[str, Any] | None:
    """The last top-level `usage` in the file, found another way than the tap does."""
    found = None
    for line in stream.decode().split("\n"):
        text = line.strip().removeprefix("data:").strip()
        if text.startswith("{"):
            chunk = json.loads(text)
            found = chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage") or found
    return found


def told_output(usage: dict[str, Any]) -> int:
    """All of the answer's tokens: xAI counts its reasoning beside `completion_tokens`."""
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    is_beside = usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] + reasoning
    return int(usage["completion_tokens"] + (reasoning if is_beside else 0))


@pytest.mark.parametrize("row", recorded("stream"))
def test_a_stream_passes_unchanged_and_is_understood(row: dict[str, Any]) -> None:
    stream, features = read(row), set(row["features"])
    for size in (len(stream), 1000, 61):
        tap = StreamTap(hides_usage_chunk=False)
        out = b"".join(tap.feed(stream[at : at + size]) for at in range(0, len(stream), size)) + tap.take_rest()
        assert out == stream
        usage = told_usage(stream)
        assert tap.usage == (usage_of(usage) if usage else None)
        if usage:
            assert tap.usage is not None
            assert (tap.usage.input, tap.usage.output) == (usage["prompt_tokens"], told_output(usage))
        assert tap.is_complete is ("mid-stream-error" not in features)
        assert tap.is_done is ("no-done" not in features)
        assert bool(tap.error) is ("mid-stream-error" in features)


@pytest.mark.parametrize("row", recorded("stream"))
def test_a_stream_commits_at_its_first_content(row: dict[str, Any]) -> None:
    stream = read(row)
    verdicts = [classify(event) for event in events_of(stream)]
    has_content = (
        re.search(rb'"(content|reasoning_content|reasoning|refusal|arguments|name)" ?: ?("[^"]|\[\{)', stream)
        is not None
    )
    first = next(verdict for verdict in verdicts if verdict != "noise")
    assert first == ("useful" if has_content else "terminal")
    assert ("error" in verdicts) is ("mid-stream-error" in row["features"])


@pytest.mark.parametrize("row", recorded("stream"))
def test_hiding_the_usage_chunk_removes_that_event_alone(row: dict[str, Any]) -> None:
    stream = read(row)
    tap = StreamTap(hides_usage_chunk=True)
    out = tap.feed(stream) + tap.take_rest()
    kept = set(events_of(out))
    hidden = [event for event in events_of(stream) if event not in kept]
    assert len(stream) - len(out) == sum(map(len, hidden))
    assert bool(hidden) is ("usage-only-chunk" in row["features"])
    for event in hidden:
        chunk = json.loads(data_of(event))
        assert chunk["usage"]
        assert not chunk.get("choices")


@pytest.mark.parametrize("row", recorded("response"))
def test_an_answer_is_told_from_an_error(row: dict[str, Any]) -> None:
    body = read(row)
    reading = read_answer(body)
    if row["status"] != 200:
        assert reading.kind == "error"
        outcome = of_status(row["status"], {}, body, is_limited_by_model=False)
        expected = {400: ("caller_error", "stop", 400), 401: ("auth", "next", 502), 404: ("unknown_model", "next", 404)}
        assert (outcome.name, outcome.then, outcome.status) == expected[row["status"]]
        return
    answer = json.loads(body)
    assert reading.kind == "answer"
    assert reading.usage == (usage_of(answer["usage"]) if answer.get("usage") else None)
    if reading.usage:
        assert reading.usage.input == answer["usage"]["prompt_tokens"]
        assert reading.usage.output == told_output(answer["usage"])


@pytest.mark.parametrize("row", recorded("request"))
def test_a_request_goes_on_with_another_model_only(row: dict[str, Any]) -> None:
    body = read(row)
    head = read_head(body)
    value = json.loads(body)
    assert (head.model, head.is_stream) == (value["model"], value.get("stream") is True)
    assert pass_on(body, head, head.model, asks_usage=False) is body
    passed = pass_on(body, head, "another/model", asks_usage=False)
    assert json.loads(passed) == value | {"model": "another/model"}
    spelled = json.dumps(head.model).encode()
    assert passed == re.sub(rb'("model" ?: ?)' + re.escape(spelled), rb'\1"another/model"', body, count=1)
    asked = json.loads(pass_on(body, head, head.model, asks_usage=True))
    if head.is_stream:
        assert asked.pop("stream_options")["include_usage"] is True
        value.pop("stream_options", None)
    assert asked == value


def test_our_own_exchanges_are_all_in_the_index() -> None:
    assert {row["file"] for row in rows() if row["folder"] == EXCHANGES} == {
        path.name for path in EXCHANGES.iterdir() if path.name != "index.json"
    }
