"""The grammar finds what would break a client."""

import pytest

from gateway.dialects.ollama.grammar import Grammar

HEAD = b'{"model":"m","created_at":"2026-01-02T03:04:05.6Z","message":'
CHUNK = HEAD + b'{"role":"assistant","content":"a"},"done":false}\n'
LAST = HEAD + b'{"role":"assistant","content":""},"done":true,"done_reason":"stop","eval_count":1}\n'


def violations(*lines: bytes) -> list[str]:
    grammar = Grammar()
    for line in lines:
        grammar.feed(line)
    grammar.end()
    return grammar.violations


@pytest.mark.parametrize("lines", [(LAST,), (CHUNK, CHUNK, LAST), (CHUNK, b'{"error":"no"}\n'), (b'{"error":"no"}\n',)])
def test_a_good_stream_has_no_violations(lines: tuple[bytes, ...]) -> None:
    assert violations(*lines) == []


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (CHUNK,),
        (LAST, CHUNK),
        (LAST, LAST),
        (b"\n", LAST),
        (CHUNK.rstrip(), LAST),
        (CHUNK + CHUNK, LAST),
        (b"data: {}\n", LAST),
        (b"[]\n", LAST),
        (b'{"error":{"message":"no"}}\n',),
        (CHUNK.replace(b'"model":"m",', b""), LAST),
        (CHUNK.replace(b"2026-01-02T03:04:05.6Z", b"1700000000"), LAST),
        (CHUNK.replace(b"assistant", b"user"), LAST),
        (CHUNK.replace(b'"content":"a"', b'"content":null'), LAST),
        (CHUNK.replace(b'"content":"a"', b'"content":"","thinking":null'), LAST),
        (CHUNK.replace(b'"content":"a"', b'"content":"","images":[1]'), LAST),
        (CHUNK.replace(b'"content":"a"', b'"content":"","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]'), LAST),
        (CHUNK.replace(b'"content":"a"', b'"content":"","tool_calls":[{"function":{"arguments":{}}}]'), LAST),
        (CHUNK.replace(b'"done":false', b'"done":0'), LAST),
        (LAST.replace(b'"done_reason":"stop",', b""),),
        (LAST.replace(b'"eval_count":1', b'"eval_count":-1'),),
    ],
)  # fmt: skip
def test_a_bad_stream_has_one(lines: tuple[bytes, ...]) -> None:
    assert violations(*lines)


def test_the_list_of_violations_is_bounded() -> None:
    assert len(violations(*[b"rubbish\n"] * 100)) == 20
