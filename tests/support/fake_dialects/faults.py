"""How a provider of any dialect fails: a coroutine per way, named in plans as `name` or `name:argument`.

The dialect is the path's, and requests are read as strictly as for `scenarios`. Where something is said before the
failure, it is the beginning of the scenario `text`.
"""

import json
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

from tests.support.fake_dialects.scenarios import text
from tests.support.fake_dialects.script import Answer, Asked
from tests.support.fake_http import Exchange

Fault = Callable[[Exchange, str, ModuleType, Asked], Awaitable[None]]

HUGE_BYTES = 3 << 20
"""Of one event: more than anybody holds who passes bytes on."""

_CONTEXT = {
    "openai_chat": (
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
        "context_length_exceeded",
    ),
    "openai_responses": (
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
        "context_length_exceeded",
    ),
    "anthropic_messages": ("prompt is too long: 200251 tokens > 200000 maximum", ""),
    "gemini": ("The input token count (1048600) exceeds the maximum number of tokens allowed (1048576).", ""),
}
_FILTER = {
    "openai_chat": ("The response was filtered due to the prompt triggering our content management policy.", "content_filter"),
    "openai_responses": ("Invalid prompt: it was flagged as potentially violating our usage policy.", "invalid_prompt"),
    "anthropic_messages": ("Output blocked by content filtering policy", ""),
    "gemini": ("The prompt was blocked by the safety system.", ""),
}  # fmt: skip
_PREFILL = "This model does not support assistant message prefill. The conversation must end with a user message."


async def answer_fault(x: Exchange, name: str, argument: str, dialect: ModuleType) -> None:
    """Fail in this way. A request that the dialect would refuse is an error of the test: it raises."""
    headers = {key.lower(): value for key, value in x.record.headers}
    asked: Asked = dialect.read(x.record.path, headers, x.request)
    x.record.asked = asked.as_dict()
    await FAULTS[name](x, argument, dialect, asked)


async def _refuse(x: Exchange, argument: str, dialect: ModuleType, _: Asked) -> None:
    """`refuse:CODE[:header=value…]`."""
    number, *pairs = argument.split(":")
    body = dialect.error(int(number), f"fake provider says {number}")
    body["error"].pop("details", None)  # no hint but the header
    await x.whole(int(number), _dump(body), **dict(pair.partition("=")[::2] for pair in pairs))


async def _words(x: Exchange, argument: str, dialect: ModuleType, asked: Asked) -> None:
    """`words:context`, `words:filter`, `words:prefill`: a 400 in the words of the dialect's own provider."""
    table = {"context": _CONTEXT, "filter": _FILTER}.get(argument)
    message, code = table[dialect.NAME] if table else (_PREFILL, "")
    if argument == "prefill":
        assert asked.turns[-1].role in ("assistant", "model"), asked.turns
    await x.whole(400, _dump(dialect.error(400, message, code)))


async def _blocked(x: Exchange, _: str, dialect: ModuleType, asked: Asked) -> None:
    """An answer of nothing but the filter's word."""
    answer = Answer(finish="content_filter")
    if not asked.is_stream:
        return await x.whole(200, _dump(dialect.whole(asked, answer)))
    await x.head(200, dialect.STREAM_TYPE, length=None)
    await x.chunk(b"".join(dialect.stream(asked, answer).all()))
    return await x.end_chunks()


async def _silent(x: Exchange, _: str, __: ModuleType, ___: Asked) -> None:
    await x.silence()


async def _dropped(x: Exchange, _: str, __: ModuleType, ___: Asked) -> None:
    await x.reset()


async def _late(x: Exchange, _: str, dialect: ModuleType, __: Asked) -> None:
    """Headers at once, and then nothing."""
    await x.head(200, dialect.STREAM_TYPE, length=None)
    await x.silence()


async def _empty(x: Exchange, _: str, dialect: ModuleType, asked: Asked) -> None:
    """A good end of nothing: a stream without an event, a body without a byte."""
    if not asked.is_stream:
        return await x.whole(200, b"")
    await x.head(200, dialect.STREAM_TYPE, length=None)
    return await x.end_chunks()


