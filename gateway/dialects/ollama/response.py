"""A whole answer in Ollama's shape: one object with `done` true."""

import msgspec

from gateway.dialects.codec import Stamp
from gateway.dialects.ollama.lines import call_of, ending, rfc3339, shows_thinking
from gateway.domain.chat import Answer, Image, Part, Refusal, Text, Thinking, ToolCall

_encode = msgspec.json.Encoder().encode


def encode_response(answer: Answer, stamp: Stamp) -> bytes:
    """The body. Citations, signatures of thoughts and pictures by URL have no place in this dialect."""
    return _encode(
        {
            "model": stamp.model,
            "created_at": rfc3339(stamp.created_at),
            "message": _message(answer.parts, shows_thinking=shows_thinking(stamp)),
            **ending(answer.finish, answer.usage, stamp.input_tokens),
        }
    )


def _message(parts: tuple[Part, ...], *, shows_thinking: bool) -> dict[str, object]:
    """The words of a refusal are content here."""
    message: dict[str, object] = {
        "role": "assistant",
        "content": "".join(part.text for part in parts if isinstance(part, Text | Refusal)),
    }
    thinking = "".join(part.text for part in parts if isinstance(part, Thinking))
    if thinking and shows_thinking:
        message["thinking"] = thinking
    images = [part.data for part in parts if isinstance(part, Image) and part.data]
    if images:
        message["images"] = images
    calls = [part for part in parts if isinstance(part, ToolCall)]
    if calls:
        message["tool_calls"] = [
            call_of(index, call.id, call.name, call.arguments, call.kind) for index, call in enumerate(calls)
        ]
    return message
