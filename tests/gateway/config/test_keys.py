"""Gateway keys and their digests."""

import hashlib
import hmac
import random

from gateway.config.keys import KEY_PREFIX, Digester, digest_of, new_key_secret


def test_a_digest_is_hmac_sha256_in_hex_for_text_and_bytes():
    expected = hmac.new(b"pepper", b"sk-or-abc", hashlib.sha256).hexdigest()
    assert digest_of("sk-or-abc", b"pepper") == digest_of(b"sk-or-abc", b"pepper") == expected


def test_another_pepper_gives_another_digest():
    assert digest_of("sk-or-abc", b"one") != digest_of("sk-or-abc", b"two")


def test_the_request_paths_digester_says_the_same_as_the_admin_plane():
    chance = random.Random(7)
    for size in (*range(1, 70), 127, 128, 129, 1_000):
        pepper, secret = chance.randbytes(size), chance.randbytes(chance.randrange(200))
        digester = Digester(pepper)
        assert digester(secret) == digester(secret) == digest_of(secret, pepper)


def test_new_keys_are_long_different_and_fit_a_header():
    keys = {new_key_secret() for _ in range(100)}
    assert len(keys) == 100
    for key in keys:
        assert key.startswith(KEY_PREFIX)
        assert len(key) >= len(KEY_PREFIX) + 43
        assert key.isascii()
        assert key.isprintable()
        assert " " not in key
