"""Where a request can go: a connection (an account or key at a provider), and a model there."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import Literal

from gateway.domain.dialect import ProviderDialect
from gateway.domain.mend import Mend

ProxyLevel = Literal["", "connection", "provider", "global"]

Tier = Literal["subscription", "api-key", "cheap", "free"]
"""What a connection's tokens cost its operator, in the order in which tiers are walked."""


@dataclass(frozen=True, slots=True, eq=False)
class Connection:
    """One account at a provider, compiled: its secret is open, its URLs are whole. Never shown with `repr`.

    `provider` is its id, `prefix` what people write before the `/` of a model's name.
    `paths` maps an operation (`chat`, `models`) to a whole URL. `headers` are raw `Name: value` lines with the
    credential among them. Empty `models` = any id. `refuses_stream_options` comes from a quirk of the provider.
    """

    id: str
    name: str
    provider: str
    prefix: str
    dialect: ProviderDialect
    paths: dict[str, str]
    headers: tuple[bytes, ...] = field(repr=False)
    priority: int = 1
    tier: Tier = "api-key"
    models: frozenset[str] = frozenset()
    transport: Literal["direct", "curl", "demo"] = "direct"
    allow_private: bool = False
    fingerprint: str = ""
    proxy: str = field(default="", repr=False)
    proxy_level: ProxyLevel = ""
    """Whose it is."""
    proxy_shown: str = ""
    """Without its credentials, for the log of requests."""
    drop_request_fields: tuple[str, ...] = ()
    refuses_stream_options: bool = False
    is_limited_by_model: bool = False
    speaks: dict[ProviderDialect, str] = field(default_factory=dict)
    """Other dialects it serves as well: whole URLs of their chat operation."""
    written_as: tuple[tuple[frozenset[str], tuple[str, ...]], ...] = ()
    """Names that change how requests are written (`providers/spec.py`), and the patterns of the models they are for."""
    mend: Mend | None = None
    max_outputs: dict[str, int] = field(default_factory=dict)
    """Tokens a model can write, where known."""
    rpm: int = 0
    """Starts a minute; this, the least gap between two starts and the most open at once are 0 where there is no limit."""
    min_gap_ms: int = 0
    max_concurrency: int = 0
    is_oauth: bool = False
    """Its credential is a token that can be fetched anew (`relay/refresh.py`)."""
    adapts_concurrency: bool | None = None
    """Find out how many it takes at once; None = as the setting for all says."""
    header_block: bytes = field(init=False, repr=False)
    """`headers` as they stand in a request, each with its end of line."""
    mark: int = field(init=False, repr=False)
    """64 bits made of `id`, the same in every worker (`routing/affinity.py`)."""

    def quirks_of(self, model: str) -> frozenset[str]:
        """The names that count for a model."""
        return frozenset(
            name
            for names, patterns in self.written_as
            if not patterns or any(fnmatchcase(model, pattern) for pattern in patterns)
            for name in names
        )

    def __post_init__(self) -> None:
        object.__setattr__(self, "header_block", b"".join(line + b"\r\n" for line in self.headers))
        digest = blake2b(self.id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        object.__setattr__(self, "mark", int.from_bytes(digest, "big"))

    @property
    def credentials(self) -> frozenset[str]:
        """Its secrets, as they stand in its headers."""
        return credentials_in(self.headers)

    def without_secret(self, said: bytes) -> bytes:
        """What a provider said, with `***` for the connection's credential: some quote it in their errors."""
        for line in self.headers:
            name, _, value = line.partition(b":")
            secret = value.split()[-1] if value.split() else b""
            if name.lower() in CREDENTIAL_HEADERS and len(secret) >= MIN_SECRET_BYTES:
                said = said.replace(secret, b"***")
        return said


def credentials_in(lines: Iterable[bytes]) -> frozenset[str]:
    """The credentials in lines of headers."""
    found = set()
    for line in lines:
        name, _, value = line.partition(b":")
        words = value.split()
        if words and name.lower() in CREDENTIAL_HEADERS and len(words[-1]) >= MIN_SECRET_BYTES:
            found.add(words[-1].decode("latin-1"))
    return frozenset(found)


CREDENTIAL_HEADERS = frozenset({b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"})
MIN_SECRET_BYTES = 8
"""Shorter ones are no secrets, and would be found within words."""


@dataclass(frozen=True, slots=True)
class Target:
    """One connection with one upstream model. `combo` is the combo it came from, if any."""

    connection: Connection
    model: str
    combo: str = ""


def target_id(connection_id: str, model: str) -> str:
    """The name of a target in tables and in Redis; a connection's own is `connection_id`."""
    return f"{connection_id}\0{model}"
