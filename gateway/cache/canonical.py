"""The signature of a request: equal only for requests that may have the same answer. Pure.

It is made of the tenant, the name asked for and what it stands for, and the request in no dialect, so a request asked in another dialect finds
the answer. The hub does not hold all that a wire format can say (nor what a picture claims to be): a body with anything in it that is not on the list of
its dialect below is known by its bytes instead, and shares answers only with its own dialect and kind (stream or whole).
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec

from gateway.cache.asked import Asked
from gateway.cache.entry import FORMAT
from gateway.cache.plain import Core, core_of_request
from gateway.cache.policy import BETAS
from gateway.dialects.codec import UNREADABLE
from gateway.domain.chat import ChatRequest
from gateway.domain.dialect import CallerDialect

_Shape = Mapping[str, Any]
"""Members that an object may have, each with the shape of its value; None = anything, for the hub keeps all of it."""

_SAID = None
_OPENAI_CALL = {"id": _SAID, "type": _SAID, "function": {"name": _SAID, "arguments": _SAID}}
_OPENAI_CHAT: _Shape = {
    "model": _SAID, "stream": _SAID, "stream_options": {"include_usage": _SAID},
    "messages": {
        "role": _SAID,
        "content": {"type": _SAID, "text": _SAID},
        "tool_calls": _OPENAI_CALL, "tool_call_id": _SAID,
    },
    "tools": {"type": _SAID, "function": {"name": _SAID, "description": _SAID, "parameters": _SAID, "strict": _SAID}},
    "tool_choice": {"type": _SAID, "function": {"name": _SAID}},
    "parallel_tool_calls": _SAID, "max_tokens": _SAID, "max_completion_tokens": _SAID, "temperature": _SAID,
    "top_p": _SAID, "stop": _SAID, "n": _SAID, "seed": _SAID, "presence_penalty": _SAID, "frequency_penalty": _SAID,
    "response_format": {
        "type": _SAID,
        "json_schema": {"name": _SAID, "description": _SAID, "schema": _SAID, "strict": _SAID},
    },
    "reasoning_effort": _SAID, "user": _SAID,
}  # fmt: skip
_RESPONSES: _Shape = {
    "model": _SAID, "stream": _SAID, "instructions": _SAID, "store": _SAID,
    "input": {
        "type": _SAID, "role": _SAID,
        "content": {"type": _SAID, "text": _SAID},
    },
    "tools": {"type": _SAID, "name": _SAID, "description": _SAID, "parameters": _SAID, "strict": _SAID},
    "tool_choice": {"type": _SAID, "name": _SAID},
    "parallel_tool_calls": _SAID, "max_output_tokens": _SAID, "temperature": _SAID, "top_p": _SAID,
    "text": {"format": {
        "type": _SAID, "name": _SAID, "description": _SAID, "schema": _SAID, "strict": _SAID,
    }},
    "reasoning": {"effort": _SAID}, "user": _SAID,
}  # fmt: skip
_MARK = {"type": _SAID, "ttl": _SAID}
_CLAUDE_PART = {
    "type": _SAID, "text": _SAID, "cache_control": _MARK, "id": _SAID, "name": _SAID, "input": _SAID,
    "tool_use_id": _SAID, "is_error": _SAID,
}  # fmt: skip
_MESSAGES: _Shape = {
    "model": _SAID, "stream": _SAID,
    "system": {"type": _SAID, "text": _SAID, "cache_control": _MARK},
    "messages": {"role": _SAID, "content": _CLAUDE_PART | {
        "content": {"type": _SAID, "text": _SAID},
    }},
    "tools": {"name": _SAID, "description": _SAID, "input_schema": _SAID, "cache_control": _MARK},
    "tool_choice": {"type": _SAID, "name": _SAID, "disable_parallel_tool_use": _SAID},
    "max_tokens": _SAID, "temperature": _SAID, "top_p": _SAID, "top_k": _SAID, "stop_sequences": _SAID,
    "metadata": {"user_id": _SAID},
}  # fmt: skip
_GEMINI: _Shape = {
    "contents": {"role": _SAID, "parts": {
        "text": _SAID, "functionCall": {"id": _SAID, "name": _SAID, "args": _SAID},
    }},
    "systemInstruction": {"role": _SAID, "parts": {"text": _SAID}},
    "tools": {"functionDeclarations": {"name": _SAID, "description": _SAID, "parametersJsonSchema": _SAID}},
    "generationConfig": {
        "temperature": _SAID, "topP": _SAID, "topK": _SAID, "maxOutputTokens": _SAID, "stopSequences": _SAID,
        "seed": _SAID, "presencePenalty": _SAID, "frequencyPenalty": _SAID,
    },
}  # fmt: skip
_OLLAMA: _Shape = {
    "model": _SAID, "stream": _SAID,
    "messages": {"role": _SAID, "content": _SAID},
    "options": {
        "temperature": _SAID, "top_p": _SAID, "top_k": _SAID, "seed": _SAID, "stop": _SAID, "num_predict": _SAID,
    },
}  # fmt: skip
_PLAIN: Mapping[CallerDialect, _Shape] = {
    "openai_chat": _OPENAI_CHAT,
    "openai_responses": _RESPONSES,
    "anthropic_messages": _MESSAGES,
    "gemini": _GEMINI,
    "ollama": _OLLAMA,
}
_NEVER_THE_ANSWER = frozenset({"stream_options"})
"""Members that change how an answer is told, not what is said."""

_decode = msgspec.json.Decoder().decode
_encode = msgspec.msgpack.Encoder().encode


def signature(asked: Asked) -> str | None:
    """40 hex digits; None for a request that no signature can be made of (half a character, a number beyond 64 bits)."""
    try:
        return signature_of(
            asked.tenant,
            asked.pinned_provider,
            asked.meaning,
            core_of_request(asked.request),
            _what_the_hub_lacks(asked),
        )
    except (ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        return None


def signature_of(
    tenant: str, pinned_provider: str, meaning: str, core: Core | ChatRequest, more: tuple[Any, ...] = ()
) -> str:
    """The same of what is known already. Raises what msgspec cannot encode."""
    known = _encode((FORMAT, tenant, pinned_provider, meaning, core, more))
    return sha256(known).hexdigest()[:40]  # processors have instructions for it: half of what blake2b takes


def _what_the_hub_lacks(asked: Asked) -> tuple[Any, ...]:
    """Nothing for a plain request; else its dialect, its kind, and all that it says."""
    betas = sorted([pair for pair in asked.headers if pair[0] in BETAS])
    try:
        fields = _decode(asked.body)
    except UNREADABLE as error:
        raise ValueError("not JSON") from error
    if not betas and _is_plain(fields, _PLAIN[asked.dialect]) and not _says_twice(fields):
        return ()
    said = [(name, value) for name, value in fields.items() if name not in _NEVER_THE_ANSWER]
    return (asked.dialect, asked.request.is_stream, betas, said)


def _is_plain(value: object, shape: _Shape) -> bool:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in shape:
                return False
            within = shape[name]
            if within is not None and not _is_plain(inner, within):
                return False
    elif isinstance(value, list):
        for inner in value:
            if isinstance(inner, dict | list) and not _is_plain(inner, shape):
                return False
    return True


def _says_twice(fields: dict[str, Any]) -> bool:
    """Two members for one thing: which one counts is the provider's to say."""
    return "max_tokens" in fields and "max_completion_tokens" in fields
