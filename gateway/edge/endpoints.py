"""The table of caller paths: (method, raw path) → Endpoint. Matched first and exactly; the rest is not ours.

What is under `/v1` or `/v1beta` and not in the table is 404 in dialect and never relayed to the admin process.
A path that is not built yet is in the table with the operation `later` and answers 501.
"""

import re
from typing import Literal
from urllib.parse import unquote

import msgspec

from gateway.domain.dialect import CallerDialect

Operation = Literal["chat", "count_tokens", "list_models", "get_model", "list_tags", "version", "later"]


class Endpoint(msgspec.Struct, frozen=True):
    """What a path means. `template` names it in metrics and records; `argument` is the model or provider in it.

    `streams` is what Gemini's path says; None where the body does.
    """

    template: str
    dialect: CallerDialect
    operation: Operation
    methods: tuple[str, ...] = ("POST",)
    argument: str = ""
    streams: bool | None = None


_EXACT = {
    endpoint.template: endpoint
    for endpoint in (
        Endpoint("/v1/models", "openai_chat", "list_models", ("GET",)),
        Endpoint("/v1/chat/completions", "openai_chat", "chat"),
        Endpoint("/v1/messages", "anthropic_messages", "chat"),
        Endpoint("/v1/messages/count_tokens", "anthropic_messages", "count_tokens"),
        Endpoint("/v1/responses", "openai_responses", "chat"),
        Endpoint("/v1/responses/input_tokens", "openai_responses", "count_tokens"),
        Endpoint("/v1/embeddings", "openai_chat", "later", ("POST", "GET")),
        Endpoint("/v1/images/generations", "openai_chat", "later", ("POST", "GET")),
        Endpoint("/v1/audio/transcriptions", "openai_chat", "later"),
        Endpoint("/v1/audio/speech", "openai_chat", "later"),
        Endpoint("/v1/moderations", "openai_chat", "later"),
        Endpoint("/v1/rerank", "openai_chat", "later"),
        Endpoint("/v1beta/models", "gemini", "list_models", ("GET",)),
        Endpoint("/v1/api/chat", "ollama", "chat"),
        Endpoint("/api/chat", "ollama", "chat"),
        Endpoint("/api/tags", "ollama", "list_tags", ("GET",)),
        Endpoint("/api/version", "ollama", "version", ("GET",)),
    )
}

_GEMINI_OPERATIONS: dict[str, tuple[Operation, bool | None]] = {
    "generateContent": ("chat", False),
    "streamGenerateContent": ("chat", True),
    "countTokens": ("count_tokens", None),
    "embedContent": ("later", None),
}
_GEMINI_VERBS = "|".join(_GEMINI_OPERATIONS)
_PINNED_OPERATIONS: dict[str, tuple[CallerDialect, Operation]] = {
    "chat/completions": ("openai_chat", "chat"),
    "responses": ("openai_responses", "chat"),
    "messages": ("anthropic_messages", "chat"),
    "embeddings": ("openai_chat", "later"),
    "images/generations": ("openai_chat", "later"),
}
_PINNED = re.compile(rf"/v1/providers/(?P<argument>[^/]+)/(?P<operation>{'|'.join(_PINNED_OPERATIONS)})")
_GEMINI_MODEL = re.compile(
    rf"/(?P<version>v1beta|v1)/(?:models/)?(?P<argument>.+)(?::|%3[Aa])(?P<verb>{_GEMINI_VERBS})"
)
"""The last colon counts: a model's name may hold some (`vendor/model:free`)."""
_GEMINI_GET = re.compile(r"/v1beta/models/(?P<argument>.+)")
_MODEL = re.compile(r"/v1/models/(?P<argument>.+)")

_ALIASES = {"/chat/completions": "/v1/chat/completions", "/responses": "/v1/responses", "/models": "/v1/models",
            "/v1": "/v1/models"}  # fmt: skip


def find_endpoint(raw_path: str) -> Endpoint | None:
    """The endpoint of a raw path (percent-encoding as it came, no query), or None when it is no caller path."""
    path = canonical(raw_path)
    exact = _EXACT.get(path)
    if exact is not None:
        return exact
    if match := _PINNED.fullmatch(path):
        operation = match["operation"]
        dialect, kind = _PINNED_OPERATIONS[operation]
        return Endpoint(f"/v1/providers/{{provider}}/{operation}", dialect, kind, argument=unquote(match["argument"]))
    if match := _GEMINI_MODEL.fullmatch(path):
        verb, model = match["verb"], unquote(match["argument"])
        template = f"/{match['version']}/models/{{model}}:{verb}"
        operation_of_verb, streams = _GEMINI_OPERATIONS[verb]
        return Endpoint(template, "gemini", operation_of_verb, argument=model, streams=streams)
    if match := _GEMINI_GET.fullmatch(path):
        return Endpoint("/v1beta/models/{model}", "gemini", "get_model", ("GET",), unquote(match["argument"]))
    if match := _MODEL.fullmatch(path):
        return Endpoint("/v1/models/{id}", "openai_chat", "get_model", ("GET",), unquote(match["argument"]))
    return None


def canonical(raw_path: str) -> str:
    """Aliases in place: `/v1/v1/*` and `/api/v1/*` are `/v1/*`, `/codex/*` is `/v1/responses`."""
    if raw_path.startswith("/v1/v1/"):
        return raw_path[3:]
    if raw_path.startswith("/api/v1/"):
        return raw_path[4:]
    if raw_path.startswith("/codex/"):
        return "/v1/responses"
    return _ALIASES.get(raw_path, raw_path)


def is_caller_area(raw_path: str) -> bool:
    """Under `/v1` or `/v1beta`: an unknown path there is answered here, in dialect."""
    path = canonical(raw_path)
    return path == "/v1" or path.startswith(("/v1/", "/v1beta/")) or path == "/v1beta"


def dialect_of_area(raw_path: str) -> CallerDialect:
    """The dialect for errors about an unknown path."""
    path = canonical(raw_path)
    if path.startswith("/v1beta"):
        return "gemini"
    if path.startswith("/v1/responses"):
        return "openai_responses"
    return "anthropic_messages" if path.startswith("/v1/messages") else "openai_chat"
