"""Where a text comes from: `groundingMetadata` and `citationMetadata` ↔ Citation.

Gemini counts UTF-8 bytes, in a stream from the begin of the whole answer's text; the hub counts characters.
"""

from collections.abc import Iterable
from typing import Any

from gateway.domain.chat import Citation

MAX_TEXT_CHARS = 1 << 20
"""So much text is kept to count positions in; after that they are told as unknown."""

_MAX_CITATIONS = 1000


class SpokenText:
    """The text of an answer so far, kept to turn positions in bytes into positions in characters and back."""

    __slots__ = ("_chars", "_pieces", "is_whole")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._chars = 0
        self.is_whole = True

    def add(self, text: str) -> None:
        if self._chars < MAX_TEXT_CHARS:
            self._pieces.append(text)
            self._chars += len(text)
        else:
            self.is_whole = False

    @property
    def has_any(self) -> bool:
        return bool(self._pieces)

    def joined(self) -> str:
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""


def citations_in(grounding: object, citation: object, text: str) -> list[Citation]:
    """All citations of a candidate, each once. `text` is what the positions count in."""
    found = [*_grounded(grounding, text), *_cited(citation, text)]
    return list(dict.fromkeys(found))[:_MAX_CITATIONS]


def grounding_metadata(citations: Iterable[Citation], text: str) -> dict[str, Any]:
    """Citations as a `groundingMetadata`; positions count in `text`. A quoted source is a `retrievedContext`, others are `web`."""
    chunks: list[dict[str, Any]] = []
    numbers: dict[tuple[str, str, str], int] = {}
    supports: list[dict[str, Any]] = []
    for citation in citations:
        told = {"uri": citation.url, "title": citation.title, "text": citation.quote}
        source = {name: value for name, value in told.items() if value}
        if not source:
            continue
        number = numbers.setdefault((citation.url, citation.title, citation.quote), len(numbers))
        if number == len(chunks):
            chunks.append({"retrievedContext" if citation.quote else "web": source})
        if 0 <= citation.start < citation.end <= len(text):
            segment = {
                "startIndex": len(text[: citation.start].encode("utf-8", "replace")),
                "endIndex": len(text[: citation.end].encode("utf-8", "replace")),
                "text": text[citation.start : citation.end],
            }
            supports.append({"segment": segment, "groundingChunkIndices": [number]})
    if not chunks:
        return {}
    return {"groundingChunks": chunks, "groundingSupports": supports} if supports else {"groundingChunks": chunks}


def _grounded(grounding: object, text: str) -> Iterable[Citation]:
    if not isinstance(grounding, dict):
        return
    sources = [_source(chunk) for chunk in _listed(grounding.get("groundingChunks"))]
    supports = [support for support in _listed(grounding.get("groundingSupports")) if isinstance(support, dict)]
    encoded = text.encode("utf-8", "replace") if supports else b""
    told: set[int] = set()
    for support in supports:
        segment = support.get("segment")
        start, end = _span(segment if isinstance(segment, dict) else {}, encoded)
        for number in _listed(support.get("groundingChunkIndices")):
            if isinstance(number, int) and 0 <= number < len(sources) and sources[number] is not None:
                told.add(number)
                url, title, quote = sources[number] or ("", "", "")
                yield Citation(url=url, title=title, quote=quote, start=start, end=end)
    for number, source in enumerate(sources):
        if source is not None and number not in told:
            yield Citation(url=source[0], title=source[1], quote=source[2])


def _cited(metadata: object, text: str) -> Iterable[Citation]:
    """`citationSources` on Google's own API, `citations` on Vertex."""
    if not isinstance(metadata, dict):
        return
    sources = _listed(metadata.get("citationSources")) or _listed(metadata.get("citations"))
    encoded = text.encode("utf-8", "replace") if sources else b""
    for source in sources:
        if isinstance(source, dict) and isinstance(source.get("uri"), str):
            start, end = _span(source, encoded)
            title = source.get("title")
            yield Citation(url=source["uri"], title=title if isinstance(title, str) else "", start=start, end=end)


def _source(chunk: object) -> tuple[str, str, str] | None:
    """(url, title, quote) of a grounding chunk: `web`, `retrievedContext`, `maps` …"""
    for source in chunk.values() if isinstance(chunk, dict) else ():
        if isinstance(source, dict):
            url, title, quote = (source.get(name) for name in ("uri", "title", "text"))
            told = tuple(value if isinstance(value, str) else "" for value in (url, title, quote))
            if any(told):
                return told[0], told[1], told[2]
    return None


def _span(segment: dict[str, Any], encoded: bytes) -> tuple[int, int]:
    """(start, end) in characters, or (-1, -1) when the bytes say nothing of this text. A start of 0 is left out on the wire."""
    start, end = segment.get("startIndex", 0), segment.get("endIndex")
    if not isinstance(start, int) or not isinstance(end, int) or not 0 <= start < end <= len(encoded):
        return -1, -1
    first = len(encoded[:start].decode("utf-8", "ignore"))
    return first, first + len(encoded[start:end].decode("utf-8", "ignore"))


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
