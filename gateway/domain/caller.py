"""Who is asking."""

import ipaddress

import msgspec

from gateway.domain.caching import CacheSwitch
from gateway.domain.shaping import ShapingStep

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Door(msgspec.Struct, frozen=True):
    """Where a key may come from (`networks`), and at which paths (`endpoints`, patterns); empty = anywhere."""

    endpoints: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()


class Caller(msgspec.Struct, frozen=True):
    """A checked gateway key, or the anonymous caller when keys are not required (`digest` empty).

    `version` is the key's version that was read; `take` refuses an older one. `expires_at`: unix seconds, 0 = never.
    `rpm` (requests a minute), `tpm` (tokens a minute), `concurrency` (open requests) and `budget_nano_usd` (money a
    `budget_period`: daily, weekly, monthly or total) of 0 mean no limit. `is_strict`: rather refused than not exact.
    """

    key_id: str
    key_name: str
    digest: str
    version: int
    allowed_models: tuple[str, ...] = ()
    expires_at: float = 0.0
    is_strict: bool = False
    rpm: int = 0
    concurrency: int = 0
    tpm: int = 0
    budget_nano_usd: int = 0
    budget_period: str = ""
    unshaped: tuple[ShapingStep, ...] = ()
    """Steps of request shaping that the key is spared."""
    priority: str = "interactive"
    """The class of the key: which requests an overloaded worker refuses first (`admission/load.py`)."""

    is_no_log: bool = False
    """Nothing of what it asks or gets is kept."""
    stores_bodies: bool = False
    """What it asks and is answered is stored, redacted."""
    cache_scope: str = ""
    """Keys of one scope share answers; a key without one shares them with nobody."""
    cache: CacheSwitch = ""
    single_flight: CacheSwitch = ""
    providers: frozenset[str] = frozenset()
    """Ids or prefixes of the providers that it may reach; empty = all."""
    door: Door | None = None
    """None for most keys: then nothing is asked."""
    counted_as: str = ""
    """The digest under which its limits are counted, when that is another: a key that was rotated goes on counting."""
    warn_nano_usd: int = 0
    """From so much spent of its budget on it is told in a header; 0 = never."""
    second_budget_nano_usd: int = 0
    """Of a key with two budgets, of different periods; only beside a first one. 0 = it has none."""
    second_budget_period: str = ""
    second_warn_nano_usd: int = 0

    @property
    def counter(self) -> str:
        """Names its windows and what it spent."""
        return self.counted_as or self.digest

    @property
    def has_limits(self) -> bool:
        return bool(self.rpm or self.concurrency or self.tpm or self.budget_nano_usd)


ANONYMOUS = Caller(key_id="", key_name="anonymous", digest="", version=0)
