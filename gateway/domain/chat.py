"""The hub: one chat request and one answer, in no dialect. Every codec translates between its wire format and this.

What a wire format says and this cannot hold is dropped by the codec with a note (`ChatRequest.notes`, `Encoded.notes`),
never in silence. Turns keep their order, and parts keep their order within a turn.
"""

from typing import Any, Literal

import msgspec

from gateway.domain.dialect import ProviderDialect
from gateway.domain.usage import Usage

Role = Literal["system", "user", "assistant"]
CacheTtl = Literal["", "5m", "1h"]
"""How long the prompt up to and including this part should stay cached; empty = not marked. Anthropic's `cache_control`."""

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Finish = Literal["stop", "stop_sequence", "length", "tool_calls", "content_filter", "pause"]
"""Why an answer ended. `stop_sequence`: one of the caller's; `pause`: the provider wants the turn sent back to go on."""
ToolKind = Literal["function", "custom"]
"""`custom` tools take free text instead of JSON arguments (OpenAI)."""


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    cache: CacheTtl = ""


class Signature(msgspec.Struct, frozen=True):
    """What a provider gives to recognise its own reasoning: opaque, kept bytewise, given back only to who signed it.

    `dialect` and `provider` say who that is (`provider` empty: came natively from a caller, so nobody else than the
    dialect is known). `data` is Anthropic's `signature` or redacted `data`, Responses' `encrypted_content`, Gemini's
    `thoughtSignature`. `id` is a Responses item id, if there is one.
    """

    dialect: ProviderDialect
    data: str
    provider: str = ""
    id: str = ""


class Citation(msgspec.Struct, frozen=True):
    """Where a text comes from. `start` and `end` are characters within its Text part, -1 = not told; `quote` is the cited text."""

    url: str = ""
    title: str = ""
    quote: str = ""
    start: int = -1
    end: int = -1


class Text(_Part, frozen=True):
    """`signature`: Gemini signs text parts too, also empty ones."""

    text: str
    citations: tuple[Citation, ...] = ()
    signature: Signature | None = None


class Image(_Part, frozen=True):
    """Either `data` (standard base64 with padding) and its real `media_type`, or `url`. `detail`: OpenAI's low/high/auto."""

    media_type: str = ""
    data: str = ""
    url: str = ""
    detail: str = ""


class File(_Part, frozen=True):
    """A document, sound or video: one of `data` (base64), `url`, `file_id` (at the provider), `text` (plain text)."""

    media_type: str = ""
    data: str = ""
    url: str = ""
    file_id: str = ""
    text: str = ""
    name: str = ""


class Refusal(_Part, frozen=True):
    """The model's own words of refusal (OpenAI)."""

    text: str


class Thinking(_Part, frozen=True):
    """One block of reasoning. `is_redacted`: its text is hidden, all that there is stands in the signature."""

    text: str = ""
    signature: Signature | None = None
    is_redacted: bool = False


class ToolCall(_Part, frozen=True):
    """`arguments` is JSON text of an object, as the model wrote it (`{}` if it wrote nothing); free text of a custom tool.

    `namespace`: Codex groups tools; the name is unique within it. `signature` is Gemini's, which signs calls.
    """

    id: str
    name: str
    arguments: str = "{}"
    kind: ToolKind = "function"
    namespace: str = ""
    signature: Signature | None = None


class ToolResult(_Part, frozen=True):
    """The answer to the call `call_id`, in a user turn, before any other part of that turn. `name` where the wire has it."""

    call_id: str
    content: tuple[Text | Image | File, ...] = ()
    name: str = ""
    is_error: bool = False


Part = Text | Image | File | Refusal | Thinking | ToolCall | ToolResult


class Turn(msgspec.Struct, frozen=True):
    """One message. System turns stand wherever the caller put them. Consecutive turns of one role are legal here."""

    role: Role
    parts: tuple[Part, ...]


class Tool(_Part, frozen=True):
    """A tool the model may call. `schema` is JSON Schema of its arguments, None = none given. `format`: of a custom tool."""

    name: str
    description: str = ""
    schema: dict[str, Any] | None = None
    strict: bool | None = None
    kind: ToolKind = "function"
    namespace: str = ""
    format: dict[str, Any] | None = None


class BuiltInTool(msgspec.Struct, frozen=True):
    """A tool that the provider runs itself (web search, code …). `type` is its name on the wire of `dialect`."""

    type: str
    dialect: ProviderDialect


class ToolChoice(msgspec.Struct, frozen=True):
    """`mode` `tool`: exactly `names[0]`; `allowed`: one of `names` or none; `required`: any one at least."""

    mode: Literal["auto", "required", "none", "tool", "allowed"]
    names: tuple[str, ...] = ()
    is_required: bool = False
    """Of `allowed` only: at least one of `names` must be called."""


class OutputFormat(msgspec.Struct, frozen=True):
    """Structured output: any JSON object (`schema` None), or what fits the schema."""

    schema: dict[str, Any] | None = None
    name: str = ""
    description: str = ""
    strict: bool | None = None


class Reasoning(msgspec.Struct, frozen=True):
    """How much to think. At most one of `effort` and `budget` (tokens; 0 = off, -1 = the model decides) is what the caller wrote.

    `shows`: whether the thoughts' text should come back; None = not said. `summary`: Responses' word for how.
    """

    effort: Effort | None = None
    budget: int | None = None
    is_adaptive: bool = False
    shows: bool | None = None
    summary: str = ""


class ChatRequest(msgspec.Struct, frozen=True):
    """What a caller asks. None, empty or 0 = not said. `notes` are what the decoder left out, a short text each.

    `includes_usage`: the caller wants usage in the stream (always so except in Chat Completions).
    `cache_key` groups requests for the provider's prompt cache; `session` is the client's conversation; `user` an end user.
    """

    model: str
    turns: tuple[Turn, ...]
    is_stream: bool = False
    tools: tuple[Tool, ...] = ()
    built_in_tools: tuple[BuiltInTool, ...] = ()
    tool_choice: ToolChoice | None = None
    is_parallel: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    n: int = 1
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: int | None = None
    """How many alternatives a token; 0 = only the chosen one's."""
    output_format: OutputFormat | None = None
    reasoning: Reasoning | None = None
    verbosity: str = ""
    service_tier: str = ""
    cache_key: str = ""
    session: str = ""
    user: str = ""
    metadata: dict[str, Any] | None = None
    includes_usage: bool = True
    does_without_tools: bool = False
    """Built-in tools that a provider lacks are left out instead of refused: the client said so, or is known for it."""
    notes: tuple[str, ...] = ()


class Answer(msgspec.Struct, frozen=True):
    """What a provider answered, whole. `id` and `model` are the provider's; `native_finish` is its own word for `finish`."""

    parts: tuple[Part, ...]
    finish: Finish
    id: str = ""
    model: str = ""
    stop_sequence: str = ""
    native_finish: str = ""
    usage: Usage | None = None
    service_tier: str = ""
