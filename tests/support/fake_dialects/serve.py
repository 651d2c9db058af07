"""Which dialect a path speaks, and the answer of a scenario on the wire, well or badly ended."""

import json
import re
from types import ModuleType
from typing import Any

from tests.support.fake_dialects import anthropic_messages, gemini, openai_chat, openai_responses
from tests.support.fake_dialects.scenarios import (
    ERROR_400,
    ERROR_429,
    ERROR_STREAM,
    LONG_GAP_S,
    RETRY_AFTER_S,
    SCENARIOS,
)
from tests.support.fake_dialects.script import Asked, Refused, Streamed
from tests.support.fake_http import Exchange

_GEMINI = re.compile(r"/v1(?:beta)?/models/(?P<model>[^:]+):")
_PIECE_BYTES = 97
"""Streams are cut here on the wire: inside lines, JSON and characters."""


def dialect_of(path: str) -> ModuleType:
    """The dialect of a POST path."""
    path = path.partition("?")[0]
    if "/messages" in path:
        return anthropic_messages
    if _GEMINI.match(path):
        return gemini
    return openai_responses if "/responses" in path else openai_chat


def model_of(path: str, request: dict[str, Any]) -> str:
    """Gemini's stands in the path."""
    if match := _GEMINI.match(path):
        return match["model"]
    return str(request.get("model", ""))


async def answer_scenario(x: Exchange, name: str) -> None:
    """Read strictly, then play the scenario; what is not as the real API takes it is answered with the reason."""
    dialect = dialect_of(x.record.path)
    headers = {key.lower(): value for key, value in x.record.headers}
    try:
        asked: Asked = dialect.read(x.record.path, headers, x.request)
        x.record.asked = asked.as_dict()
        if re.search(r"(count_tokens|input_tokens|:countTokens)(\?|$)", x.record.path):
            return await x.whole(200, _dump(dialect.count(asked)))
        answer = SCENARIOS[name](asked)
    except Refused as refused:
        body = dialect.error(refused.status, f"fake provider: {refused}", refused.code, refused.param)
        return await x.whole(refused.status, _dump(body))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        body = dialect.error(400, f"fake provider cannot read it: {error!r}")
        return await x.whole(400, _dump(body))
    if name == "error-400":
        code = "context_length_exceeded"
        return await x.whole(400, _dump(dialect.error(400, ERROR_400, code)))
    if name == "error-429":
        body = dialect.error(429, ERROR_429, "rate_limit_exceeded")
        return await x.whole(429, _dump(body), **{"retry-after": str(RETRY_AFTER_S)})
    if not asked.is_stream:
        return await x.whole(200, _dump(dialect.whole(asked, answer)))
    return await _stream(x, name, dialect, dialect.stream(asked, answer))


async def _stream(x: Exchange, name: str, dialect: ModuleType, streamed: Streamed) -> None:
    await x.head(200, dialect.STREAM_TYPE, length=None)
    if name == "long-stream":
        for event in streamed.all():
            await x.chunk(event)
            await x.pause(LONG_GAP_S)
        return await x.end_chunks()
    if name in ("error-stream", "cut"):
        # A moment lies between, as in real life: what came before it has been read when the stream breaks.
        await x.chunk(b"".join([*streamed.opening, *streamed.texts[:2]]))
        await x.pause(0.05)
        if name == "error-stream":
            await x.chunk(b"".join(dialect.stream_error(503, ERROR_STREAM)))
            await x.pause(0.1)  # a caller that has read the error may leave before the end
        return await x.end_chunks()
    data = b"".join(streamed.all())
    for start in range(0, len(data), _PIECE_BYTES):
        await x.chunk(data[start : start + _PIECE_BYTES])
    return await x.end_chunks()


def _dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
