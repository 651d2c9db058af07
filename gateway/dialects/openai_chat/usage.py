"""The `usage` object of Chat Completions, read and written."""

from typing import Any, TypeGuard

from gateway.domain.usage import Usage

MAX_COUNT = 1_000_000_000
"""A count above it is not believed."""


def usage_in(usage: object, x_groq: object = None) -> Usage | None:
    """The counts of a chunk; Groq tells them under `x_groq` too, alone when nobody asked for usage."""
    if usage is None and isinstance(x_groq, dict):
        usage = x_groq.get("usage")
    return usage_of(usage)


def usage_of(raw: object) -> Usage | None:
    """The five counts of a `usage` object; None when it is not one.

    Each count is read by itself, so one odd field does not lose the others. Negative or absurd figures are not
    believed. `prompt_cache_hit_tokens` is DeepSeek's name for cached ones. xAI counts reasoning beside
    `completion_tokens`, all others within (recorded: 12 + 2 with 340 of reasoning is a total of 354). Azure told 387
    cached tokens of a prompt of 293: no more than the prompt is believed.
    """
    if not isinstance(raw, dict):
        return None
    told_prompt, told_completion = raw.get("prompt_tokens"), raw.get("completion_tokens")
    if not _is_number(told_prompt) and not _is_number(told_completion):
        return None
    prompt, completion = _count(told_prompt), _count(told_completion)
    details_in, details_out = raw.get("prompt_tokens_details"), raw.get("completion_tokens_details")
    if details_in is None and details_out is None and "prompt_cache_hit_tokens" not in raw:
        return Usage(prompt, completion)
    cached = written = reasoning = 0
    if isinstance(details_in, dict):
        cached, written = _count(details_in.get("cached_tokens")), _count(details_in.get("cache_write_tokens"))
    if isinstance(details_out, dict):
        reasoning = _count(details_out.get("reasoning_tokens"))
    read = min(cached or _count(raw.get("prompt_cache_hit_tokens")), prompt)
    is_beside = reasoning > 0 and (
        reasoning > completion or _count(raw.get("total_tokens")) == prompt + completion + reasoning
    )
    return Usage(
        input=prompt,
        output=completion + (reasoning if is_beside else 0),
        cache_read=read,
        cache_write=min(written, prompt - read),
        reasoning=reasoning,
    )


def _count(value: object) -> int:
    if type(value) is int:
        return value if 0 <= value <= MAX_COUNT else 0
    return int(value) if _is_number(value) and 0 <= value <= MAX_COUNT else 0


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def usage_object(usage: Usage) -> dict[str, Any]:
    """As callers read it; the SDK's type needs the three totals."""
    details: dict[str, Any] = {"cached_tokens": usage.cache_read}
    if usage.cache_write:
        details["cache_write_tokens"] = usage.cache_write
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": details,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }
