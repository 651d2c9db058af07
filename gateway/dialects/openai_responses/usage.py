"""Usage on this wire. It counts as we do: input includes cached tokens, output includes reasoning."""

from typing import TypeGuard

from gateway.domain.usage import Usage

_MOST = 1_000_000_000
"""Negative and absurd figures are not believed."""


def usage_of(raw: object) -> Usage | None:
    """The five counts of a `usage` object; None when it is not one. One odd field does not lose the others.

    A part is never larger than its whole.
    """
    if not isinstance(raw, dict) or not any(_is_number(raw.get(name)) for name in ("input_tokens", "output_tokens")):
        return None
    details_in = raw.get("input_tokens_details")
    details_out = raw.get("output_tokens_details")
    told, said = _count(raw.get("input_tokens")), _count(raw.get("output_tokens"))
    read = min(_detail(details_in, "cached_tokens"), told)
    return Usage(
        input=told,
        output=said,
        cache_read=read,
        cache_write=min(_detail(details_in, "cache_write_tokens"), told - read),
        reasoning=min(_detail(details_out, "reasoning_tokens"), said),
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


def _detail(details: object, name: str) -> int:
    return _count(details.get(name)) if isinstance(details, dict) else 0


def _count(value: object) -> int:
    return int(value) if _is_number(value) and 0 <= value <= _MOST else 0


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
