"""Secrets at rest."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.envelope import EnvelopeError, open_sealed, parse_encryption_key, seal

KEY = bytes(range(32))
OTHER = bytes(32)


@given(st.text(), st.text())
def test_what_is_sealed_opens_for_its_owner(secret, owner):
    owner = owner.encode(errors="replace").decode()
    secret = secret.encode(errors="replace").decode()
    assert open_sealed(seal(secret, owner, KEY), owner, KEY) == secret


def test_a_sealed_value_shows_nothing_and_is_new_each_time():
    first, second = seal("hush-hush", "a", KEY), seal("hush-hush", "a", KEY)
    assert first.startswith("v1:")
    assert first != second
    assert "hush" not in first


def test_an_empty_secret_stays_empty():
    assert seal("", "a", KEY) == ""
    assert open_sealed("", "a", KEY) == ""


def test_a_value_copied_to_another_record_does_not_open():
    with pytest.raises(EnvelopeError, match="the secret of b does not open"):
        open_sealed(seal("s", "a", KEY), "b", KEY)


def test_another_key_does_not_open():
    with pytest.raises(EnvelopeError):
        open_sealed(seal("s", "a", KEY), "a", OTHER)


@pytest.mark.parametrize("sealed", ["v1:", "v1:AAAA", "plain text", "v1:é", "v1:" + "A" * 64, "v2:AAAA"])
def test_garbage_does_not_open(sealed):
    with pytest.raises(EnvelopeError):
        open_sealed(sealed, "a", KEY)


def test_a_changed_byte_is_noticed():
    raw = bytearray(base64.urlsafe_b64decode(seal("secret", "a", KEY).removeprefix("v1:")))
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 1
        with pytest.raises(EnvelopeError):
            open_sealed("v1:" + base64.urlsafe_b64encode(changed).decode(), "a", KEY)


@pytest.mark.parametrize(
    "text", [KEY.hex(), KEY.hex().upper(), base64.b64encode(KEY).decode(), base64.urlsafe_b64encode(OTHER).decode()]
)
def test_a_key_is_hex_or_base64(text):
    assert parse_encryption_key(text) in (KEY, OTHER)


@pytest.mark.parametrize("text", ["", "short", "z" * 64, KEY.hex()[:-2], base64.b64encode(KEY[:31]).decode(), "ü" * 44])
def test_anything_else_is_refused_without_showing_it(text):
    with pytest.raises(ValueError, match="32 bytes") as caught:
        parse_encryption_key(text)
    assert not text or text not in str(caught.value)
