"""What an answer used. Five counts kept apart; `input` includes cached reads, `output` includes reasoning.

The convention is OpenAI's: `cache_read` and `cache_write` are parts of `input`, `reasoning` is a part of
`output`. Codecs of dialects that count otherwise (Anthropic) convert at their edge.
"""

import msgspec


class Usage(msgspec.Struct, frozen=True):
    """Token counts of one answer. All are >= 0. `estimated` means counted here, not told by the provider."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    estimated: bool = False
