"""A local count of tokens: nothing is left out of it, and recorded counts say how far off it is."""

import json
import statistics
import struct
from base64 import b64encode
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.anthropic_messages import codec as anthropic_messages
from gateway.dialects.codec import Arrival
from gateway.dialects.envelope import Envelopes
from gateway.dialects.estimate import estimated_tokens, plain_tokens, text_tokens
from gateway.dialects.gemini import codec as gemini
from gateway.dialects.openai_chat import codec as openai_chat
from gateway.dialects.openai_responses import codec as openai_responses
from gateway.domain.chat import (
    BuiltInTool,
    ChatRequest,
    File,
    Image,
    OutputFormat,
    Part,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
)
from gateway.domain.dialect import ProviderDialect
from gateway.domain.errors import BadRequest

FOLDER = Path(__file__).parents[4] / "shared/recordings"
DIALECTS: tuple[ProviderDialect, ...] = ("openai_chat", "openai_responses", "anthropic_messages", "gemini")
CALM = settings(deadline=None, database=None, max_examples=200)

PROSE = "The gateway picks a target by the operator's rules, translates only if it must, and streams the answer back. "
WORDS = Text(text=PROSE * 10)


def tokens(*parts: Part, dialect: ProviderDialect = "openai_chat", **fields: Any) -> int:
    return estimated_tokens(ChatRequest(model="m", turns=(Turn("user", parts),), **fields), dialect)


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("", 0, 0),
        (PROSE * 100, len(PROSE) * 100 / 5.5, len(PROSE) * 100 / 4),
        ('{"name":"look","at":[1,2,3],"ok":true}' * 100, 38 * 100 / 3.5, 38 * 100 / 2),
        ("def f(x: int) -> int:\n    return x + 1\n" * 100, 41 * 100 / 4.5, 41 * 100 / 2.5),
        ("今天天气很好" * 100, 500, 700),
        ("오늘날씨" * 100, 350, 500),
        ("Привет как дела " * 100, 400, 900),
        ("😀" * 100, 80, 300),
        ("\ud83d", 0, 3),
    ],
)
def test_a_text_counts_by_what_it_is_made_of(text: str, least: float, most: float) -> None:
    assert least <= text_tokens(text) <= most


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "part",
    [
        WORDS,
        Thinking(text=WORDS.text),
        Refusal(text=WORDS.text),
        File(text=WORDS.text),
        File(media_type="text/plain", data=b64encode(WORDS.text.encode()).decode()),
        ToolCall(id="a", name="f", arguments=json.dumps({"a": WORDS.text})),
        ToolResult("a", (WORDS,)),
        ToolResult("a", (Text(text="see"), Image(url="https://a/b.png"))),
        Image(url="https://a/b.png"),
        File(url="https://a/b.pdf"),
        File(file_id="f"),
        File(media_type="application/pdf", data="JVBERi0="),
        File(media_type="audio/wav", data="A" * 1_000_000),
        File(media_type="video/mp4", data="A" * 1_000_000),
    ],
)
def test_every_kind_of_part_counts(part: Part, dialect: ProviderDialect) -> None:
    assert tokens(part, dialect=dialect) - tokens(dialect=dialect) >= 200


SCHEMA = {"type": "object", "properties": {f"field_{i}": {"type": "string", "description": PROSE} for i in range(10)}}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_tools_count_with_their_descriptions_and_schemas(dialect: ProviderDialect) -> None:
    none = tokens(dialect=dialect)
    bare = tokens(dialect=dialect, tools=(Tool(name="look"),))
    described = tokens(dialect=dialect, tools=(Tool(name="look", description=WORDS.text),))
    whole = tokens(dialect=dialect, tools=(Tool(name="look", description=WORDS.text, schema=SCHEMA),))
    assert none < bare < described - 150 < whole - 300
    assert tokens(dialect=dialect, built_in_tools=(BuiltInTool("web_search", dialect),)) > none


