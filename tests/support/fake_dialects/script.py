"""What a fake provider was asked and what it answers, in no wire format: the words between a scenario and a dialect.

It must not import the product: a fake that shares code with what it tests proves nothing.
"""

import base64
import re
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

COUNTED = 41
"""Tokens, whatever a provider is asked to count."""


class Refused(Exception):
    """The request is not one that the real API takes: answered with this status and reason in the dialect."""

    def __init__(self, message: str, param: str = "", *, status: int = 400, code: str = "") -> None:
        super().__init__(f"{param}: {message}" if param else message)
        self.param = param
        self.status = status
        self.code = code


@dataclass(slots=True)
class Call:
    id: str
    name: str
    arguments: dict[str, Any]


@dataclass(slots=True)
class Result:
    call_id: str
    name: str
    text: str
    is_error: bool = False


@dataclass(slots=True)
class Picture:
    """`media_type` as declared, `real_type` as its first bytes say; either `size` (bytes) or `url`."""

    media_type: str = ""
    real_type: str = ""
    size: int = 0
    url: str = ""


@dataclass(slots=True)
class Turn:
    role: str
    texts: list[str] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Asked:
    """A request as the fake understood it. `turns` without the system's; `shows_thoughts`: their text was asked for."""

    dialect: str
    model: str
    is_stream: bool = False
    system: list[str] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    tools: dict[str, dict[str, Any]] = field(default_factory=dict)
    tool_choice: str = ""
    schema: dict[str, Any] | None = None
    thinks: bool = False
    shows_thoughts: bool = False
    gives_signature: bool = True
    max_tokens: int | None = None
    temperature: float | None = None
    includes_usage: bool = True
    settings: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def results(self) -> list[Result]:
        return [result for turn in self.turns for result in turn.results]

    def calls(self) -> list[Call]:
        return [call for turn in self.turns for call in turn.calls]

    def pictures(self) -> list[Picture]:
        return [picture for turn in self.turns for picture in turn.pictures]

    def signatures(self) -> list[str]:
        return [signature for turn in self.turns for signature in turn.signatures]


@dataclass(frozen=True, slots=True)
class Counts:
    """Tokens. `input` includes `cached` and `written`, `output` includes `reasoning`."""

    input: int = 17
    output: int = 9
    cached: int = 0
    written: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """Thoughts come before texts, texts before calls. `texts` are the pieces of one text, an event each in a stream."""

    texts: tuple[str, ...] = ()
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    thoughts: tuple[str, ...] = ()
    is_signed: bool = False
    finish: str = "stop"
    counts: Counts = Counts()

    @property
    def text(self) -> str:
        return "".join(self.texts)


@dataclass(frozen=True, slots=True)
class Streamed:
    """The events of an answer: all before its text, one for each piece of text, all after it."""

    opening: list[bytes]
    texts: list[bytes]
    closing: list[bytes]

    def all(self) -> list[bytes]:
        return [*self.opening, *self.texts, *self.closing]


class FakeDialect(Protocol):
    """A wire format, as a provider of it reads and writes. Implemented by a module each."""

    NAME: str
    STREAM_TYPE: str

    def read(self, path: str, headers: dict[str, str], body: Any) -> Asked: ...
    def whole(self, asked: Asked, answer: Answer) -> Any: ...
    def stream(self, asked: Asked, answer: Answer) -> Streamed: ...
    def error(self, status: int, message: str, code: str = "", param: str = "") -> Any: ...
    def stream_error(self, status: int, message: str) -> list[bytes]: ...


# -- what all of them check ------------------------------------------------------------------------------------------


def expect(condition: object, message: str, param: str = "", **more: Any) -> None:
    """Refuse the request unless it is so."""
    if not condition:
        raise Refused(message, param, **more)


def names(text: str) -> frozenset[str]:
    return frozenset(text.split())


def only(known: frozenset[str], given: Any, where: str) -> None:
    """Every field of an object must be one that the real API knows."""
    expect(isinstance(given, dict), f"expected an object, got {given!r:.80}", where)
    for name in given:
        expect(name in known, f"unknown field {name!r}", f"{where}.{name}" if where else name)


def text_in(value: Any, where: str) -> str:
    expect(isinstance(value, str), f"expected a string, got {value!r:.80}", where)
    return str(value)


def list_in(value: Any, where: str) -> list[Any]:
    expect(isinstance(value, list), f"expected an array, got {value!r:.80}", where)
    return list(value)


_MAGIC = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))


def picture_of(media_type: str, data: str, where: str, *, url_safe: bool = False) -> Picture:
    """A picture's bytes: base64 with padding and without a break (Google takes the url-safe alphabet too)."""
    if url_safe:
        data = data.replace("-", "+").replace("_", "/")
    try:
        raw = base64.b64decode(data, validate=True)
    except ValueError as error:
        raise Refused(f"not base64: {error}", where) from error
    real = next((name for magic, name in _MAGIC if raw.startswith(magic)), "")
    return Picture(media_type=media_type, real_type=real, size=len(raw))


def picture_at(url: str, where: str) -> Picture:
    """A `data:` URL or an address."""
    if url.startswith("data:"):
        match = re.fullmatch(r"data:(image/[a-z]+);base64,(.*)", url, re.DOTALL)
        expect(match, "the data URL is not one of a picture in base64", where)
        assert match
        return picture_of(match[1], match[2], where)
    expect(url.startswith(("https://", "http://")), "expected an http(s) or a data: URL", where)
    return Picture(url=url)


def check_strict(schema: Any, where: str) -> None:
    """OpenAI's and Anthropic's strict subset, as far as it matters here: closed objects, all properties required."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            expect(schema.get("additionalProperties") is False, "'additionalProperties' must be false", where)
        for name, inner in schema.items():
            check_strict(inner, f"{where}.{name}")
    elif isinstance(schema, list):
        for i, inner in enumerate(schema):
            check_strict(inner, f"{where}[{i}]")


def check_all_required(schema: dict[str, Any], where: str) -> None:
    if schema.get("type") == "object":
        missing = set(schema.get("properties", {})) - set(schema.get("required", []))
        expect(not missing, f"'required' must name every property; missing: {sorted(missing)}", where)


def pieces_of(text: str, size: int = 7) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]