async def _broken_off(x: Exchange, count: str, dialect: ModuleType, asked: Asked) -> None:
    await _begin(x, int(count), dialect, asked)
    await x.reset()


async def _ended_off(x: Exchange, count: str, dialect: ModuleType, asked: Asked) -> None:
    """Well-formed HTTP around half an answer."""
    await _begin(x, int(count), dialect, asked)
    await x.end_chunks()


async def _stalled(x: Exchange, count: str, dialect: ModuleType, asked: Asked) -> None:
    await _begin(x, int(count), dialect, asked)
    await x.silence()


async def _misframed(x: Exchange, count: str, dialect: ModuleType, asked: Asked) -> None:
    await _begin(x, int(count), dialect, asked)
    await x.send(b"ZZ\r\nthis is no chunk\r\n")
    await x.silence()


async def _garbled(x: Exchange, count: str, dialect: ModuleType, asked: Asked) -> None:
    """An event that is no JSON, and then the rest as if nothing had happened."""
    if not asked.is_stream:
        return await x.whole(200, _dump(dialect.whole(asked, text(asked)))[:-40])
    streamed = dialect.stream(asked, text(asked))
    await _begin(x, int(count), dialect, asked)
    await x.chunk(b'data: {"choices": [{"del\n\n')
    await x.chunk(b"".join([*streamed.texts[int(count) :], *streamed.closing]))
    return await x.end_chunks()


async def _unterminated(x: Exchange, ending: str, dialect: ModuleType, asked: Asked) -> None:
    """All but the last event: in two dialects a mere terminator, in the others what tells that the answer is whole.

    `unterminated`, `unterminated:reset`, `unterminated:stall`: how the bytes end.
    """
    if not asked.is_stream:
        return await x.whole(200, _dump(dialect.whole(asked, text(asked))))
    await x.head(200, dialect.STREAM_TYPE, length=None)
    await x.chunk(b"".join(dialect.stream(asked, text(asked)).all()[:-1]))
    if ending == "reset":
        return await x.reset()
    return await (x.silence() if ending else x.end_chunks())


async def _huge(x: Exchange, _: str, dialect: ModuleType, asked: Asked) -> None:
    """An event that is too long to be held, cut within a line."""
    await _begin(x, 2, dialect, asked)
    await x.chunk(b'data: {"filler": "' + b"x" * HUGE_BYTES)
    await x.pause(0.05)
    await x.reset()


async def _quoting(x: Exchange, _: str, dialect: ModuleType, asked: Asked) -> None:
    """An error in mid-answer that quotes the credential."""
    await _begin(x, 2, dialect, asked)
    events = dialect.stream_error(503, f"overloaded while serving {x.credential}")
    await x.chunk(b"".join(events))
    await x.pause(0.1)
    await x.end_chunks()


async def _begin(x: Exchange, count: int, dialect: ModuleType, asked: Asked) -> None:
    """So many pieces of text of a stream, or half a body; they are read before the failure comes."""
    if asked.is_stream:
        streamed = dialect.stream(asked, text(asked))
        await x.head(200, dialect.STREAM_TYPE, length=None)
        if count:
            await x.chunk(b"".join([*streamed.opening, *streamed.texts[:count]]))
            await x.pause(0.05)
        return
    body = _dump(dialect.whole(asked, text(asked)))
    await x.head(200, "application/json", length=None)
    await x.chunk(body[: len(body) // 2])


FAULTS: dict[str, Fault] = {
    "refuse": _refuse,
    "words": _words,
    "blocked": _blocked,
    "silent": _silent,
    "dropped": _dropped,
    "late": _late,
    "empty": _empty,
    "broken-off": _broken_off,
    "ended-off": _ended_off,
    "stalled": _stalled,
    "misframed": _misframed,
    "garbled": _garbled,
    "unterminated": _unterminated,
    "huge": _huge,
    "quoting": _quoting,
}


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
