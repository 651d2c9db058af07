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
    Impossible("system-later", "gemini", "*", "Gemini's system text stands outside the conversation"),
    Impossible("system-later", "anthropic_messages", "anthropic_messages", "passes unchanged; some models take it"),
)


THOUGHTS_HIDDEN = {("openai_chat", "openai_responses"), ("openai_chat", "gemini")}
"""Callers and providers between which reasoning's text is not asked for: Chat Completions asks for effort only, and these
providers show thoughts to those who ask for them."""


@dataclass(frozen=True, slots=True)
class Cell:
    case: Case
    caller: str
    provider: str

    @property
    def id(self) -> str:
        return f"{self.case.name}:{self.caller}:{self.provider}"

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
