"""How many input tokens a request has, counted here. Never exact; the tests say how far off.

For callers who ask for a count where the target has no such endpoint, for the first event of a stream, and for the
accounts when a provider tells nothing.
"""

import re
from collections.abc import Mapping

import msgspec
from msgspec import structs

from gateway.dialects.media import image_size
from gateway.domain.chat import (
    Answer,
    ChatRequest,
    File,
    Image,
    Part,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from gateway.domain.dialect import ProviderDialect
from gateway.domain.usage import Usage


class _Overhead(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider adds of its own, in tokens. `schema_share`: what a JSON schema costs, of what its text would.

    Providers do not send schemas to their models as they are: OpenAI's become declarations, Gemini's are free.
    """

    request: int
    turn: int
    any_tools: int
    tool: int
    call: int
    tool_schema_share: float
    output_schema: int
    output_schema_share: float
    least_picture: int
    picture: int
    """A picture of unknown size, and the most that one counts: providers scale larger ones down."""


_OPENAI = _Overhead(
    request=4, turn=3, any_tools=15, tool=4, call=10, tool_schema_share=0.5, output_schema=0, output_schema_share=1.0,
    least_picture=85, picture=800,
)  # fmt: skip
_ANTHROPIC = _Overhead(
    request=8, turn=1, any_tools=440, tool=10, call=40, tool_schema_share=0.8, output_schema=120,
    output_schema_share=1.2, least_picture=50, picture=1600,
)  # fmt: skip
_GEMINI = _Overhead(
    request=1, turn=1, any_tools=0, tool=0, call=8, tool_schema_share=0.6, output_schema=0, output_schema_share=0.0,
    least_picture=258, picture=1100,
)  # fmt: skip
_OVERHEADS: Mapping[ProviderDialect, _Overhead] = {
    "openai_chat": _OPENAI,
    "openai_responses": _OPENAI,
    "anthropic_messages": _ANTHROPIC,
    "gemini": _GEMINI,
}
"""By recorded counts of OpenAI's, Anthropic's and Google's own models, 2024 to 2026."""

_BUILT_IN_TOOL_TOKENS = 300

_LOW_DETAIL_TOKENS = 85
_PIXELS_A_TOKEN = 750

FILE_TOKENS = 2000
"""A file of which only a name or an address is known."""

PAGE_TOKENS = 1500
"""The least of a PDF: a page's text, and the page as a picture."""

_BYTES_A_TOKEN = {"application/pdf": 25, "audio/mpeg": 500, "audio/wav": 1000, "audio": 800, "video": 1000}
_TEXT_BYTES_A_TOKEN = 4
"""Of a file's real bytes. PDF: some 50 KB and 2,000 tokens a page; sound: 32 tokens a second, video 263 (Gemini)."""

_DENSE = bytes(code for code in range(33, 127) if not chr(code).isalpha())
_ASCII = bytes(range(128))
_WIDE = re.compile("[\u1100-\u11ff\u2e80-\ua4cf\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef\U0001f000-\U0003ffff]")

_ESCAPED_LETTER = re.compile(rb"\\u")
_PIECES, _PIECE_BYTES = 64, 128
"""Letters against signs in pieces spread over a long body are nearly those of the whole. Single bytes at one distance are
not: text in columns, or that repeats itself, shows them the same sign again and again."""

_encode = msgspec.json.Encoder().encode


def estimated_tokens(request: ChatRequest, dialect: ProviderDialect = "openai_chat") -> int:
    """Tokens of the whole input: turns with their pictures, files, calls and results, tools with their schemas.

    `dialect` is the target's, where it is known: what providers add of their own differs most (Anthropic: some 440
    tokens as soon as there is a tool).
    """
    overhead = _OVERHEADS[dialect]
    tokens = float(overhead.request)
    for turn in request.turns:
        tokens += overhead.turn + sum(_of_part(part, overhead) for part in turn.parts)
    if request.tools:
        tokens += overhead.any_tools + sum(_of_tool(tool, overhead) for tool in request.tools)
    tokens += _BUILT_IN_TOOL_TOKENS * len(request.built_in_tools)
    if request.output_format is not None and request.output_format.schema is not None:
        tokens += overhead.output_schema + overhead.output_schema_share * _of_json(request.output_format.schema)
    return max(round(tokens), 1)


def plain_tokens(body: bytes) -> int | None:
    """Tokens of a request that is ASCII text alone, by its bytes: some too many, since its JSON is counted.

    For dialects whose pictures, files and tools have a `"type"` somewhere. None: it may be more than text, or escaped text of
    another script, and `estimated_tokens` knows. A fifth of what decoding the request costs.
    """
    # rfind and the pattern take half as long as `in`, which looks for short bytes slowly
    if not body.isascii() or body.rfind(b'"type"') >= 0 or (b"\\" in body and _ESCAPED_LETTER.search(body)):
        return None
    if len(body) <= 2 * _PIECES * _PIECE_BYTES:
        return round(_of_ascii(body)) + 1
    every = len(body) // _PIECES
    looked_at = b"".join([body[at : at + _PIECE_BYTES] for at in range(0, every * _PIECES, every)])
    return round(_of_ascii(looked_at) * len(body) / len(looked_at)) + 1


def text_tokens(text: str) -> int:
    """Tokens of a text alone."""
    return round(_of_text(text))


def _of_text(text: str) -> float:
    """Letters and spaces some five a token, digits and signs less than two, CJK and emoji one each.

    So English prose has 4.5 to 5 bytes a token, code three, JSON two and a half, Greek and Cyrillic two letters.
    """
    if text.isascii():
        data, wide, foreign = text.encode(), 0, 0
    else:
        wide = len(_WIDE.findall(text))
        data = (_WIDE.sub("", text) if wide else text).encode("utf-8", "replace")
        foreign = len(data.translate(None, _ASCII))
    if not wide and not foreign:
        return _of_ascii(data)
    loose = len(data.translate(None, _DENSE)) - foreign
    return wide + loose / 5.2 + foreign / 4 + (len(data) - loose - foreign) * 0.7


def _of_ascii(data: bytes) -> float:
    loose = len(data.translate(None, _DENSE))
    return loose / 5.2 + (len(data) - loose) * 0.7


def _of_part(part: Part, overhead: _Overhead) -> float:
    if isinstance(part, Text | Thinking | Refusal):
        return _of_text(part.text)  # what stands in signatures is the provider's own business
    if isinstance(part, ToolCall):
        return overhead.call + _of_text(part.name) + _of_text(part.arguments)
    if isinstance(part, ToolResult):
        return overhead.call + sum(_of_part(inner, overhead) for inner in part.content)
    return _of_image(part, overhead) if isinstance(part, Image) else _of_file(part)


def _of_image(image: Image, overhead: _Overhead) -> int:
    if image.detail == "low":
        return _LOW_DETAIL_TOKENS
    size = image_size(image.data) if image.data else None
    if size is None:
        return overhead.picture
    return min(max(size[0] * size[1] // _PIXELS_A_TOKEN, overhead.least_picture), overhead.picture)


def _of_file(file: File) -> float:
    if file.text:
        return _of_text(file.text)
    if not file.data:
        return FILE_TOKENS
    kind = file.media_type
    bytes_a_token = _BYTES_A_TOKEN.get(kind) or _BYTES_A_TOKEN.get(kind.partition("/")[0], _TEXT_BYTES_A_TOKEN)
    tokens = len(file.data) * 3 // 4 // bytes_a_token
    return max(tokens, PAGE_TOKENS) if kind == "application/pdf" else tokens


def _of_tool(tool: Tool, overhead: _Overhead) -> float:
    schema = 0.0 if tool.schema is None else overhead.tool_schema_share * _of_json(tool.schema)
    return overhead.tool + _of_text(tool.name) + _of_text(tool.description) + schema


def _of_json(value: object) -> float:
    return _of_text(_encode(value).decode())


def with_usage(answer: Answer, request: ChatRequest, dialect: ProviderDialect) -> Answer:
    """The answer with an estimate where its provider told no usage: clients need one, and zeros would be wrong."""
    if answer.usage is not None:
        return answer
    written = sum(
        text_tokens(part.arguments if isinstance(part, ToolCall) else part.text)
        for part in answer.parts
        if isinstance(part, Text | Refusal | Thinking | ToolCall)
    )
    return structs.replace(
        answer, usage=Usage(input=estimated_tokens(request, dialect), output=max(1, written), estimated=True)
    )
