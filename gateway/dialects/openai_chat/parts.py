"""Pieces of an answer that whole answers and streams have alike: arguments, citations, pictures, texts in parts."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.dialects.codec import UNREADABLE
from gateway.dialects.media import data_url, from_data_url
from gateway.dialects.openai_chat.asked_turns import mistral_thinking
from gateway.dialects.surrogates import json_text
from gateway.domain.chat import Citation, Image, Text, Thinking

Json = dict[str, Any]


def whole_arguments(value: object) -> str:
    """Arguments as the text of an object: nothing is `{}`, an object is written, a quoted text is opened.

    Anything else, such as bare words, becomes the one argument `input`.
    """
    if isinstance(value, dict):
        return json_text(value).decode()
    if not isinstance(value, str) or not value.strip():
        return "{}"
    if value.lstrip()[:1] == "{":
        return value
    inner: object = value
    with contextlib.suppress(*UNREADABLE):
        inner = msgspec.json.decode(value)
    if inner is None or inner == "":
        return "{}"
    return inner if isinstance(inner, str) and inner.lstrip()[:1] == "{" else json_text({"input": inner}).decode()


def is_whole_object(text: str) -> bool:
    """Line ends within its strings are forgiven: models write them, and callers' parsers mostly take them."""
    if not text.rstrip().endswith("}"):
        return False
    try:
        return isinstance(msgspec.json.decode(text), dict)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    try:
        return isinstance(json.loads(text, strict=False), dict)
    except (ValueError, RecursionError):
        return False


def first_text(*values: object) -> str:
    """The first that is a text and not empty: providers send one thing under several names."""
    for value in values:
        if isinstance(value, str) and value:
            return value
    return ""


def content_parts(content: object) -> Iterator[Text | Thinking | Image]:
    """A content that is a list of parts: Mistral's thinking, pictures and text. What is unknown is left out."""
    for part in content if isinstance(content, list) else ():
        if not isinstance(part, dict):
            continue
        kind = part.get("type")
        if kind == "thinking":
            text = mistral_thinking(part)
            if text:
                yield Thinking(text)
        elif kind == "image_url":
            yield from images_in([part])
        elif isinstance(part.get("text"), str) and part["text"]:
            yield Text(part["text"])


def images_in(images: object) -> Iterator[Image]:
    """`images` as OpenRouter gives them: parts of type `image_url`."""
    for entry in images if isinstance(images, list) else ():
        value = entry.get("image_url") if isinstance(entry, dict) else None
        url = value.get("url") if isinstance(value, dict) else value
        if not isinstance(url, str) or not url:
            continue
        inline = from_data_url(url)
        if inline is not None:
            yield Image(media_type=inline[0], data=inline[1])
        elif url[:5].lower() != "data:":
            yield Image(url=url)


def image_parts(images: list[Image], start: int = 0) -> list[Json]:
    return [
        {"type": "image_url", "image_url": {"url": image.url or data_url(image.media_type, image.data)}, "index": index}
        for index, image in enumerate(images, start)
    ]


def citations_in(annotations: object) -> Iterator[Citation]:
    for annotation in annotations if isinstance(annotations, list) else ():
        cited = annotation.get("url_citation") if isinstance(annotation, dict) else None
        if isinstance(cited, dict) and isinstance(cited.get("url"), str):
            yield Citation(
                url=cited["url"],
                title=_text(cited.get("title")),
                quote=_text(cited.get("content")),
                start=_place(cited.get("start_index")),
                end=_place(cited.get("end_index")),
            )


def sources_in(citations: object, results: object) -> Iterator[Citation]:
    """Perplexity's lists beside the choices: `search_results` have titles, `citations` are URLs alone."""
    found = [entry for entry in results if isinstance(entry, dict)] if isinstance(results, list) else []
    if found:
        for entry in found:
            if isinstance(entry.get("url"), str):
                yield Citation(url=entry["url"], title=_text(entry.get("title")))
        return
    for url in citations if isinstance(citations, list) else ():
        if isinstance(url, str):
            yield Citation(url=url)


def annotation(citation: Citation, start: int, end: int) -> Json:
    """`start` and `end` are characters of the whole content: the wire knows no parts, and the SDK's type needs both."""
    cited: Json = {"url": citation.url, "title": citation.title, "start_index": start, "end_index": end}
    if citation.quote:
        cited["content"] = citation.quote
    return {"type": "url_citation", "url_citation": cited}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _place(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else -1
