"""The turns of one conversation go to one connection, so its provider's prompt cache is found again. Pure.

Which one follows from hashes alone (rendezvous hashing), so all workers agree without asking each other, and when a
connection comes or goes only its own conversations move.
"""

from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from gateway.config.snapshot import Combo, RoutingSettings
from gateway.domain.target import Connection
from gateway.routing.offers import Offer
from gateway.routing.resolve import ProviderModel

MAX_RANKED = 32
"""Connections ranked for one conversation; of more, those that follow it on a ring."""

_MASK = (1 << 64) - 1


class Session(msgspec.Struct, frozen=True):
    """A conversation: 64 bits, and whether its client named it (`dialects/headers.session_of`)."""

    key: int
    is_named: bool = True

    @property
    def chance(self) -> float:
        """A number in [0, 1) that stays the same for the conversation."""
        return (self.key >> 11) / 2**53


def session_of_name(scope: str, name: str) -> Session:
    """`scope` is the gateway key's id: two callers that use the same name do not meet."""
    return Session(_hash(scope, name.encode("utf-8", "surrogatepass")))


def session_of_turns(scope: str, first_turns: bytes) -> Session:
    """The same from the bytes of the first turns, when a client names nothing."""
    return Session(_hash(scope, first_turns), is_named=False)


def keeps_turns(combo: Combo | None, settings: RoutingSettings) -> bool:
    """Whether conversations that name themselves nowhere keep their connection: a combo says so itself, else the setting."""
    asked = combo.config.get("affinity") if combo is not None and combo.config else None
    return settings.session_affinity == "turns" if asked is None else bool(asked)


def is_affine(combo: Combo | None, session: Session, settings: RoutingSettings) -> bool:
    """Whether this conversation keeps its connection: a combo says so itself, else the setting.

    A combo in `round-robin` that says nothing keeps its turns.
    """
    asked = combo.config.get("affinity") if combo is not None and combo.config else None
    if asked is not None:
        return bool(asked)
    if settings.session_affinity == "off" or (combo is not None and combo.strategy == "round-robin"):
        return False
    return session.is_named or settings.session_affinity == "turns"


def ranked(offer: Offer, session: Session) -> list[Connection]:
    """The conversation's own connection first, then where it goes when that rests. At most MAX_RANKED of many."""
    key = session.key
    return sorted(offer.around(key, MAX_RANKED), key=lambda account: _mixed(account.mark ^ key), reverse=True)


def ranked_models(models: Sequence[ProviderModel], session: Session) -> list[ProviderModel]:
    """The same for the models of a combo."""
    key = session.key.to_bytes(8, "big")
    return sorted(models, key=lambda model: _hash(f"{model.provider}/{model.model}", key), reverse=True)


def _hash(scope: str, data: bytes) -> int:
    digest = blake2b(scope.encode("utf-8", "surrogatepass") + b"\0" + data, digest_size=8)
    return int.from_bytes(digest.digest(), "big")


def _mixed(bits: int) -> int:
    bits = (bits ^ (bits >> 31)) * 0x9E3779B97F4A7C15 & _MASK
    return (bits ^ (bits >> 29)) * 0xBF58476D1CE4E5B9 & _MASK
