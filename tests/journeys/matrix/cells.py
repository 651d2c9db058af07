"""The matrix as data: which caller of which dialect is served by which provider of which, in which case.

`docs/dialects.md` shows it and `test_dialect_matrix.py` proves it, cell by cell. A cell that cannot exist is in
`IMPOSSIBLE` with the reason; none is left out otherwise.
"""

from collections.abc import Iterator
from dataclasses import dataclass

CALLERS = ("openai_chat", "openai_responses", "anthropic_messages", "gemini", "ollama")
PROVIDERS = ("openai_chat", "openai_responses", "anthropic_messages", "gemini")


@dataclass(frozen=True, slots=True)
class Case:
    """`play` names the function in `cases.py`; one that is streamed has a twin that is not, or the other way round."""

    name: str
    title: str
    play: str
    streams: bool = False


def _both(name: str, title: str, play: str = "") -> tuple[Case, Case]:
    play = play or name.replace("-", "_")
    return Case(name, title, play), Case(f"{name}-stream", f"{title}, streamed", play, streams=True)


CASES: tuple[Case, ...] = (
    *_both("text", "text, system prompt, temperature, limit"),
    *_both("tools", "tool loop"),
    *_both("parallel", "text and three calls at once"),
    *_both("no-arguments", "a call without arguments"),
    Case("stop", "stop sequences", "stop"),
    Case("built-in", "a tool that the provider runs itself", "built_in"),
    Case("dropped", "settings without a counterpart", "dropped"),
    *_both("structured", "structured output by schema"),
    *_both("thinking", "reasoning, signature back in the next turn"),
    *_both("thinking-tools", "reasoning before a call, signature back with the result"),
    *_both("thinking-unsigned", "reasoning before a call, client keeps no state", "thinking_unsigned"),
    *_both("choice", "a tool that must be called"),
    *_both("tool-names", "the longest and oddest tool names of the caller's dialect"),
    Case("tool-error", "a tool's result that is an error", "tool_error"),
    Case("system-later", "system text in the middle of a conversation", "system_later"),
    *_both("switch", "the next turn goes to a provider of another dialect"),
    *_both("switch-tools", "a call's result goes to a provider of another dialect"),
    *_both("image", "picture in the request"),
    Case("image-url", "picture by address", "image_url"),
    *_both("cached", "usage with cached tokens"),
    *_both("length", "answer cut by the limit"),
    *_both("filtered", "answer ended by the provider's filter"),
    *_both("error-400", "provider answers 400"),
    *_both("error-429", "provider answers 429 with retry-after"),
    Case("error-stream", "provider's error in mid-stream", "error_stream", streams=True),
    Case("cut", "provider ends in mid-stream", "cut", streams=True),
    Case("cancel", "caller leaves", "cancel", streams=True),
    Case("count", "count of tokens", "count"),
)


@dataclass(frozen=True, slots=True)
class Impossible:
    """`*` stands for all."""

    case: str
    caller: str
    provider: str
    reason: str

    def matches(self, cell: "Cell") -> bool:
        pairs = ((self.case, cell.case.name), (self.caller, cell.caller), (self.provider, cell.provider))
        return all(wanted in ("*", is_) for wanted, is_ in pairs)


_NO_SIGNATURE = "Ollama's messages have no place for a signature"
_REFUSES = "the provider refuses a loop whose reasoning is gone, and one dialect passes unchanged"
_NO_COUNT = "the caller's dialect has no call that counts tokens"

IMPOSSIBLE: tuple[Impossible, ...] = (
    Impossible("image-url", "ollama", "*", "Ollama's messages hold pictures as bytes only"),
    *(
        Impossible(case, "ollama", provider, _NO_SIGNATURE)
        for case in ("thinking", "thinking-stream", "thinking-tools", "thinking-tools-stream")
        for provider in ("openai_responses", "anthropic_messages", "gemini")
    ),
    *(
        Impossible(case, dialect, dialect, _REFUSES)
        for case in ("thinking-unsigned", "thinking-unsigned-stream")
        for dialect in ("anthropic_messages", "gemini")
    ),
    *(Impossible("count", caller, "*", _NO_COUNT) for caller in ("openai_chat", "ollama")),
    *(
        Impossible(case, "ollama", "*", "Ollama cannot name a tool that must be called")
        for case in ("choice", "choice-stream")
    ),
    *(
        Impossible("tool-error", caller, "*", "the caller's dialect has no word for a failed tool")
        for caller in ("openai_chat", "openai_responses", "ollama")
    ),
    *(
        Impossible("built-in", caller, "*", "the caller's dialect has no tools that a provider runs")
        for caller in ("openai_chat", "ollama")
    ),
    *(Impossible("built-in", dialect, dialect, "passes unchanged; the provider runs it") for dialect in PROVIDERS[1:]),
    Impossible("stop", "openai_responses", "*", "Responses has no stop sequences"),
    *(Impossible("dropped", dialect, dialect, "within one dialect nothing is dropped") for dialect in PROVIDERS),
    Impossible("system-later", "gemini", "*", "Gemini's system text stands outside the conversation"),
    Impossible("system-later", "anthropic_messages", "anthropic_messages", "passes unchanged; some models take it"),
)


