"""A request as the edge hands it to the journey."""

import msgspec

from gateway.domain.dialect import CallerDialect


class Inbound(msgspec.Struct, frozen=True):
    """One request as the edge hands it over.

    `endpoint` is the template of its path; `pinned_provider` comes from the path, if it names one. `forwarded` are header
    lines for a provider of the caller's own dialect, `forwarded_anywhere` those for any. `path_model`, `path_streams` and
    `wants_array` come from Gemini's paths, `session` from a header. `does_without_tools`: built-in tools that a target lacks are
    left out instead of refused.
    """

    request_id: str
    caller_request_id: str
    endpoint: str
    dialect: CallerDialect
    body: bytes
    forwarded: tuple[bytes, ...]
    forwarded_anywhere: tuple[bytes, ...]
    started_at: float
    pinned_provider: str = ""
    path_model: str = ""
    path_streams: bool | None = None
    wants_array: bool = False
    session: str = ""
    does_without_tools: bool = False
