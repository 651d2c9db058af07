"""Why an answer ended: the words of this wire format and its neighbours', and ours."""

from typing import Any

from gateway.domain.chat import Finish

_FINISHES: dict[str, Finish] = {
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",
    "MAX_TOKENS": "length",
    "tool_calls": "tool_calls",
    "tool_call": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "safety": "content_filter",
    "SAFETY": "content_filter",
    "refusal": "content_filter",
    "sensitive": "content_filter",
}
"""Whatever is not here is a natural end (`stop`, `eos`, `end_turn`, a new provider's word)."""

FAILURES = frozenset({"error", "insufficient_system_resource", "network_error", "abort"})
"""Mistral's and OpenRouter's, DeepSeek's, Z.ai's, and vLLM's and SGLang's words for an answer that is not whole."""

_WORDS: dict[Finish, str] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "pause": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
}


def finish_of(word: object, *, has_calls: bool) -> Finish:
    """Ours. Some providers say `stop` though there are calls, or the other way round."""
    finish = _FINISHES.get(word, "stop") if isinstance(word, str) else "stop"
    if finish in {"stop", "tool_calls"}:
        return "tool_calls" if has_calls else "stop"
    return finish


def word_of(finish: Finish, *, is_legacy: bool = False) -> str:
    """The caller's."""
    return "function_call" if is_legacy and finish == "tool_calls" else _WORDS[finish]


def native(word: Any) -> str:
    return word if isinstance(word, str) else ""
