"""Which addresses may come in at all, and how often: what an operator sets. `admission/gate.py` obeys it."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Address = Annotated[str, Meta(min_length=1, max_length=60)]
MAX_ENTRIES = 10_000


class TempBan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An address or range that may not come in until then (unix seconds)."""

    ip: Address
    until: float
    reason: Annotated[str, Meta(max_length=200)] = ""


class IpFilter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Entries are addresses, CIDR ranges, or IPv4 like `10.0.*.*`. Lists and bans count while it is `enabled`.

    `blacklist`: all but the black ones. `whitelist`: the white ones that are not black. `whitelist-priority`: the
    white ones in any case, of the others all but the black. `rpm`: requests a minute from one address, 0 = no limit;
    it counts by itself.
    """

    enabled: bool = False
    mode: Literal["blacklist", "whitelist", "whitelist-priority"] = "blacklist"
    blacklist: Annotated[tuple[Address, ...], Meta(max_length=MAX_ENTRIES)] = ()
    whitelist: Annotated[tuple[Address, ...], Meta(max_length=MAX_ENTRIES)] = ()
    temp_bans: Annotated[tuple[TempBan, ...], Meta(max_length=MAX_ENTRIES)] = ()
    rpm: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0
