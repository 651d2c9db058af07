"""What the fake provider answers: one small coroutine per way in which a provider can behave or misbehave.

A behaviour is named `name` or `name:argument[:key=value…]`, as in `ok`, `stall-after:3`, `status:429:retry-after=2`.
Every answer is deterministic: same request, same bytes (but for the numbered x-request-id header).
This file opens no socket and records nothing; `fake_http.Exchange` does.
"""

import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from tests.support.fake_http import Exchange

ID = "chatcmpl-fake0001"
CREATED = 1_700_000_000
CHUNKS = 5
PROMPT_TOKENS = 11
DONE = b"data: [DONE]\n\n"
BIG_PIECE = 16 * 1024
HTML = b"<!doctype html><html><head><title>Just a moment</title></head><body>Checking your browser</body></html>"

Behaviour = Callable[[Exchange, str], Awaitable[None]]


# What a good answer is made of


def words(count: int) -> list[str]:
    return ["Hello" if i == 0 else f" word{i}" for i in range(count)]


def usage_of(completion_tokens: int) -> dict[str, int]:
    return {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": completion_tokens,
        "total_tokens": PROMPT_TOKENS + completion_tokens,
    }


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _event(value: object) -> bytes:
    return b"data: " + _dump(value) + b"\n\n"


def _model(x: Exchange) -> str:
    return str(x.request.get("model", "fake"))


def _streamed(x: Exchange) -> bool:
    return x.request.get("stream") is True


def _count(x: Exchange) -> int:
    return int(x.options.get("chunks", CHUNKS))


def _frame(x: Exchange, choices: list[dict[str, Any]], **more: object) -> bytes:
    frame = {"id": ID, "object": "chat.completion.chunk", "created": CREATED, "model": _model(x), "choices": choices}
    return _event(frame | more)


def _delta(x: Exchange, delta: dict[str, Any], finish: str | None = None) -> bytes:
    return _frame(x, [{"index": 0, "delta": delta, "finish_reason": finish}])


def _role(x: Exchange) -> bytes:
    return _delta(x, {"role": "assistant", "content": ""})


def _contents(x: Exchange, texts: list[str]) -> Iterator[bytes]:
    return (_delta(x, {"content": text}) for text in texts)


def _ending(x: Exchange, finish: str, completion_tokens: int) -> Iterator[bytes]:
    yield _delta(x, {}, finish)
    asked = x.request.get("stream_options")
    if isinstance(asked, dict) and asked.get("include_usage"):
        yield _frame(x, [], usage=usage_of(completion_tokens))
    yield DONE


def _completion(x: Exchange, message: dict[str, Any], finish: str, completion_tokens: int) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant"} | message, "logprobs": None, "finish_reason": finish}
    return _dump(
        {
            "id": ID,
            "object": "chat.completion",
            "created": CREATED,
            "model": _model(x),
            "choices": [choice],
            "usage": usage_of(completion_tokens),
        }
    )


def _good_body(x: Exchange) -> bytes:
    return _completion(x, {"content": "".join(words(_count(x)))}, "stop", _count(x))


