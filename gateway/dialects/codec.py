"""The shape of a codec. A caller's side and a provider's side each, so that a dialect may have one of them only (Ollama).

All of it is pure: ids, times and keys come in as arguments. Decoders of requests raise BadRequest that names the field;
decoders of answers raise BrokenAnswer; stream decoders never raise for a provider's bytes (StreamFailed is an event).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec

from gateway.dialects.envelope import MARK, Envelopes
from gateway.domain.chat import Answer, ChatRequest
from gateway.domain.dialect import CallerDialect, ProviderDialect
from gateway.domain.events import Event
from gateway.domain.usage import Usage

EventClass = Literal["noise", "useful", "error", "terminal"]

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding strangers' JSON can raise (a ValidationError is a DecodeError)."""


class BrokenAnswer(ValueError):
    """A provider's answer that is not one. The text may go to the caller and holds nothing of the answer itself."""


class Unsupported(Exception):
    """The target cannot do what the request asks for. `param` names the field; the text is for the caller."""

    def __init__(self, message: str, param: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.param = param


# -- what arrives ----------------------------------------------------------------------------------------------------


class Arrival(msgspec.Struct, frozen=True):
    """What a request says outside its body. `model` and `is_stream` come from Gemini's path (empty and None elsewhere).

    `wants_array`: Gemini's stream as one JSON array, not events. `session`: the client's conversation, from a header.
    """

    model: str = ""
    is_stream: bool | None = None
    wants_array: bool = False
    session: str = ""


IN_BODY = Arrival()
"""Of dialects that say everything in the body."""


class Head(msgspec.Struct, frozen=True):
    """What routing and relay need of a request. `wants_usage`: the caller asked for the usage chunk itself (Chat Completions).

    `is_cold`: it wrote `temperature: 0`, so its answer may be one that was given before. `max_output`: the tokens it lets an
    answer have, 0 = it says nothing, -1 = only the whole request tells.
    """

    model: str
    is_stream: bool
    wants_usage: bool = True
    has_stream_options: bool = False
    is_reasoning: bool = False
    is_cold: bool = False
    max_output: int = -1


class Reading(msgspec.Struct, frozen=True):
    """A provider's whole answer, judged. `kind` is `answer`, or what came in its place under a status of 200."""

    kind: Literal["answer", "error", "empty", "not_json"]
    usage: Usage | None = None
    message: str = ""
    error_status: int = 0


# -- what the hub's functions are told ---------------------------------------------------------------------------------


class Destination(msgspec.Struct, frozen=True):
    """Where a request is encoded for. `max_output` (tokens) is 0 when the model's limit is not known.

    `quirks` are names of a provider's data file that change how requests are written.
    """

    model: str
    provider: str = ""
    max_output: int = 0
    quirks: frozenset[str] = frozenset()


class Encoded(msgspec.Struct, frozen=True):
    """A request for a provider. `names` maps each tool name on the wire that differs to the caller's own.

    `notes` say what could not be said in this dialect, a short text each (`top_k`, `logit_bias`).
    """

    body: bytes
    notes: tuple[str, ...] = ()
    names: "Mapping[str, ToolName]" = {}


class ToolName(msgspec.Struct, frozen=True):
    """A tool as its caller knows it. `is_wrapped`: a custom tool sent as a function with the one argument `input`."""

    name: str
    namespace: str = ""
    is_wrapped: bool = False


class Origin(msgspec.Struct, frozen=True):
    """Who answers: signatures are given back to nobody else. `request_id` is what ids are made of where there are none."""

    provider: str
    request_id: str


class Stamp(msgspec.Struct, frozen=True):
    """What an answer to the caller needs that is not in the provider's. `model` is the name the caller asked for.

    `created_at` in unix seconds. `request` is what was asked (Responses echoes it). `input_tokens` is an estimate for
    the first event of a stream when the provider has not told yet (Anthropic).
    """

    request_id: str
    created_at: int
    model: str
    envelopes: Envelopes
    request: ChatRequest | None = None
    arrival: Arrival = Arrival()
    input_tokens: int = 0
    answered_in: ProviderDialect | None = None
    """The dialect of who answers. What nobody signed is marked as foreign when this is known and not the caller's own."""


# -- machines ---------------------------------------------------------------------------------------------------------


class StreamDecoder(Protocol):
    """A provider's bytes → events, the same for any split. Holds at most one event's bytes (`sse.MAX_EVENT_BYTES`)."""

    def feed(self, data: bytes) -> list[Event]: ...

    def end(self) -> list[Event]:
        """The bytes are over: what a last event without its blank line says. Without `Finished` the stream was cut."""


class StreamEncoder(Protocol):
    """Events → the caller's bytes. `Finished` writes all that the dialect ends with; nothing follows it."""

    def feed(self, events: list[Event]) -> bytes: ...

    def fail(self, status: int, code: str, message: str, details: dict[str, object] | None = None) -> bytes:
        """An honest end: the dialect's own error event, and no clean terminator."""


class Tap(Protocol):
    """Watches a stream that is passed on unchanged. `feed` gives what may be sent on, cut only between events."""

    usage: Usage | None
    chunks: int
    is_done: bool
    error: str

    @property
    def is_complete(self) -> bool:
        """The provider said that the answer is whole."""

    @property
    def held_bytes(self) -> int: ...

    def feed(self, data: bytes) -> bytes: ...

    def take_rest(self) -> bytes: ...


class Grammar(Protocol):
    """The order of a dialect's events, as its official SDK needs it. `violations` are short texts, at most 20."""

    violations: list[str]

    def feed(self, event: bytes) -> None:
        """One whole event (or line)."""

    def end(self) -> None: ...


class EncodeError(Protocol):
    """An error body in the dialect. `details` are ours (attempts, near names), where the dialect has room for them."""

    def __call__(
        self, status: int, code: str, message: str, param: str | None = None, details: dict[str, object] | None = None
    ) -> bytes: ...


# -- the two sides ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CallerCodec:
    """What it takes to serve callers of a dialect. `keep_alive` is what may be sent while nothing useful has come, maybe nothing."""

    dialect: CallerDialect
    read_head: Callable[[bytes, Arrival], Head]
    decode_request: Callable[[bytes, Arrival, Envelopes], ChatRequest]
    encode_response: Callable[[Answer, Stamp], bytes]
    make_encoder: Callable[[Stamp], StreamEncoder]
    encode_error: EncodeError
    encode_stream_error: EncodeError
    """The error as an event, for a stream that was passed on."""
    stream_type: Callable[[Arrival], bytes]
    """The content type of a stream."""
    keep_alive: bytes = b""
    explanation: bytes = b""
    """The event after a stream's end that tells a caller who asked why it went where it went, with `%s` for one line of
    JSON; empty where the dialect's clients would stumble over it."""
    progress: bytes = b""
    """The event that tells how far a stream is, with `%s` for its members; it holds what the dialect's clients look for
    in every event. Empty where streams have no events."""
    envelope_marks: tuple[bytes, ...] = (MARK,)
    """How envelopes look in the bytes of this dialect's requests; one of them is in each that holds an envelope."""


@dataclass(frozen=True, slots=True)
class ProviderCodec:
    """What it takes to ask providers of a dialect. `path` is where (`/chat/completions`), from model and streamed or not."""

    dialect: ProviderDialect
    path: Callable[[str, bool], str]
    classify: Callable[[bytes], EventClass]
    read_answer: Callable[[bytes], Reading]
    make_tap: Callable[..., Tap]
    pass_on: Callable[..., bytes]
    encode_request: Callable[[ChatRequest, Destination], Encoded]
    decode_response: Callable[[bytes, Origin], Answer]
    make_decoder: Callable[[Origin], StreamDecoder]
    error_text: Callable[[bytes], str]
    headers: tuple[bytes, ...] = ()
    """Lines that the dialect needs and a caller may have sent (`anthropic-version`)."""
    terminator: bytes = b""
    """What ends a stream after the event that tells why the answer is over, where these are two events."""
    is_model_in_path: bool = False
    needs_picture_bytes: bool = False
    """Pictures by URL are fetched before `encode_request`."""


@dataclass(frozen=True, slots=True)
class Count:
    """An endpoint that counts a request's tokens. `url` makes its URL of the chat operation's and the model."""

    decode: Callable[[bytes, Arrival, Envelopes], ChatRequest]
    encode: Callable[[int], bytes]
    url: Callable[[str, str], str]
    pass_on: Callable[[bytes, str, str], bytes]
    """The body for a provider of this dialect: body, model asked for, model there."""
    body_of: Callable[[bytes, str], bytes]
    """The same of an encoded chat request: its body, the model there."""
    read: Callable[[bytes], int]
    """A provider's number. Raises BrokenAnswer."""
