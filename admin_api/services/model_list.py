"""The ids in a provider's list of models, in the shapes that are about. Pure."""

from typing import Any

import msgspec

MAX_MODELS = 5_000
MAX_ID = 400


def models_in(body: bytes) -> list[str] | None:
    """Ids in the provider's order; None when it is no list of models.

    `{"data": [{"id"}]}` (OpenAI, Anthropic), `{"models": [{"name": "models/…"}]}` (Gemini, Ollama), or the bare array.
    """
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    entries = given.get("data", given.get("models")) if isinstance(given, dict) else given
    if not isinstance(entries, list):
        return None
    ids = [_id(entry) for entry in entries[:MAX_MODELS]]
    return list(dict.fromkeys(found for found in ids if found))


def _id(entry: Any) -> str:
    if isinstance(entry, dict):
        entry = entry.get("id") or entry.get("name") or entry.get("model")
    if not isinstance(entry, str) or len(entry) > MAX_ID or not entry.isprintable():
        return ""
    return entry.removeprefix("models/")
