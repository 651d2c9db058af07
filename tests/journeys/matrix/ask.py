"""What a caller asks and hears, in no dialect: what the cases speak of and every caller translates to its SDK."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

Headers = dict[str, str]


@dataclass(frozen=True, slots=True)
class SaidCall:
    id: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tokens:
    """As the SDK showed them, in the convention of the ledger; None = the dialect has no place for it."""

    input: int
    output: int
    cached: int | None = None
    reasoning: int | None = None


@dataclass(slots=True)
class Said:
    """An answer. `finish` is the caller dialect's own word; `native` is what a client sends back in the next turn."""

    text: str = ""
    thoughts: str = ""
    calls: list[SaidCall] = field(default_factory=list)
    finish: str = ""
    tokens: Tokens | None = None
    model: str = ""
    headers: Headers = field(default_factory=dict)
    native: Any = None


@dataclass(frozen=True, slots=True)
class Wrong:
    """What the SDK raised."""

    kind: str
    status: int | None
    message: str
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class User:
    text: str
    picture: bytes = b""
    picture_url: str = ""


@dataclass(frozen=True, slots=True)
class Results:
    """The results of calls of the answer before, in order. `are_errors`: the tools failed, where a dialect can say so."""

    of: tuple[tuple[SaidCall, str], ...]
    are_errors: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """A word of the system's in the middle of a conversation."""

    text: str


Turn = User | Said | Results | Note


@dataclass(frozen=True, slots=True)
class Ask:
    """`turns` holds users' words, answers as they were heard, and results. `keeps_state`: the client sends answers back
    whole; without it, it keeps words and calls only."""

    model: str
    turns: tuple[Turn, ...]
    system: str = ""
    max_tokens: int = 4096
    temperature: float | None = None
    tools: tuple[dict[str, Any], ...] = ()
    choice: str = ""
    """A tool that must be called."""
    schema: dict[str, Any] | None = None
    thinks: bool = False
    keeps_state: bool = True
    headers: Headers = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)


class Caller(Protocol):
    """A client of one dialect. What the SDK raises passes through."""

    dialect: str

    def say(self, ask: Ask, *, streams: bool, hear: Callable[[str], None] = lambda _: None) -> Said:
        """Ask and read to the end. `hear` gets each piece of text as it comes."""

    def begin(self, ask: Ask) -> AbstractContextManager[str]:
        """Begin a stream and read its first piece of text; leaving the context goes away from it."""

    def wrong(self, error: Exception) -> Wrong: ...

    def count(self, ask: Ask) -> int: ...

    def close(self) -> None: ...
