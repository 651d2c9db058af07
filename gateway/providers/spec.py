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


Quirk = DropFields | RefuseStreamOptions


class ModelSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model we know the provider offers. `context` and `max_output` are tokens, 0 = not known."""

    id: str
    context: int = 0
    max_output: int = 0
    capabilities: tuple[Literal["vision", "tools", "reasoning", "structured"], ...] = ()


class ProviderSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A provider. `base_url` includes the version segment; `paths` are appended to it, by operation.

    `prefixes` are what a caller may write before the first `/` of a model name (the id comes first).
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
    headers: dict[str, str] = {}
    quirks: tuple[Quirk, ...] = ()
    models: tuple[ModelSpec, ...] = ()
    is_limited_by_model: bool = False
    transport: Literal["http", "demo"] = "http"
    tier: Literal["subscription", "api-key", "cheap", "free"] = "api-key"
    documentation_url: str = ""
