"""Which models are known not to do what a request needs. What is not known of a model is not held against it. Pure."""

import re
from collections.abc import Iterable

import msgspec

from gateway.domain.errors import BadRequest
from gateway.providers.spec import ModelSpec

BYTES_PER_TOKEN = 5
"""Of a request body. Rather too few tokens than too many: a guess must not take a target away."""

_SIGNS = re.compile(
    rb'"(?:(?P<vision>image_url"|input_image"|type"\s*:\s*"image"'
    rb'|inline_?[dD]ata"\s*:\s*\{[^{}]{0,100}?"image/)'
    rb'|(?P<tools>tools"\s*:\s*\[\s*\{)'
    rb'|(?P<structured>(?:json_schema|responseSchema|response_schema|responseJsonSchema|output_format)"))'
)
"""How the dialects write it. Quotes inside a text are escaped, so these bytes stand only where JSON itself is meant."""

_WORDS = {
    "vision": "take pictures",
    "tools": "call tools",
    "structured": "answer by a schema",
    "context": "take a request that long",
}


class Needs(msgspec.Struct, frozen=True):
    """What a request needs of a model. `tokens`: its estimated input and what the answer may have, 0 = not known."""

    vision: bool = False
    tools: bool = False
    structured: bool = False
    tokens: int = 0


NO_NEEDS = Needs()


def needs_of(
    body_size: int,
    *,
    vision: bool = False,
    tools: bool = False,
    structured: bool = False,
    max_tokens: int = 0,
    picture_bytes: int = 0,
) -> Needs:
    """Needs from what is known of a body: its size in bytes (`picture_bytes` of them base64), and what is in it.

    The size says nothing about tokens where pictures are and their part is not known.
    """
    tokens = 0 if vision and not picture_bytes else max(0, body_size - picture_bytes) // BYTES_PER_TOKEN
    return Needs(vision, tools, structured, tokens + max(0, max_tokens) if tokens else 0)


def needs_in(body: bytes, max_tokens: int = 0) -> Needs:
    """Needs of a body in any dialect, seen without decoding it: one search of its bytes, 2 ms for a megabyte."""
    seen = {sign.lastgroup for sign in _SIGNS.finditer(body)}
    return needs_of(
        len(body),
        vision="vision" in seen,
        tools="tools" in seen,
        structured="structured" in seen,
        max_tokens=max_tokens,
    )


def missing(needs: Needs, facts: ModelSpec | None) -> str:
    """What the model is known not to do: `vision`, `tools`, `structured` or `context`; empty = nothing known.

    A model whose data file lists no capabilities at all is not known.
    """
    if facts is None:
        return ""
    if facts.context and needs.tokens > facts.context:
        return "context"
    can = facts.capabilities
    if can:
        if needs.vision and "vision" not in can:
            return "vision"
        if needs.tools and "tools" not in can:
            return "tools"
        if needs.structured and "structured" not in can:
            return "structured"
    return ""


def nothing_can(lacks: Iterable[str], needs: Needs) -> BadRequest:
    """The answer when every target was dropped; `lacks` are the words of `missing`."""
    words = sorted(set(lacks))
    if words == ["context"]:
        return BadRequest(
            f"no target of this model can take about {needs.tokens} tokens (input and answer together)",
            code="context_length_exceeded",
        )
    what = " or ".join(_WORDS.get(word, word) for word in words)
    return BadRequest(f"no target of this model can {what}", code="unsupported_by_target", param="model")