def test_a_schema_of_the_answer_counts_where_the_model_is_shown_it() -> None:
    wanted = OutputFormat(schema=SCHEMA)
    for dialect in ("openai_chat", "openai_responses", "anthropic_messages"):
        assert tokens(dialect=dialect, output_format=wanted) > tokens(dialect=dialect) + 200  # type: ignore[arg-type]  # a tuple of literals
    assert tokens(dialect="gemini", output_format=wanted) == tokens(dialect="gemini")


def png(width: int, height: int) -> Image:
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + bytes(5)
    return Image(media_type="image/png", data=b64encode(data).decode())


def test_a_picture_counts_by_its_size_within_bounds() -> None:
    none = tokens(dialect="anthropic_messages")
    sizes = [(1, 1), (300, 300), (1000, 750), (1092, 1092), (8000, 8000)]
    counts = [tokens(png(*size), dialect="anthropic_messages") - none for size in sizes]
    assert counts == [50, 120, 1000, 1589, 1600]
    assert tokens(Image(url="https://a/b"), dialect="anthropic_messages") - none == 1600
    assert tokens(Image(data="rubbish"), dialect="anthropic_messages") - none == 1600
    assert tokens(Image(url="https://a/b", detail="low")) - tokens() == 85


PROSE = "Tell me in a few words, please: what is it that 12 of the 30 (or so) have in common?\n"


def as_chat(**fields: Any) -> bytes:
    return json.dumps({"model": "m", **fields}).encode()


@pytest.mark.parametrize("times", [1, 5, 50, 500])
def test_plain_text_is_counted_by_its_bytes_and_never_much_above_its_estimate(times: int) -> None:
    turns = [{"role": role, "content": PROSE * times} for role in ("system", "user", "assistant", "user")]
    body = as_chat(messages=turns)
    whole = estimated_tokens(openai_chat.CALLER.decode_request(body, Arrival(), Envelopes(b"key")))
    plain = plain_tokens(body)
    assert plain is not None
    assert whole <= plain <= 1.15 * whole + 60


@pytest.mark.parametrize("line_bytes", [63, 80, 125, 128])
def test_a_long_body_of_which_only_some_bytes_are_looked_at_counts_as_much_as_its_pieces(line_bytes: int) -> None:
    """Lines of one width with their signs in the same column, prose, and a part that is numbers alone."""
    table = "".join(f"{row:>6} |{'x' * (line_bytes - 10)}|\n" for row in range(1000))
    pieces = [table[at : at + 7000] for at in range(0, len(table), 7000)] + [PROSE * 80] * 20 + ["0123456789" * 600] * 5
    apart = sum(plain_tokens(piece.encode()) or 0 for piece in pieces)
    assert plain_tokens("".join(pieces).encode()) == pytest.approx(apart, rel=0.04)


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}]},
        {"messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function", "function": {"name": "f"}}]},
        {"messages": [{"role": "user", "content": "x"}], "tools": [{"name": "f", "input_schema": {"type": "object"}}]},
        {"messages": [{"role": "user", "content": "\u4f60\u597d"}]},
    ],
    ids=["picture", "tool", "tool without a type", "escaped"],
)
def test_what_may_be_more_than_text_is_not_counted_by_its_bytes(fields: dict[str, Any]) -> None:
    assert plain_tokens(as_chat(**fields)) is None


def test_text_of_other_scripts_is_not_counted_by_its_bytes() -> None:
    assert plain_tokens('{"model":"m","messages":[{"role":"user","content":"\u4f60\u597d"}]}'.encode()) is None


def test_a_request_has_a_token_at_least() -> None:
    assert estimated_tokens(ChatRequest(model="m", turns=())) >= 1


@CALM
@given(st.text(max_size=300), st.sampled_from(DIALECTS))
def test_more_text_never_counts_less(text: str, dialect: ProviderDialect) -> None:
    assert tokens(Text(text=text), dialect=dialect) <= tokens(Text(text=text + "and more"), dialect=dialect)