def error_body(message: str, kind: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


async def _sse(x: Exchange) -> None:
    await x.head(200, "text/event-stream; charset=utf-8", length=None)


async def _events(x: Exchange, events: Iterator[bytes]) -> None:
    """Send events one by one, `gap` seconds (an option of the request) before each but the first."""
    gap = float(x.options.get("gap", 0))
    for i, event in enumerate(events):
        await x.pause(gap if i else 0)
        await x.chunk(event)


async def _text_stream(x: Exchange, texts: list[str]) -> None:
    await _events(x, iter([_role(x), *_contents(x, texts), *_ending(x, "stop", len(texts))]))
    await x.end_chunks()


async def _half_body(x: Exchange) -> None:
    body = _good_body(x)
    await x.head(200, "application/json", length=len(body))
    await x.send(body[: len(body) // 2])


# Good answers


async def ok(x: Exchange, _: str = "") -> None:
    if not _streamed(x):
        return await x.whole(200, _good_body(x))
    await _sse(x)
    return await _text_stream(x, words(_count(x)))


async def with_headers(x: Exchange, argument: str) -> None:
    """`with-headers:name=value[:name=value…]`: a good answer, not streamed, that has these headers too."""
    await x.whole(200, _good_body(x), **dict(pair.partition("=")[::2] for pair in argument.split(":")))


async def paced(x: Exchange, seconds: str) -> None:
    """A good answer whose events come `seconds` apart."""
    x.options = {**x.options, "gap": float(seconds)}
    await ok(x)


async def says(x: Exchange, text: str) -> None:
    """These very words, in a stream three characters a piece."""
    if not _streamed(x):
        return await x.whole(200, _completion(x, {"content": text}, "stop", 5))
    await _sse(x)
    return await _text_stream(x, [text[i : i + 3] for i in range(0, len(text), 3)])


async def counts(x: Exchange, text: str) -> None:
    """As `says`, and every piece of a stream tells the usage so far, as Gemini's do."""
    if not _streamed(x):
        return await says(x, text)
    await _sse(x)
    for start in range(0, len(text), 3):
        choice = {"index": 0, "delta": {"content": text[start : start + 3]}, "finish_reason": None}
        await x.chunk(_frame(x, [choice], usage=usage_of(start // 3 + 1)))
    await x.chunk(_delta(x, {}, "stop") + DONE)
    return await x.end_chunks()


async def ends(x: Exchange, word: str) -> None:
    """`Hello`, and this word for why it is over."""
    if not _streamed(x):
        return await x.whole(200, _completion(x, {"content": "Hello"}, word, 1))
    await _sse(x)
    await _events(x, iter([_role(x), *_contents(x, ["Hello"]), *_ending(x, word, 1)]))
    return await x.end_chunks()


async def slow_headers(x: Exchange, seconds: str) -> None:
    await x.pause(float(seconds))
    await ok(x)


async def slow_first(x: Exchange, seconds: str) -> None:
    if _streamed(x):
        await _sse(x)
        await x.pause(float(seconds))
        return await _text_stream(x, words(_count(x)))
    body = _good_body(x)
    await x.head(200, "application/json", length=len(body))
    await x.pause(float(seconds))
    return await x.last(body)


async def split(x: Exchange, size: str) -> None:
    """The right bytes, cut at every `size` bytes: inside lines, JSON strings and UTF-8 characters."""
    texts = ["Grüße ", "世界", " 👋🏽", " done"]
    if not _streamed(x):
        payload = _completion(x, {"content": "".join(texts)}, "stop", len(texts))
        await x.head(200, "application/json", length=None)
    else:
        payload = b"".join([_role(x), *_contents(x, texts), *_ending(x, "stop", len(texts))])
        await _sse(x)
    step = max(1, int(size))
    for start in range(0, len(payload), step):
        await x.chunk(payload[start : start + step])
        await x.pause(0.0005)
    await x.end_chunks()


async def comments(x: Exchange, _: str) -> None:
    if not _streamed(x):
        return await ok(x)
    await _sse(x)
    for _n in range(3):
        await x.chunk(b": OPENROUTER PROCESSING\n\n")
    return await _text_stream(x, words(_count(x)))


async def tools(x: Exchange, _: str) -> None:
    arguments = '{"city":"Paris","unit":"c"}'
    call = {"id": "call_fake0001", "type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    if not _streamed(x):
        return await x.whole(200, _completion(x, {"content": None, "tool_calls": [call]}, "tool_calls", 9))
    first = {"index": 0} | call | {"function": {"name": "get_weather", "arguments": ""}}
    pieces = [arguments[i : i + 7] for i in range(0, len(arguments), 7)]
    more = (_delta(x, {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}) for piece in pieces)
    head = _delta(x, {"role": "assistant", "content": None, "tool_calls": [first]})
    await _sse(x)
    await _events(x, iter([head, *more, *_ending(x, "tool_calls", 9)]))
    return await x.end_chunks()


async def usage(x: Exchange, argument: str) -> None:
    """`usage:JSON`: a good answer that tells this usage."""
    told = json.loads(argument)
    if not _streamed(x):
        answer = json.loads(_completion(x, {"content": "Hello"}, "stop", 1))
        return await x.whole(200, _dump(answer | {"usage": told}))
    await _sse(x)
    await x.chunk(_role(x) + _delta(x, {"content": "Hello"}) + _delta(x, {}, "stop") + _frame(x, [], usage=told) + DONE)
    return await x.end_chunks()


async def echo_headers(x: Exchange, _: str) -> None:
    seen: dict[str, str] = {}
    for name, value in x.record.headers:
        key = name.lower()
        seen[key] = f"{seen[key]}, {value}" if key in seen else value
    text = json.dumps(seen, sort_keys=True)
    if not _streamed(x):
        return await x.whole(200, _completion(x, {"content": text}, "stop", 1))
    await _sse(x)
    return await _text_stream(x, [text])


async def big(x: Exchange, size: str) -> None:
    """`size` bytes of content as fast as the client takes them; `record.bytes_accepted` tells how far it got.

    Before the end there are `pause` seconds (an option of the request).
    """
    wanted = int(size)
    if not _streamed(x):
        return await _big_body(x, wanted)
    await _sse(x)
    event = _delta(x, {"content": "x" * 1024})
    batch = event * (BIG_PIECE // len(event))
    for _n in range(max(1, wanted // len(batch))):
        await x.chunk(batch)
    await x.pause(float(x.options.get("pause", 0)))
    await _events(x, _ending(x, "stop", wanted // 1024))
    return await x.end_chunks()


async def _big_body(x: Exchange, wanted: int) -> None:
    front, back = _completion(x, {"content": "@"}, "stop", 1).split(b"@")
    await x.head(200, "application/json", length=len(front) + wanted + len(back))
    await x.send(front)
    for start in range(0, wanted, BIG_PIECE):
        await x.send(b"x" * min(BIG_PIECE, wanted - start))
    await x.last(back)


# Silence and cuts


async def stall_after(x: Exchange, count: str) -> None:
    if _streamed(x):
        await _first_words(x, int(count))
    else:
        await _half_body(x)
    await x.silence()


async def cut_after(x: Exchange, count: str) -> None:
    if _streamed(x):
        await _first_words(x, int(count))
    else:
        await _half_body(x)
    await x.reset()


async def clean_end_after(x: Exchange, count: str) -> None:
    """A well-formed HTTP answer that holds a truncated stream (or half a JSON document)."""
    if _streamed(x):
        await _first_words(x, int(count))
    else:
        body = _good_body(x)
        await x.head(200, "application/json", length=None)
        await x.chunk(body[: len(body) // 2])
    await x.end_chunks()


async def _first_words(x: Exchange, count: int) -> None:
    await _sse(x)
    await _events(x, iter([_role(x), *_contents(x, words(count))] if count else []))


async def bad_chunk(x: Exchange, _: str) -> None:
    await x.head(200, "text/event-stream" if _streamed(x) else "application/json", length=None)
    await x.chunk(_role(x) + _delta(x, {"content": "Hello"}) if _streamed(x) else _good_body(x)[:40])
    await x.send(b"ZZ\r\nthis is no chunk\r\n")
    await x.silence()


async def no_done(x: Exchange, _: str) -> None:
    if not _streamed(x):
        return await ok(x)
    count = _count(x)
    endings = [event for event in _ending(x, "stop", count) if event != DONE]
    await _sse(x)
    await _events(x, iter([_role(x), *_contents(x, words(count)), *endings]))
    return await x.end_chunks()


# Errors, honest and hidden


async def html(x: Exchange, _: str) -> None:
    await x.whole(200, HTML, "text/html; charset=utf-8")


async def error_in_200(x: Exchange, _: str) -> None:
    await x.whole(200, _dump(error_body("upstream exploded", "server_error", "internal_error")))


async def stream_error_first(x: Exchange, _: str) -> None:
    if not _streamed(x):
        return await error_in_200(x, "")
    await _sse(x)
    await x.chunk(_event(error_body("overloaded", "server_error", "overloaded")))
    return await x.end_chunks()


async def stream_error_second(x: Exchange, _: str) -> None:
    if not _streamed(x):
        return await error_in_200(x, "")
    await _sse(x)
    await x.chunk(_role(x))
    await x.chunk(_event(error_body("overloaded", "server_error", "overloaded")))
    return await x.end_chunks()


async def empty_200(x: Exchange, _: str) -> None:
    await x.whole(200, b"")


async def empty_stream(x: Exchange, _: str) -> None:
    if not _streamed(x):
        return await empty_200(x, "")
    await _sse(x)
    await x.chunk(DONE)
    return await x.end_chunks()


KINDS = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    402: ("insufficient_quota", "insufficient_quota"),
    403: ("invalid_request_error", "permission_denied"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
}


async def status(x: Exchange, argument: str) -> None:
    """`status:CODE[:key=value…]`: `message`, `type` and `code` go into the error object, other keys become headers."""
    number, *pairs = argument.split(":")
    code = int(number)
    given = dict(pair.partition("=")[::2] for pair in pairs)
    kind, name = KINDS.get(code, ("server_error", None))
    message = given.pop("message", f"fake provider says {code}")
    body = error_body(message, given.pop("type", kind), given.pop("code", name))
    await x.whole(code, _dump(body), **given)


async def reject_stream_options(x: Exchange, _: str) -> None:
    if "stream_options" not in x.request:
        return await ok(x)
    body = error_body("Unrecognized request argument supplied: stream_options", "invalid_request_error")
    body["error"]["param"] = "stream_options"
    return await x.whole(400, _dump(body))


BEHAVIOURS: dict[str, Behaviour] = {
    "ok": ok,
    "with-headers": with_headers,
    "paced": paced,
    "says": says,
    "counts": counts,
    "ends": ends,
    "slow-headers": slow_headers,
    "slow-first": slow_first,
    "split": split,
    "comments": comments,
    "tools": tools,
    "usage": usage,
    "echo-headers": echo_headers,
    "big": big,
    "stall-after": stall_after,
    "cut-after": cut_after,
    "clean-end-after": clean_end_after,
    "bad-chunk": bad_chunk,
    "no-done": no_done,
    "html": html,
    "error-in-200": error_in_200,
    "stream-error-first": stream_error_first,
    "stream-error-second": stream_error_second,
    "empty-200": empty_200,
    "empty-stream": empty_stream,
    "status": status,
    "reject-stream-options": reject_stream_options,
}
