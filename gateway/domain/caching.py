"""What an operator sets about the response cache (`settings: cache:`, `/api/settings`)."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

CacheMode = Literal["off", "opt-in", "on"]
"""`opt-in`: only for keys and combos that ask for it; `on`: for all but those that do without."""
CacheSwitch = Literal["", "on", "off"]
"""Of a key. Empty = as the combo or the settings say."""
SemanticMode = Literal["off", "shadow", "on"]
"""`shadow`: what would have been found is counted and logged, and the provider is asked all the same."""
HowAnswered = Literal["", "hit", "semantic", "idempotent", "joined"]
"""Why a request cost nothing: found by its signature or its meaning, repeated under its key, or shared with another's call."""


class SemanticSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of the tier that finds answers to the same question in other words. It counts only where the cache is on."""

    mode: SemanticMode = "off"
    embeddings: Annotated[str, Meta(max_length=300)] = ""
    """The model of the vectors, as a caller would write it: `prefix/model`."""
    budget_ms: Annotated[int, Meta(ge=1, le=10_000)] = 150
    """A vector that takes longer is done without: a miss."""
    min_similarity: Annotated[float, Meta(ge=0, le=1)] = 0.7
    """Cosine from which on the guard is asked. It keeps work down; what is safe is the guard's to say."""
    entries_per_scope: Annotated[int, Meta(ge=1, le=1024)] = 256
    """Questions with an answer that are remembered for one system prompt, model, tools and parameters of a tenant."""


class SharingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator sets about requests that share an upstream call (`settings: sharing:`, `/api/settings`). Times in seconds."""

    idempotency_window_s: Annotated[float, Meta(ge=0, le=86_400)] = 5.0
    """So long after its end the answer to an `Idempotency-Key` is repeated; 0 = the header means nothing."""
    by_request_id: bool = False
    """`X-Request-Id` counts as an `Idempotency-Key` too."""
    single_flight: CacheMode = "off"
    """Equal requests that are under way at the same time ask a provider once. `opt-in`: only of keys and combos that want it."""
    lease_s: Annotated[float, Meta(ge=0.2, le=60)] = 3.0
    """A worker that has not said for so long that it lives leads nothing any more."""

    @property
    def is_wide(self) -> bool:
        """Requests without an `Idempotency-Key` may share too."""
        return self.single_flight != "off" or self.by_request_id


class CacheSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sizes in bytes, times in seconds."""

    mode: CacheMode = "on"
    any_temperature: bool = False
    """Also for requests that do not say `temperature: 0`: they get the answer that somebody of their tenant got before."""
    ttl_s: Annotated[float, Meta(ge=0.1, le=30 * 86_400)] = 1800.0
    max_answer_bytes: Annotated[int, Meta(ge=1, le=16 * 1024 * 1024)] = 2 * 1024 * 1024
    """Longer answers are not kept."""
    front_bytes: Annotated[int, Meta(ge=0, le=4 * 1024 * 1024 * 1024)] = 4 * 1024 * 1024
    """Answers that each worker keeps in its own memory, together."""
    semantic: SemanticSettings = SemanticSettings()
