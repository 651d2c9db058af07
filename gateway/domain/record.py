"""The line kept for each request with a valid key: what was asked, who answered, what it used.

Written by a worker (`accounting/record.py`), carried by the record stream or a spool file, inserted once by the
ledger job of the control plane. Encoded as JSON so that an operator can read a spool file.
"""

import msgspec

from gateway.domain.caching import HowAnswered
from gateway.domain.decision import Decision
from gateway.domain.usage import Usage


class AttemptRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One try at one target. `outcome` is a word of `domain/outcome.py`; times in ms.

    `dropped` is what the request said and the target's dialect cannot. `proxy` is the one that the call went through, without
    credentials, and `proxy_level` whose it is (`domain/target.py`).
    """

    provider: str
    connection_id: str
    model: str
    outcome: str
    status: int = 0
    duration_ms: float = 0.0
    error: str = ""
    dropped: tuple[str, ...] = ()
    proxy: str = ""
    proxy_level: str = ""


class RequestRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request. `id` is ours (UUIDv7) and unique in the ledger; instants are unix seconds, spans ms.

    `state` is `final` (settled by the worker that served it) or `lost` (its worker died; written by the ledger
    job from the note in flight, with estimated usage). `status` is what the caller got; 499 = the caller left.
    `cost_nano_usd` is what its key was charged; 0 when no price is known too.
    """

    id: str
    at: float
    worker: str
    endpoint: str
    dialect: str
    requested_model: str
    request_id: str = ""
    key_id: str = ""
    key_name: str = ""
    combo: str = ""
    provider: str = ""
    connection_id: str = ""
    model: str = ""
    is_stream: bool = False
    status: int = 0
    error: str = ""
    state: str = "final"
    usage: Usage = Usage()
    cost_nano_usd: int = 0
    attempts: tuple[AttemptRecord, ...] = ()
    first_byte_ms: float | None = None
    duration_ms: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    cache: HowAnswered = ""
    """Not empty: no provider was asked for it, so its usage and cost are nothing, and the fields below say what it saved."""
    saved_input: int = 0
    saved_output: int = 0
    saved_nano_usd: int = 0
    routing: Decision | None = None
    """Kept when the caller asked for an explanation, or the operator wants it of all requests."""


encode_record = msgspec.json.Encoder().encode
decode_record = msgspec.json.Decoder(RequestRecord).decode
