"""The JSON that answers and lines of a stream share: when, how it ended, what it used, and calls as objects."""

from datetime import UTC, datetime

import msgspec

from gateway.dialects.codec import Stamp
from gateway.dialects.tool_names import wrapped
from gateway.domain.chat import Finish, ToolKind
from gateway.domain.usage import Usage

DONE_REASONS: dict[Finish, str] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "tool_calls": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "pause": "pause",
}
"""Ollama itself says `stop` and `length`; the other two are what they are, for want of a word of its own."""

_NOT_MEASURED = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def shows_thinking(stamp: Stamp) -> bool:
    """A caller who said `think: false` gets no thoughts, also from a model that cannot do without."""
    reasoning = stamp.request.reasoning if stamp.request is not None else None
    return reasoning is None or reasoning.shows is not False


def rfc3339(created_at: int) -> str:
    """Unix seconds as `2026-03-01T12:00:00Z`."""
    return datetime.fromtimestamp(created_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ending(finish: Finish, usage: Usage | None, input_tokens: int) -> dict[str, object]:
    """What only the last object has. Durations (nanoseconds) are of a machine that we do not see: 0.

    Counts that nobody told are left out, as Ollama leaves out zeros; `input_tokens` is an estimate.
    """
    fields: dict[str, object] = {"done": True, "done_reason": DONE_REASONS[finish], **dict.fromkeys(_NOT_MEASURED, 0)}
    if usage is not None:
        fields |= {"prompt_eval_count": usage.input, "eval_count": usage.output}
    elif input_tokens:
        fields["prompt_eval_count"] = input_tokens
    return fields


def call_of(index: int, call_id: str, name: str, arguments: str, kind: ToolKind) -> dict[str, object]:
    """One of `tool_calls`. Arguments that are no object (a custom tool's text, a broken call) become one: `{"input": …}`."""
    function = {"index": index, "name": name, "arguments": _object_of(arguments, kind)}
    return {"id": call_id, "function": function}


def _object_of(arguments: str, kind: ToolKind) -> msgspec.Raw:
    """The text as it came, on one line: numbers keep their spelling, and a line of the stream stays one."""
    if kind == "function":
        try:
            data = (arguments.strip() or "{}").encode()
            _decode_object(data)
            return msgspec.Raw(msgspec.json.format(data, indent=-1))
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            pass
    return msgspec.Raw(wrapped(arguments).encode())
