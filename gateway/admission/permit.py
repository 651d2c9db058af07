"""What a key may ask for. Pure."""

from functools import lru_cache

from gateway.domain.caller import Caller
from gateway.domain.errors import Forbidden
from gateway.domain.target import Target
from gateway.routing.catalog import compile_pattern

_pattern = lru_cache(maxsize=10_000)(compile_pattern)


def may_use(caller: Caller, name: str) -> bool:
    """Whether a name matches the key's list of models. An empty list allows all."""
    return not caller.allowed_models or any(_pattern(allowed).fullmatch(name) for allowed in caller.allowed_models)


def permitted(caller: Caller, asked: str, targets: tuple[Target, ...]) -> tuple[Target, ...]:
    """The targets this key may use: all when the name asked for is allowed, else those allowed by their own name.

    Raises Forbidden when none is left.
    """
    if may_use(caller, asked):
        return targets
    allowed = tuple(target for target in targets if may_use(caller, f"{target.connection.prefix}/{target.model}"))
    if not allowed:
        raise Forbidden(f"this API key may not use the model {asked!r}", code="model_not_allowed")
    return allowed
