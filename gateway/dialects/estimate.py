"""How many input tokens a request has, counted here. Never exact; the tests say how far off.

For callers who ask for a count where the target has no such endpoint, for the first event of a stream, and for the
accounts when a provider tells nothing.
"""

import re

import msgspec

from gateway.dialects.media import image_size
from gateway.domain.chat import (
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

_TURN_TOKENS = 4
_TOOL_TOKENS = 8
_CALL_TOKENS = 8
_BUILT_IN_TOOL_TOKENS = 300

PICTURE_TOKENS = 1600
"""A picture of unknown size, and the most that one counts: Anthropic scales larger ones down to this."""

_LOW_DETAIL_TOKENS = 85
_PIXELS_A_TOKEN = 750

FILE_TOKENS = 2000
"""A file of which only a name or an address is known."""

_BYTES_A_TOKEN = {"application/pdf": 25, "audio/mpeg": 500, "audio/wav": 1000, "audio": 800, "video": 1000}
_TEXT_BYTES_A_TOKEN = 4
"""Of a file's real bytes. PDF: some 50 KB and 2,000 tokens a page; sound: 32 tokens a second, video 263 (Gemini)."""

_DENSE = bytes(code for code in range(33, 127) if not chr(code).isalpha())
_WIDE = re.compile("[\u1100-\u11ff\u2e80-\ua4cf\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef\U0001f000-\U0003ffff]")

_encode = msgspec.json.Encoder().encode


def estimated_tokens(request: ChatRequest) -> int:
    """Tokens of the whole input: turns with their pictures, files, calls and results, tools with their schemas."""
    tokens = sum(_TURN_TOKENS + sum(map(_of_part, turn.parts)) for turn in request.turns)
    tokens += sum(map(_of_tool, request.tools)) + _BUILT_IN_TOOL_TOKENS * len(request.built_in_tools)
    if request.output_format is not None and request.output_format.schema is not None:
        tokens += _of_json(request.output_format.schema)
    return max(tokens, 1)


def text_tokens(text: str) -> int:
    """Tokens of a text: letters and spaces about four a token, digits and signs two, CJK signs and emoji one each."""
    wide = 0 if text.isascii() else len(_WIDE.findall(text))
    narrow = (_WIDE.sub("", text) if wide else text).encode("utf-8", "replace")
    loose = len(narrow.translate(None, _DENSE))
    return wide + round(loose / 4.4 + (len(narrow) - loose) / 2)


def _of_part(part: Part) -> int:
    if isinstance(part, Text | Thinking | Refusal):
        return text_tokens(part.text)  # what a provider hides of its thoughts, it does not charge again
    if isinstance(part, ToolCall):
        return _CALL_TOKENS + text_tokens(part.name) + text_tokens(part.arguments)
    if isinstance(part, ToolResult):
        return _CALL_TOKENS + sum(map(_of_part, part.content))
    return _of_image(part) if isinstance(part, Image) else _of_file(part)


def _of_image(image: Image) -> int:
    if image.detail == "low":
        return _LOW_DETAIL_TOKENS
    size = image_size(image.data) if image.data else None
    if size is None:
        return PICTURE_TOKENS
    return min(max(size[0] * size[1] // _PIXELS_A_TOKEN, _LOW_DETAIL_TOKENS), PICTURE_TOKENS)


def _of_file(file: File) -> int:
    if file.text:
        return text_tokens(file.text)
    if not file.data:
        return FILE_TOKENS
    kind = file.media_type
    bytes_a_token = _BYTES_A_TOKEN.get(kind) or _BYTES_A_TOKEN.get(kind.partition("/")[0], _TEXT_BYTES_A_TOKEN)
    return len(file.data) * 3 // 4 // bytes_a_token


def _of_tool(tool: Tool) -> int:
    schema = 0 if tool.schema is None else _of_json(tool.schema)
    return _TOOL_TOKENS + text_tokens(tool.name) + text_tokens(tool.description) + schema


def _of_json(value: object) -> int:
    return text_tokens(_encode(value).decode())
