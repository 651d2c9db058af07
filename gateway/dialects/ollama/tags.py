"""What Ollama's clients ask besides chat: which models there are, and which version of the API this is."""

from collections.abc import Iterable
from hashlib import sha256

import msgspec

API_VERSION = "0.12.0"
"""Clients refuse servers that are too old for what they use; this one's API is what `/api/chat` here follows."""

_NO_TIME = "1970-01-01T00:00:00Z"


def encode_tags(names: Iterable[str]) -> bytes:
    """`{"models": [...]}` of `GET /api/tags`. There is no file behind a model: sizes are 0, the digest is of the name."""
    return msgspec.json.encode({"models": [_entry(name) for name in names]})


def encode_version() -> bytes:
    """The answer of `GET /api/version`."""
    return msgspec.json.encode({"version": API_VERSION})


def _entry(name: str) -> dict[str, object]:
    return {
        "name": name,
        "model": name,
        "modified_at": _NO_TIME,
        "size": 0,
        "digest": sha256(name.encode("utf-8", "replace")).hexdigest(),
        "details": {
            "parent_model": "",
            "format": "",
            "family": "",
            "families": [],
            "parameter_size": "",
            "quantization_level": "",
        },
    }
