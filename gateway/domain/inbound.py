"""A request as the edge hands it to the journey."""

import msgspec


class Inbound(msgspec.Struct, frozen=True):
    """One request as the edge hands it over.

    `endpoint` is the template of its path, `forwarded` are header lines that may go upstream; `pinned_provider` comes from the path, if it names one.
    """

    request_id: str
    caller_request_id: str
    endpoint: str
    body: bytes
    forwarded: tuple[bytes, ...]
    started_at: float
    pinned_provider: str = ""
