"""A request as the edge hands it to the journey."""

from collections.abc import Sequence

import msgspec

from gateway.domain.dialect import CallerDialect


class Inbound(msgspec.Struct, frozen=True):
    """One request as the edge hands it over.

    `endpoint` is the template of its path; `pinned_provider` comes from the path, if it names one. `path_model`,
    `path_streams` and `wants_array` come from Gemini's paths. `headers` are all that came, names in lower case.
    """

    request_id: str
    caller_request_id: str
    endpoint: str
    dialect: CallerDialect
    body: bytes
    headers: Sequence[tuple[bytes, bytes]]
    started_at: float
    pinned_provider: str = ""
    path_model: str = ""
    path_streams: bool | None = None
    wants_array: bool = False
    idempotency_key: bytes = b""
    """What the caller calls this request, so that a repeated one is answered once; empty = nothing."""
    sent_body: bytes = b""
    """What the caller sent, when the operator's shaping has made another `body` of it."""
