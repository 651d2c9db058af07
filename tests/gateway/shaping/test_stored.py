"""What is stored of a body holds no credential and, where personal data is redacted, none of that; cut or whole, in pieces or not."""

import json

import pytest

from gateway.domain.shaping import Pii
from gateway.shaping.stored import MARGIN, BodyRedactor

CANARY = "sk-canary-0123456789abcdefghijklmnop"
OWN = "the-secret-of-a-connection"
MAIL = "john.doe@example.com"


def stored(
    body: bytes,
    cap: int = 65_536,
    *,
    rule: Pii | None = None,
    is_stream: bool = False,
    secrets: tuple[str, ...] = (OWN,),
) -> str:
    steps = BodyRedactor(secrets, rule).redacted(
        body[: cap + MARGIN], cap, is_stream=is_stream, is_cut=len(body) > cap + MARGIN
    )
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return str(done.value)


def asked(text: str, **more: object) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": text}], **more}).encode()


def chunks(text: str, size: int) -> bytes:
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    events = [json.dumps({"id": "x", "choices": [{"index": 0, "delta": {"content": piece}}]}) for piece in pieces]
    return "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"]).encode()


def said_by(stream: str) -> str:
    events = [line[6:] for line in stream.splitlines() if line.startswith("data: {")]
    return "".join(json.loads(event)["choices"][0]["delta"]["content"] for event in events)


def test_a_body_without_anything_to_hide_stays_as_it_is() -> None:
    body = asked('Say "hé" \\ \n twice', temperature=0.5, stop=["\u2028", "é"])
    assert stored(body) == body.decode()


def test_keys_and_our_own_secrets_go_wherever_they_stand() -> None:
    body = asked(f"a {CANARY} b", metadata={CANARY: [OWN, {"deep": f"x{OWN}y"}]})
    text = stored(body)
    assert CANARY not in text
    assert OWN not in text
    assert json.loads(text)["messages"][0]["content"] == "a [API_KEY_REDACTED] b"
    assert json.loads(text)["metadata"]["[API_KEY_REDACTED]"][1]["deep"] == "x[CREDENTIAL_REDACTED]y"


def test_what_is_written_in_escapes_is_found() -> None:
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in CANARY)
    text = stored(b'{"content": "' + escaped.encode() + b'"}')
    assert json.loads(text) == {"content": "[API_KEY_REDACTED]"}


@pytest.mark.parametrize("size", [1, 2, 3, 7, 20, 1000])
def test_in_a_stream_it_is_found_in_however_small_pieces(size: int) -> None:
    text = stored(chunks(f"Use {CANARY} or {OWN}, then go on.", size), is_stream=True)
    assert said_by(text) == "Use [API_KEY_REDACTED] or [CREDENTIAL_REDACTED], then go on."
    assert text.endswith("data: [DONE]\n\n")


def test_personal_data_goes_only_where_the_operator_redacts_it() -> None:
    body = asked(f"{MAIL} {CANARY}")
    for rule, keeps in ((None, True), (Pii(), True), (Pii(input="detect"), True), (Pii(input="redact"), False),
                        (Pii(output="redact"), False), (Pii(input="redact", kinds=("card",)), True)):  # fmt: skip
        text = stored(body, rule=rule)
        assert (MAIL in text) is keeps, rule
        assert CANARY not in text


@pytest.mark.parametrize("before", range(0, 200, 7))
def test_a_secret_across_the_cap_leaves_no_part_behind(before: int) -> None:
    cap = 160
    for length in (0, 10_000):
        text = stored(asked("." * before + CANARY + "." * length), cap)
        assert len(text.encode()) <= cap
        assert "sk-canary" not in text
        assert "abcdef" not in text


@pytest.mark.parametrize("over", [-30, -5, 0, 5])
def test_a_secret_across_the_end_of_what_was_kept_leaves_no_part_behind(over: int) -> None:
    cap = 500
    at = cap + MARGIN + over - len(asked("")) + 4
    assert "canary" not in stored(asked("é. " * 40 + "." * (at - 160) + CANARY + "." * 9_000), cap)


def test_bytes_that_are_no_text_and_endless_backslashes_do_no_harm() -> None:
    assert "\x00" not in stored(b'{"a": "\x00\xff"}')
    assert stored(b"") == ""
    assert len(stored(b'"' + b"\\" * 60_001)) == 60_002
    assert len(stored(b'"' * 60_001)) == 60_001
