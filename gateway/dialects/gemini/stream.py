"""Gemini streams, read without changing them: what an event means, and what the stream used.

`classify` decides commit, so it looks at every event before it; after commit `GeminiTap` looks at the joined bytes
only. Nearly every chunk tells its usage, so the tap keeps the last bytes that did and reads them when asked. Inside
JSON strings a quote is escaped, so `"finishReason":` cannot be content.
"""

import json
import re
from typing import Any

from gateway.dialects.codec import UNREADABLE, EventClass
from gateway.dialects.gemini.errors import text_of_error
from gateway.dialects.gemini.wire import (
    Chunk,
    Part,
    block_reason,
    code_text,
    finish_word,
    is_fault,
    read_chunks,
    usage_of,
)
from gateway.dialects.sse import EventSplitter, data_of
from gateway.dialects.tap import EventTap
from gateway.domain.usage import Usage

_FINISH = re.compile(rb'"(?:finishReason|blockReason)"\s*:\s*["1-9]')
_ERROR = re.compile(rb'"error"\s*:\s*[{"]')
_USAGE = re.compile(r'"usageMetadata"\s*:\s*(?=\{)')
_raw_decode = json.JSONDecoder().raw_decode


def classify(event: bytes) -> EventClass:
    """What one event, or bare JSON between events, means for commit. Chunks of usage, empty text or nothing are noise.

    A finish that means a broken answer (`MALFORMED_FUNCTION_CALL`) is an error; a refused prompt is an end.
    """
    data = json_of(event)
    if not data or data.startswith(b"[DONE]"):
        return "noise"
    try:
        chunks = read_chunks(data)
    except UNREADABLE:
        return "error"
    verdicts = [_verdict(chunk) for chunk in chunks]
    return next((verdict for verdict in verdicts if verdict != "noise"), "noise")


def json_of(event: bytes) -> bytes:
    """The `data` of an event, or the bare JSON that stands in its place; empty for comments and other fields."""
    data = data_of(event)
    if data:
        return data
    text = event.strip()
    return text if text[:1] in (b"{", b"[") else b""


class GeminiTap(EventTap):
    """Complete is a stream with a finish reason, or with a refused prompt; there is no terminator (`is_done`).

    What is held back (`held_bytes`) is looked at as soon as it is whole: the last event may come without its blank
    line, and a bare JSON error always does.
    """

    __slots__ = ("_last_usage", "_usage")

    _last_usage: bytes
    _usage: Usage | None

    @property
    def usage(self) -> Usage | None:
        """The last that was told."""
        if self._last_usage:
            self._usage = _usage_in(self._last_usage) or self._usage
            self._last_usage = b""
        return self._usage

    @usage.setter
    def usage(self, value: Usage | None) -> None:
        self._usage, self._last_usage = value, b""

    def feed(self, data: bytes) -> bytes:
        out = self._splitter.feed_joined(data)
        if out:
            self.chunks += out.count(b"data:")
            self._look_at(out)
        if self._splitter.held_bytes and data.rstrip().endswith((b"}", b"]")):
            self._look_at(self._splitter.rest)
        return out

    def _look_at(self, out: bytes) -> None:
        if b'TokenCount"' in out:
            self._last_usage = out
        if not self.is_complete and b'Reason"' in out and _FINISH.search(out):
            self.is_complete = _says_finish(out)
        if b'"error"' in out and _ERROR.search(out):
            self._note_error(out)

    def _note_error(self, out: bytes) -> None:
        for event in _events(out):
            if _ERROR.search(event):
                try:
                    chunks = read_chunks(json_of(event))
                except UNREADABLE:
                    continue
                for chunk in chunks:
                    if chunk.error:
                        self.error = text_of_error(chunk.error)
                        return


def _verdict(chunk: Chunk) -> EventClass:
    if chunk.error:
        return "error"
    candidate = chunk.candidates[0] if chunk.candidates else None
    if candidate is None:
        return "terminal" if block_reason(chunk.prompt_feedback) else "noise"
    parts = (candidate.content.parts if candidate.content else None) or []
    word = finish_word(candidate.finish_reason)
    if is_fault(word, has_calls=any(part.function_call is not None for part in parts)):
        return "error"
    if any(_is_useful(part) for part in parts):
        return "useful"
    return "terminal" if word or block_reason(chunk.prompt_feedback) else "noise"


def _is_useful(part: Part) -> bool:
    return bool(part.text or part.function_call is not None or part.inline_data is not None or code_text(part))


def _says_finish(out: bytes) -> bool:
    """The words were seen: are they the answer's own? A piece of a long event cannot be read, and is believed."""
    for event in _events(out):
        if not _FINISH.search(event):
            continue
        try:
            chunks = read_chunks(json_of(event))
        except UNREADABLE:
            return True
        for chunk in chunks:
            if block_reason(chunk.prompt_feedback) or any(
                finish_word(candidate.finish_reason) for candidate in chunk.candidates or ()
            ):
                return True
    return False


def _usage_in(out: bytes) -> Usage | None:
    """The last usage in some events, or in the last piece of a long one."""
    for event in reversed(_events(out)):
        if b'TokenCount"' not in event:
            continue
        try:
            chunks: list[Any] = read_chunks(json_of(event))
        except UNREADABLE:
            return _usage_in_piece(event)
        for chunk in reversed(chunks):
            if (found := usage_of(chunk.usage_metadata)) is not None:
                return found
    return None


def _usage_in_piece(piece: bytes) -> Usage | None:
    text = piece.decode("utf-8", "replace")
    found = None
    for match in _USAGE.finditer(text):
        try:
            found = usage_of(_raw_decode(text, match.end())[0]) or found
        except (ValueError, RecursionError):
            continue
    return found


def _events(out: bytes) -> list[bytes]:
    splitter = EventSplitter()
    events = splitter.feed(out)
    return [*events, splitter.rest] if splitter.rest else events
