"""Usage on this wire. It counts as we do: input includes cached tokens, output includes reasoning."""

from typing import TypeGuard

from gateway.domain.usage import Usage

_MOST = 1_000_000_000
"""Negative and absurd figures are not believed."""


def usage_of(raw: object) -> Usage | None:
    """The five counts of a `usage` object; None when it is not one. One odd field does not lose the others."""
    if not isinstance(raw, dict) or not any(_is_number(raw.get(name)) for name in ("input_tokens", "output_tokens")):
        return None
    details_in = raw.get("input_tokens_details")
    details_out = raw.get("output_tokens_details")
    return Usage(
        input=_count(raw.get("input_tokens")),
        output=_count(raw.get("output_tokens")),
        cache_read=_count(details_in.get("cached_tokens")) if isinstance(details_in, dict) else 0,
        cache_write=_count(details_in.get("cache_write_tokens")) if isinstance(details_in, dict) else 0,
        reasoning=_count(details_out.get("reasoning_tokens")) if isinstance(details_out, dict) else 0,
    )


def usage_object(usage: Usage) -> dict[str, object]:
    """Both objects of details are always there: typed clients need them."""
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }


def _count(value: object) -> int:
    return int(value) if _is_number(value) and 0 <= value <= _MOST else 0


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
