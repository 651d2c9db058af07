"""`/v1beta/models` in Gemini's shape."""

from collections.abc import Iterable
from typing import Any

import msgspec

METHODS = ("generateContent", "streamGenerateContent", "countTokens")


class ModelEntry(msgspec.Struct, frozen=True):
    """A model as callers name it. `context` and `max_output` in tokens, 0 = not known; `owner` is its provider."""

    id: str
    owner: str = ""
    context: int = 0
    max_output: int = 0


def encode_models(entries: Iterable[ModelEntry]) -> bytes:
    """All in one page; there is never a `nextPageToken`."""
    return msgspec.json.encode({"models": [_model(entry) for entry in entries]})


def encode_model(entry: ModelEntry) -> bytes:
    return msgspec.json.encode(_model(entry))


def _model(entry: ModelEntry) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": f"models/{entry.id}",
        "version": "001",
        "displayName": entry.id,
        "description": f"{entry.id} of {entry.owner}" if entry.owner else entry.id,
    }
    if entry.context:
        told["inputTokenLimit"] = entry.context
    if entry.max_output:
        told["outputTokenLimit"] = entry.max_output
    return {**told, "supportedGenerationMethods": METHODS}
