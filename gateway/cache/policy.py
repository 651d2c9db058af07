"""Which requests may be answered from the cache, and whose answers are whose. Pure."""

from collections.abc import Mapping, Sequence

from gateway.domain.caching import CacheSettings, CacheSwitch, SharingSettings
from gateway.domain.caller import Caller
from gateway.domain.chat import ChatRequest

BETAS = frozenset({b"anthropic-beta", b"openai-beta"})
_CLIENT = frozenset({b"user-agent", b"originator", b"x-omniroute-unsupported-tools"})
"""By these a client may say that it gets along without a provider's own tools."""
_REFUSAL = b"x-omniroute-no-cache"
_TOLD = BETAS | _CLIENT | {_REFUSAL}


def tenant_of(caller: Caller) -> str:
    """Who shares answers: the keys of one scope, else a key alone, else all who come without a key."""
    if caller.cache_scope:
        return f"scope:{caller.cache_scope}"
    return f"key:{caller.key_id}" if caller.digest else "anonymous"


def is_wanted(settings: CacheSettings, key_says: CacheSwitch, combo: Mapping[str, object] | None) -> bool:
    """The key's word counts before the combo's (`cache: true`), and that before the settings'."""
    if settings.mode == "off" or key_says == "off":
        return False
    if key_says == "on":
        return True
    combo_says = combo.get("cache") if combo else None
    return bool(combo_says) if isinstance(combo_says, bool) else settings.mode == "on"


def shares_equal(settings: SharingSettings, key_says: CacheSwitch, combo: Mapping[str, object] | None) -> bool:
    """Whether equal requests ask once: by the key's word, else the combo's (`single_flight: true`), else the settings'."""
    if settings.single_flight == "off" or key_says == "off":
        return False
    combo_says = combo.get("single_flight") if combo else None
    if key_says != "on" and isinstance(combo_says, bool):
        return combo_says
    return key_says == "on" or settings.single_flight == "on"


def telling(headers: Sequence[tuple[bytes, bytes]]) -> tuple[tuple[bytes, bytes], ...] | None:
    """The headers that count for an answer. None with `X-OmniRoute-No-Cache: true`: it is neither looked for nor kept."""
    found = tuple([pair for pair in headers if pair[0] in _TOLD])
    for name, value in found:
        if name == _REFUSAL and value.lower() in (b"true", b"1"):
            return None
    return found


def is_repeatable(request: ChatRequest, settings: CacheSettings) -> bool:
    """Whether an answer of it may be given again: no tool of the provider's own looks at a world that changes."""
    if request.built_in_tools or request.n != 1:
        return False
    return settings.any_temperature or request.temperature == 0
