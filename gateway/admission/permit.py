"""What a key may ask for, where, and from where. Pure."""

from functools import lru_cache

from gateway.config.addresses import plain_address
from gateway.domain.caller import Caller, Door
from gateway.domain.errors import Forbidden
from gateway.domain.target import Target
from gateway.routing.catalog import compile_pattern

_pattern = lru_cache(maxsize=10_000)(compile_pattern)


def may_use(caller: Caller, name: str) -> bool:
    """Whether a name matches the key's list of models. An empty list allows all."""
    return not caller.allowed_models or any(_pattern(allowed).fullmatch(name) for allowed in caller.allowed_models)


def may_list(caller: Caller, name: str, owner: str) -> bool:
    """Whether a name of `owner` (a provider's id, `combo` or `alias`) is shown to the key."""
    if not may_use(caller, name):
        return False
    return not caller.providers or owner in ("combo", "alias") or may_reach(caller, owner, name.partition("/")[0])


def may_reach(caller: Caller, provider: str, prefix: str) -> bool:
    """Whether the key's list of providers has this one, by id or prefix. An empty list allows all."""
    return not caller.providers or provider in caller.providers or prefix in caller.providers


def pass_door(door: Door, template: str, address: str) -> None:
    """Let a key in at a path (as the table of endpoints spells it) from an address. Raises Forbidden."""
    if door.endpoints and not any(_pattern(allowed).fullmatch(template) for allowed in door.endpoints):
        raise Forbidden(f"this API key may not be used at {template}", code="endpoint_not_allowed")
    if door.networks:
        parsed = plain_address(address)
        if parsed is None or not any(parsed in network for network in door.networks):
            raise Forbidden("this API key may not be used from this address", code="address_not_allowed")


def permitted(caller: Caller, asked: str, targets: tuple[Target, ...]) -> tuple[Target, ...]:
    """The targets this key may use: all when the name asked for is allowed, else those allowed by their own name.

    Raises Forbidden when none is left.
    """
    if may_use(caller, asked) and not caller.providers:
        return targets
    allowed = tuple(
        target
        for target in targets
        if may_reach(caller, target.connection.provider, target.connection.prefix)
        and (may_use(caller, asked) or may_use(caller, f"{target.connection.prefix}/{target.model}"))
    )
    if not allowed:
        raise Forbidden(f"this API key may not use the model {asked!r}", code="model_not_allowed")
    return allowed