CODECS = {
    "openai-chat": openai_chat,
    "openai-responses": openai_responses,
    "anthropic-messages": anthropic_messages,
    "gemini": gemini,
}
COUNTED = {"anthropic-count-tokens": "anthropic-messages", "gemini-count-tokens": "gemini",
           "openai-responses-count-tokens": "openai-responses"}  # fmt: skip
OWNERS = {"openai", "anthropic", "google", "google-vertex"}
UNSEEN = {"server-tools", "cached-content", "context-management", "images-in", "image-in-tool-result", "files-in",
          "file-uri", "video-in", "audio-in", "error"}  # fmt: skip
"""What a provider adds to the prompt, or keeps on its side, or scales as it likes."""


@lru_cache(1)
def exchanges() -> list[tuple[str, ChatRequest, int]]:
    """(format, request, input tokens told) of the owners' own models."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for row in json.loads((FOLDER / "index.json").read_text()):
        found.setdefault((row["scenario"], row["exchange"]), {})[row["kind"]] = row
    counted = []
    for rows in found.values():
        asked, told = rows.get("request"), rows.get("response") or rows.get("stream")
        if not asked or not told or asked["provider"] not in OWNERS or UNSEEN & set(asked["features"]):
            continue
        form = COUNTED.get(asked["format"], asked["format"])
        data = (FOLDER / told["file"]).read_bytes()
        count = count_of(data) if asked["format"] in COUNTED else usage_of(form, told["kind"], data)
        if form in CODECS and count:
            with suppress(BadRequest):  # what is stored at the provider is refused here
                body = (FOLDER / asked["file"]).read_bytes()
                counted.append((form, decoded(form, body, asked["model"] or "m"), count))
    return counted


def count_of(data: bytes) -> int:
    answer = json.loads(data)
    return int(answer.get("input_tokens") or answer.get("totalTokens") or 0)


def usage_of(form: str, kind: str, data: bytes) -> int:
    if form not in CODECS:
        return 0
    provider = CODECS[form].PROVIDER
    if kind == "response":
        usage = provider.read_answer(data).usage
    else:
        tap = provider.make_tap(hides_usage_chunk=False)
        tap.feed(data)
        tap.take_rest()
        usage = tap.usage
    return usage.input if usage else 0


def decoded(form: str, body: bytes, model: str) -> ChatRequest:
    fields = json.loads(body)
    fields = fields.get("generateContentRequest", fields)
    if form != "gemini":
        fields.setdefault("model", model)
    if form == "anthropic-messages":
        fields.setdefault("max_tokens", 1000)
    arrival = Arrival(model=model, is_stream=False)
    return CODECS[form].CALLER.decode_request(json.dumps(fields).encode(), arrival, Envelopes(b"k" * 32))


@pytest.mark.recordings
@pytest.mark.skipif(not FOLDER.exists(), reason="the recordings are not here")
@pytest.mark.parametrize("form", CODECS)
def test_the_estimate_is_within_a_quarter_of_what_providers_count_for_half_of_the_requests(form: str) -> None:
    errors = []
    for recorded, request, count in exchanges():
        if recorded == form:
            estimate = estimated_tokens(request, form.replace("-", "_"))  # type: ignore[arg-type]  # of CODECS
            errors.append(estimate / count - 1)
    assert len(errors) > 40
    assert abs(statistics.median(errors)) < 0.2
    assert statistics.median(map(abs, errors)) < 0.25


@pytest.mark.recordings
@pytest.mark.skipif(not FOLDER.exists(), reason="the recordings are not here")
def test_large_prompts_are_estimated_better_than_small_ones() -> None:
    errors = []
    for form, request, count in exchanges():
        if count >= 1000:
            estimate = estimated_tokens(request, form.replace("-", "_"))  # type: ignore[arg-type]  # of CODECS
            errors.append(abs(estimate / count - 1))
    assert len(errors) >= 5
    assert statistics.median(errors) < 0.15
