"""Repairs of a provider's answers and streams, before they are passed on or decoded. See `domain.mend.Mend`.

A stream is looked at by byte search; an event is decoded only when something in it may need repair, and everything else
leaves as it came.
"""

from typing import Any

import msgspec

from gateway.dialects.openai_chat.think_tags import ThinkTags
from gateway.dialects.sse import MAX_HELD_BYTES, EventSplitter, data_of
from gateway.dialects.surrogates import json_text, read_json
from gateway.domain.mend import Mend

_TOTALS = ("prompt_tokens", "completion_tokens")
_UNREADABLE = (ValueError, RecursionError, msgspec.MsgspecError)

Json = dict[str, Any]


def mend_answer(body: bytes, mend: Mend) -> bytes:
    """The answer put right; the same bytes when there is nothing to do or it is no JSON object."""
    if not mend.is_needed:
        return body
    try:
        answer = read_json(body)
    except _UNREADABLE:
        return body
    if not isinstance(answer, dict):
        return body
    changes = [_strip(answer, path.split(".")) for path in mend.strip_fields]
    changes.append(_map_usage(answer, mend))
    for choice in _choices(answer):
        changes.append(_map_finish(choice, mend.finish_map))
        message = choice.get("message")
        if mend.think_tags and isinstance(message, dict):
            changes.append(_untag(message))
    return json_text(answer) if any(changes) else body


class StreamMender:
    """`feed` takes any split of a stream's bytes and gives whole events; `end` gives what is left.

    An event longer than `MAX_HELD_BYTES` passes in pieces as it is.
    """

    def __init__(self, mend: Mend) -> None:
        self._mend = mend
        self._splitter = EventSplitter()
        self._paths = [_in_chunk(path) for path in mend.strip_fields]
        tags = [b"<", b"\\u003"] if mend.think_tags else []
        self._marks = [*tags, *(json_text(path[-1]) for path in self._paths)]
        words = [json_text(word) for word in mend.finish_map if word]
        counts = [json_text(path.split(".")[0]) for path in mend.usage_map.values()]
        self._fields = [(b'"finish_reason"', words), (b'"usage"', counts)]
        self._fields = [(field, values) for field, values in self._fields if values]
        self._tags: dict[int, ThinkTags] = {}
        self._is_idle = True
        self._head: Json = {}
        self._is_passing = False

    def feed(self, data: bytes) -> bytes:
        if not self._mend.is_needed:
            return data
        if self._is_passing:
            return self._pass(data)
        joined = self._splitter.feed_joined(data)
        out = joined
        if joined and self._may_need(joined):
            out = b"".join([self._mended(event) for event in EventSplitter().feed(joined)])
        if self._splitter.held_bytes > MAX_HELD_BYTES:
            self._is_passing = True
            out += self._take_rest()
        return out

    def end(self) -> bytes:
        rest = self._take_rest()
        if rest and not self._is_passing and self._may_need(rest):
            rest = self._mended(rest)
        return self._held_text() + rest

    def _pass(self, data: bytes) -> bytes:
        """The rest of a long event, up to its end."""
        events = self._splitter.feed(data)
        if not events:
            rest = self._splitter.rest
            keep = min(3, len(rest))  # a blank line may be cut
            self._splitter.rest = rest[len(rest) - keep :]
            return rest[: len(rest) - keep]
        self._is_passing = False
        return events[0] + b"".join([self._mended(event) for event in events[1:]])

    def _take_rest(self) -> bytes:
        rest, self._splitter.rest = self._splitter.rest, b""
        return rest

    def _may_need(self, data: bytes) -> bool:
        if not self._is_idle:
            return True
        for mark in self._marks:
            if mark in data:
                return True
        for field, words in self._fields:
            if field in data:
                for word in words:
                    if word in data:
                        return True
        return False

    def _mended(self, event: bytes) -> bytes:
        if not self._may_need(event):
            return event
        data = data_of(event)
        if data.strip() == b"[DONE]":
            return self._held_text() + event
        try:
            chunk = read_json(data)
        except _UNREADABLE:
            return event
        if not isinstance(chunk, dict):
            return event
        changes = [_strip(chunk, path) for path in self._paths]
        changes.append(_map_usage(chunk, self._mend))
        for choice in _choices(chunk):
            if choice.get("finish_reason") != "":
                changes.append(_map_finish(choice, self._mend.finish_map))
            if self._mend.think_tags:
                changes.append(self._untag(choice))
        if self._mend.think_tags:
            self._is_idle = all(tags.is_idle for tags in self._tags.values())
            self._head = {name: chunk[name] for name in ("id", "object", "created", "model") if name in chunk}
        return _rewritten(event, chunk) if any(changes) else event

    def _untag(self, choice: Json) -> bool:
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            return False
        tags = self._tags.setdefault(_index(choice), ThinkTags())
        content = delta.get("content")
        text = content if isinstance(content, str) else ""
        said, thought = tags.feed(text)
        if choice.get("finish_reason"):
            last_said, last_thought = tags.end()
            said, thought = said + last_said, thought + last_thought
        if said == text and not thought:
            return False
        _set_texts(delta, said, thought)
        return True

    def _held_text(self) -> bytes:
        """What waited to become a tag when the stream ended without a finish reason."""
        found: list[bytes] = []
        for index, tags in self._tags.items():
            said, thought = tags.end()
            if said or thought:
                delta: Json = {}
                _set_texts(delta, said, thought)
                choice = {"index": index, "delta": delta, "finish_reason": None}
                found.append(b"data: " + json_text({**self._head, "choices": [choice]}) + b"\n\n")
        return b"".join(found)


