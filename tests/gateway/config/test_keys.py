"""Gateway keys and their digests."""

import hashlib
import hmac

from gateway.config.keys import KEY_PREFIX, digest_of, new_key_secret


def test_a_digest_is_hmac_sha256_in_hex_for_text_and_bytes():
    expected = hmac.new(b"pepper", b"sk-or-abc", hashlib.sha256).hexdigest()
    assert digest_of("sk-or-abc", b"pepper") == digest_of(b"sk-or-abc", b"pepper") == expected


def test_another_pepper_gives_another_digest():
    assert digest_of("sk-or-abc", b"one") != digest_of("sk-or-abc", b"two")


def test_new_keys_are_long_different_and_fit_a_header():
    keys = {new_key_secret() for _ in range(100)}
    assert len(keys) == 100
    for key in keys:
        assert key.startswith(KEY_PREFIX)
        assert len(key) >= len(KEY_PREFIX) + 43
        assert key.isascii()
        assert key.isprintable()
        assert " " not in key
