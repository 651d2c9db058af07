"""The built-in demo provider: Chat Completions made in this process, always the same for the same request.

So that the whole product can be seen at work with no account anywhere. `echo` repeats the last user message,
`story` tells a short fixed story. It stands behind the same seam as real providers.
"""

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.upstream.seam import Transport, UpstreamCall, UpstreamRequest

CHUNK_GAP_S = 0.02

_STORY = (
    "This is the demo provider: no account, no network, the same words each time. "
    "Once there was a gateway that never lost a request. Every question that came in was passed on as it was, "
    "every answer streamed back word by word, and every token was counted exactly once. "
    "When you connect a real provider, only the name of the model changes. The end."
)


class _Message(msgspec.Struct):
    role: str = ""
    content: Any = None


class _Request(msgspec.Struct):
    model: str = "story"
    messages: list[_Message] = []
    stream: bool = False


_decode = msgspec.json.Decoder(_Request, strict=False).decode


class DemoTransport(Transport):
    """Answers from memory; a stream gives a word every CHUNK_GAP_S."""

    def __init__(self) -> None:
        self._timers: dict[UpstreamCall, asyncio.TimerHandle] = {}

    @property
    def open_calls(self) -> int:
        return len(self._timers)

    async def start(self, request: UpstreamRequest) -> UpstreamCall:
        loop = asyncio.get_running_loop()
        call: UpstreamCall = UpstreamCall(lambda: self._stop(call), lambda: None)
        try:
            asked = _decode(request.body)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            answer = {"error": {"message": f"not a chat request: {error}", "type": "invalid_request_error"}}
            self._timers[call] = loop.call_later(0, self._whole, call, 400, msgspec.json.encode(answer))
            return call
        words = _words(asked)
        if asked.stream:
            self._timers[call] = loop.call_later(0, self._stream_head, call, _events(asked.model, words, request.body))
        else:
            self._timers[call] = loop.call_later(
                0, self._whole, call, 200, _completion(asked.model, words, request.body)
            )
        return call

    def _whole(self, call: UpstreamCall, status: int, body: bytes) -> None:
        self._stop(call)
        call.feed_head(status, {"content-type": "application/json"})
        call.feed(body)
        call.feed_end()

    def _stream_head(self, call: UpstreamCall, events: Iterator[bytes]) -> None:
        call.feed_head(200, {"content-type": "text/event-stream"})
        self._stream_next(call, events)

    def _stream_next(self, call: UpstreamCall, events: Iterator[bytes]) -> None:
        event = next(events, None)
        if event is None:
            self._stop(call)
            call.feed_end()
            return
        call.feed(event)
        self._timers[call] = asyncio.get_running_loop().call_later(CHUNK_GAP_S, self._stream_next, call, events)

    def _stop(self, call: UpstreamCall) -> None:
        timer = self._timers.pop(call, None)
        if timer is not None:
            timer.cancel()


def _words(asked: _Request) -> list[str]:
    if asked.model == "story":
        text = _STORY
    else:
        last = next((message.content for message in reversed(asked.messages) if message.role == "user"), "")
        parts = last if isinstance(last, list) else [{"text": last}]
        text = " ".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))[:20_000]
    words = text.split(" ")
    return [word + " " for word in words[:-1]] + words[-1:]


def _usage(words: list[str], body: bytes) -> dict[str, int]:
    """Counts by a rule of thumb: four bytes a token in, a word a token out."""
    prompt, completion = max(1, len(body) // 4), len(words)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _completion(model: str, words: list[str], body: bytes) -> bytes:
    message = {"role": "assistant", "content": "".join(words)}
    return msgspec.json.encode(
        {
            "id": "chatcmpl-demo",
            "object": "chat.completion",
            "created": 0,
            "model": model,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": _usage(words, body),
        }
    )


def _events(model: str, words: list[str], body: bytes) -> Iterator[bytes]:
    def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
        frame = {
            "id": "chatcmpl-demo",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": model,
            "choices": choices,
        }
        return b"data: " + msgspec.json.encode(frame) + b"\n\n"

    usage = {
        "id": "chatcmpl-demo", "object": "chat.completion.chunk", "created": 0, "model": model, "choices": [],
        "usage": _usage(words, body),
    }  # fmt: skip
    ending = chunk({}, "stop") + b"data: " + msgspec.json.encode(usage) + b"\n\ndata: [DONE]\n\n"
    spoken = (chunk({"content": word}) for word in words)
    return itertools.chain([chunk({"role": "assistant", "content": ""})], spoken, [ending])