BUILT_IN: dict[str, dict[str, object]] = {
    "openai_responses": {"type": "web_search"},
    "anthropic_messages": {"type": "web_search_20250305", "name": "web_search"},
    "gemini": {"google_search": {}},
}
"""A tool of the caller's dialect that its provider runs."""

REFUSED = {
    **{
        (
            "built-in",
            provider,
        ): "no provider of another dialect can run it: 400 `unsupported_by_target`, or left out with the"
        " header `x-omniroute-unsupported-tools: drop`"
        for provider in PROVIDERS
    },
    ("stop", "openai_responses"): "Responses has no stop sequences: 400 `unsupported_by_target`, or the next target",
    (
        "image-url",
        "gemini",
    ): "the gateway fetches the picture, from public addresses only; here it refuses a private one",
}
"""Cases and providers where the right answer is a refusal that says why (but to callers of the provider's own dialect)."""

SETTINGS: dict[str, dict[str, object]] = {
    "openai_chat": {
        "seed": 7, "logit_bias": {"5": 1}, "presence_penalty": 0.5, "logprobs": True, "verbosity": "low",
        "service_tier": "flex", "prompt_cache_key": "k", "metadata": {"a": "b"}, "parallel_tool_calls": False,
    },
    "openai_responses": {
        "truncation": "auto", "top_logprobs": 2, "text": {"verbosity": "low"}, "service_tier": "flex",
        "prompt_cache_key": "k", "metadata": {"a": "b"}, "parallel_tool_calls": False,
    },
    "anthropic_messages": {
        "extra_body": {"top_k": 5}, "service_tier": "auto", "metadata": {"user_id": "u"},
        "cache_control": {"type": "ephemeral"},
    },
    "gemini": {
        "top_k": 5, "seed": 7, "presence_penalty": 0.5, "response_logprobs": True, "logprobs": 2,
        "safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    },
    "ollama": {"options": {"num_predict": 64, "top_k": 5, "seed": 7, "mirostat": 1, "repeat_penalty": 1.1}},
}  # fmt: skip
"""What the case `dropped` sets beside the usual, with a tool."""

DROPPED: dict[tuple[str, str], tuple[str, ...]] = {
    ("openai_chat", "openai_responses"): ("logit_bias", "seed", "presence_penalty", "logprobs (not in the answer)"),
    ("openai_chat", "anthropic_messages"): (
        "logit_bias",
        "service_tier",
        "seed",
        "presence_penalty",
        "logprobs",
        "verbosity",
        "cache_key",
        "metadata",
    ),
    ("openai_chat", "gemini"): (
        "logit_bias",
        "logprobs",
        "parallel_tool_calls",
        "verbosity",
        "service_tier",
        "metadata",
    ),
    ("openai_responses", "openai_chat"): ("truncation", "logprobs", "metadata", "verbosity", "prompt_cache_key"),
    ("openai_responses", "anthropic_messages"): (
        "truncation",
        "service_tier",
        "logprobs",
        "verbosity",
        "cache_key",
        "metadata",
    ),
    ("openai_responses", "gemini"): (
        "truncation",
        "logprobs",
        "parallel_tool_calls",
        "verbosity",
        "service_tier",
        "metadata",
    ),
    ("anthropic_messages", "openai_chat"): ("cache_control", "top_k"),
    ("anthropic_messages", "openai_responses"): ("top_k", "cache_control"),
    ("anthropic_messages", "gemini"): ("cache_control", "service_tier", "user"),
    ("gemini", "openai_chat"): ("safetySettings", "top_k", "logprobs"),
    ("gemini", "openai_responses"): (
        "safetySettings",
        "top_k",
        "seed",
        "presence_penalty",
        "logprobs (not in the answer)",
    ),
    ("gemini", "anthropic_messages"): ("safetySettings", "seed", "presence_penalty", "logprobs"),
    ("ollama", "openai_chat"): ("options.mirostat", "options.repeat_penalty", "top_k"),
    ("ollama", "openai_responses"): ("options.mirostat", "options.repeat_penalty", "top_k", "seed"),
    ("ollama", "anthropic_messages"): ("options.mirostat", "options.repeat_penalty", "seed"),
    ("ollama", "gemini"): ("options.mirostat", "options.repeat_penalty"),
}
"""Of these, what the header `x-omniroute-dropped` names, by caller and provider."""

THOUGHTS_HIDDEN = {("openai_chat", "openai_responses")}
"""Callers and providers between which reasoning's text is not asked for: Chat Completions asks for effort only, and OpenAI
shows summaries to organisations that it has verified."""


@dataclass(frozen=True, slots=True)
class Cell:
    case: Case
    caller: str
    provider: str

    @property
    def id(self) -> str:
        return f"{self.case.name}:{self.caller}:{self.provider}"

    @property
    def refusal(self) -> str:
        """Why the right answer is a refusal; empty = it is none."""
        return "" if self.caller == self.provider else REFUSED.get((self.case.name, self.provider), "")

    @property
    def hides_thoughts(self) -> bool:
        return (self.caller, self.provider) in THOUGHTS_HIDDEN

    @property
    def reason(self) -> str:
        """Why it cannot exist; empty = it exists."""
        return next((one.reason for one in IMPOSSIBLE if one.matches(self)), "")


def cells() -> Iterator[Cell]:
    """All of them, also those that cannot exist."""
    return (Cell(case, caller, provider) for case in CASES for caller in CALLERS for provider in PROVIDERS)
