"""One request as the cache sees it. Pure."""

from collections.abc import Sequence

import msgspec

from gateway.domain.chat import ChatRequest
from gateway.domain.dialect import CallerDialect


class Asked(msgspec.Struct, frozen=True):
    """A request to be known by its signature. `pinned_provider` comes from the path; `headers` have lower-case names.

    `meaning`: a digest of what the name of its model stands for.
    """

    tenant: str
    dialect: CallerDialect
    pinned_provider: str
    body: bytes
    headers: Sequence[tuple[bytes, bytes]]
    request: ChatRequest
    meaning: str = ""