def _in_chunk(path: str) -> list[str]:
    names = path.split(".")
    return [*names[:2], "delta", *names[3:]] if names[:3] == ["choices", "*", "message"] else names


def _rewritten(event: bytes, chunk: Json) -> bytes:
    """The event with other data; what else stands in it stays before."""
    lines = event.splitlines(keepends=True)
    others = b"".join(line for line in lines if not line.startswith(b"data:") and line.strip())
    end = b"\r\n" if event.endswith(b"\r\n") else b"\n"
    return others + b"data: " + json_text(chunk) + end + end


def _choices(answer: Json) -> list[Json]:
    choices = answer.get("choices")
    return [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []


def _index(choice: Json) -> int:
    index = choice.get("index")
    return index if isinstance(index, int) else 0


def _strip(value: object, path: list[str]) -> bool:
    """Whether anything went."""
    name, *rest = path
    if name == "*":
        return isinstance(value, list) and sum(_strip(item, rest) for item in value) > 0
    if not isinstance(value, dict) or name not in value:
        return False
    if rest:
        return _strip(value[name], rest)
    del value[name]
    return True


def _map_finish(choice: Json, words: dict[str, str]) -> bool:
    word = choice.get("finish_reason")
    if not isinstance(word, str) or word not in words:
        return False
    choice["finish_reason"] = words[word]
    return True


def _map_usage(answer: Json, mend: Mend) -> bool:
    usage = answer.get("usage")
    if not mend.usage_map or not isinstance(usage, dict):
        return False
    is_changed = False
    for target, source in mend.usage_map.items():
        value = _at(usage, source.split("."))
        if isinstance(value, int) and _at(usage, target.split(".")) is None:
            is_changed |= _put(usage, target.split("."), value)
    if is_changed and "total_tokens" not in usage and all(isinstance(usage.get(name), int) for name in _TOTALS):
        usage["total_tokens"] = sum(usage[name] for name in _TOTALS)
    return is_changed


def _at(value: Any, path: list[str]) -> object:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _put(usage: Json, path: list[str], value: int) -> bool:
    for name in path[:-1]:
        if not isinstance(usage.get(name), dict):
            usage[name] = {}
        usage = usage[name]
    usage[path[-1]] = value
    return True


def _untag(message: Json) -> bool:
    content = message.get("content")
    if not isinstance(content, str) or "<think>" not in content:
        return False
    tags = ThinkTags()
    said, thought = tags.feed(content)
    rest = tags.end()
    _set_texts(message, said + rest[0], thought + rest[1])
    return True


def _set_texts(message: Json, said: str, thought: str) -> None:
    message["content"] = said
    if thought:
        before = message.get("reasoning_content")
        message["reasoning_content"] = (before if isinstance(before, str) else "") + thought
