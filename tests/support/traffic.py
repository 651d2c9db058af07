"""Traffic by dialect: exchanges of our own making, always there, and recordings of real providers where they are.

`CALLERS` and `PROVIDERS` are the codecs of all dialects, for tests that cross them.
"""

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.dialects import registry
from gateway.dialects.codec import Arrival, Destination, Origin, Stamp
from gateway.dialects.envelope import Envelopes
from gateway.domain.chat import ChatRequest
from gateway.domain.events import Event

EXCHANGES = Path(__file__).parents[1] / "exchanges"
RECORDINGS = Path(__file__).parents[3] / "shared/recordings"
DIALECT_OF = {
    "openai-chat": "openai_chat",
    "openai-responses": "openai_responses",
    "anthropic-messages": "anthropic_messages",
    "gemini": "gemini",
}
"""The formats of the indexes."""

CALLERS, PROVIDERS = registry.CALLERS, registry.PROVIDERS
REQUEST_ID = "0198c0de-0000-7000-8000-00000000c0de"
CREATED_AT = 1_790_000_000
ENVELOPES = Envelopes(b"the key of the tests")
ORIGIN = Origin(provider="acme", request_id=REQUEST_ID)

Row = dict[str, Any]


@lru_cache(1)
def rows() -> tuple[Row, ...]:
    """Every row of every index whose format is one of ours, with its `dialect` and `folder`."""
    found: list[Row] = []
    for index in (*sorted(EXCHANGES.glob("*/index.json")), RECORDINGS / "index.json"):
        if index.exists():
            found += [
                row | {"folder": index.parent, "dialect": DIALECT_OF[row["format"]]}
                for row in json.loads(index.read_text())
                if row["format"] in DIALECT_OF
            ]
    return tuple(found)


def recorded(kind: str) -> list[Any]:
    """Rows of one kind as parameters; those that are not ours are marked."""
    return [
        pytest.param(
            row,
            id=f"{row['dialect']}:{row['file']}",
            marks=[pytest.mark.recordings] if row["folder"] == RECORDINGS else [],
        )
        for row in rows()
        if row["kind"] == kind
    ]


def read(row: Row) -> bytes:
    return Path(row["folder"], row["file"]).read_bytes()


def arrival_of(row: Row) -> Arrival:
    """Model and method stand in Gemini's path."""
    if row["dialect"] != "gemini":
        return Arrival()
    path = row.get("url_path", "")
    return Arrival(model=row.get("model") or "gemini-test", is_stream="stream" in path.lower())


def stamp(request: ChatRequest | None = None, model: str = "asked/model") -> Stamp:
    return Stamp(
        request_id=REQUEST_ID, created_at=CREATED_AT, model=model, envelopes=ENVELOPES, request=request, input_tokens=7
    )


def destination(model: str = "there", quirks: Iterable[str] = ()) -> Destination:
    return Destination(model=model, provider="acme", max_output=64_000, quirks=frozenset(quirks))


def decoded(dialect: str, stream: bytes, sizes: Sequence[int] = ()) -> list[Event]:
    """All events of a stream, fed in pieces of `sizes` in turn; whole by default."""
    decoder = PROVIDERS[dialect].make_decoder(ORIGIN)  # type: ignore[index]
    events: list[Event] = []
    at, turn = 0, 0
    while at < len(stream):
        size = sizes[turn % len(sizes)] if sizes else len(stream)
        events += decoder.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
    return events + decoder.end()


def is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def json_of(text: str) -> Any:
    """A JSON value to compare: 1 and 1.0 are equal, text that is none stands for itself."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text
