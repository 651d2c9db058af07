"""What a provider is, as data. One TOML file each in `specs/`; the structs forbid unknown fields.

A difference between providers climbs a ladder: a field here, then a named quirk, then an auth kind, then a
dialect. A provider's name never appears in code outside this folder.
"""

from typing import Literal

import msgspec

from gateway.domain.dialect import ProviderDialect


class BearerAuth(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="bearer", tag_field="type"):
    """`Authorization: Bearer <api key>`."""


class HeaderAuth(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="header", tag_field="type"):
    """The API key alone in a header of the given name (`x-api-key`, `x-goog-api-key`)."""

    name: str


class NoAuth(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="none", tag_field="type"):
    """No credential is sent."""


Auth = BearerAuth | HeaderAuth | NoAuth


class DropFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="drop_fields", tag_field="use"):
    """Remove top-level request fields that this provider refuses."""

    fields: tuple[str, ...]


class RefuseStreamOptions(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="refuse_stream_options", tag_field="use"
):
    """The provider answers 400 to `stream_options`; usage is not asked for in streams."""


RequestQuirk = Literal[
    "adaptive_thinking",
    "always_thinks",
    "cache_control",
    "custom_tools",
    "every_effort",
    "max_completion_tokens",
    "multimodal_results",
    "namespaces",
    "nine_char_ids",
    "no_sampling",
    "no_structured_output",
    "openai_fields",
    "openapi_schemas",
    "replays_reasoning",
    "thinking_level",
    "thinks_by_default",
]
"""How a translated request is written (the codec of the provider's dialect reads these names from its `Destination`):

* `adaptive_thinking`: thinking is asked for as `adaptive` with an effort, never as a budget (Messages)
* `always_thinks`: thinking cannot be turned off (Messages)
* `cache_control`: content parts may carry Anthropic's `cache_control` (Chat Completions)
* `custom_tools`: tools that take free text are known (Chat Completions, Responses)
* `every_effort`: `reasoning_effort` may be any of OpenAI's words, not low, medium and high alone (Chat Completions)
* `max_completion_tokens`: the limit is written under this name instead of `max_tokens` (Chat Completions)
* `multimodal_results`: a function's response may hold pictures (Gemini)
* `namespaces`: tools may be grouped (Responses)
* `nine_char_ids`: ids of calls are nine letters or digits (Chat Completions, Mistral)
* `no_sampling`: temperature, top_p and top_k are refused (Messages)
* `no_structured_output`: there is no field for a schema of the answer
* `openai_fields`: `verbosity`, `prompt_cache_key` and `allowed_tools` are known (Chat Completions)
* `openapi_schemas`: schemas are OpenAPI's subset, not JSON Schema (Gemini)
* `replays_reasoning`: the reasoning of earlier turns goes back as `reasoning_content` (Chat Completions)
* `thinking_level`: thinking is asked for as a level, not as a budget (Gemini)
* `thinks_by_default`: who asks for nothing gets thinking (Messages)
"""


class WriteAs(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="write_as", tag_field="use"):
    """Names of what is written otherwise, for models that match one of `models` (shell patterns; none = all of them)."""

    names: tuple[RequestQuirk, ...]
    models: tuple[str, ...] = ()


class StripFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="strip_fields", tag_field="use"):
    """Remove top-level fields from Chat Completions answers and chunks."""

    fields: tuple[str, ...]


class ThinkTags(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="think_tags", tag_field="use"):
    """Reasoning comes inside the content, between `<think>` and `</think>`; it becomes `reasoning_content`."""


class FinishMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="finish_map", tag_field="use"):
    """The provider's own finish reasons → those of Chat Completions."""

    map: dict[str, str]


class UsageMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="usage_map", tag_field="use"):
    """Fields of Chat Completions' usage (dotted) ← where the provider has them (dotted)."""

    map: dict[str, str]


Quirk = DropFields | RefuseStreamOptions | WriteAs | StripFields | ThinkTags | FinishMap | UsageMap


class ModelSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model we know the provider offers. `context` and `max_output` are tokens, 0 = not known."""

    id: str
    context: int = 0
    max_output: int = 0
    capabilities: tuple[Literal["vision", "tools", "reasoning", "structured"], ...] = ()


class ProviderSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A provider. `base_url` includes the version segment; `paths` are appended to it, by operation.

    `prefixes` are what a caller may write before the first `/` of a model name (the id comes first).
    `speaks` are further dialects with the same credential: each a path to append, or a whole URL.
    `is_limited_by_model`: a 429 cools (connection, model), not the connection. `transport` `demo` is the
    in-process provider.
    """

    id: str
    name: str
    base_url: str
    dialect: ProviderDialect = "openai_chat"
    prefixes: tuple[str, ...] = ()
    auth: Auth = BearerAuth()
    paths: dict[str, str] = msgspec.field(default_factory=lambda: {"chat": "/chat/completions", "models": "/models"})
    speaks: dict[ProviderDialect, str] = {}
    headers: dict[str, str] = {}
    quirks: tuple[Quirk, ...] = ()
    models: tuple[ModelSpec, ...] = ()
    is_limited_by_model: bool = False
    transport: Literal["http", "demo"] = "http"
    tier: Literal["subscription", "api-key", "cheap", "free"] = "api-key"
    trace_name: str = ""
    """What OpenTelemetry's conventions call it, where that is not its id."""
    documentation_url: str = ""
