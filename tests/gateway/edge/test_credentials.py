"""A key can stand in four places; none of them goes upstream."""

import pytest

from gateway.edge.credentials import MAX_SECRET_BYTES, secret_of

Headers = list[tuple[bytes, bytes]]


@pytest.mark.parametrize(
    ("headers", "secret"),
    [
        ([], b""),
        ([(b"authorization", b"Bearer k")], b"k"),
        ([(b"authorization", b"bearer  k ")], b"k"),
        ([(b"authorization", b"Basic dTpw")], b""),
        ([(b"authorization", b"k")], b""),
        ([(b"authorization", b"Bearer ")], b""),
        ([(b"x-api-key", b"k")], b"k"),
        ([(b"x-goog-api-key", b" k ")], b"k"),
        ([(b"x-api-key", b"k1"), (b"authorization", b"Bearer k2")], b"k2"),
        ([(b"authorization", b"Bearer "), (b"x-api-key", b"k")], b"k"),
        ([(b"authorization", b"Basic x"), (b"x-api-key", b"k")], b"k"),
        ([(b"x-api-key", b""), (b"x-goog-api-key", b"k")], b"k"),
        ([(b"authorization", b"Bearer " + b"k" * MAX_SECRET_BYTES)], b"k" * MAX_SECRET_BYTES),
        ([(b"authorization", b"Bearer " + b"k" * (MAX_SECRET_BYTES + 1))], b""),
        ([(b"authorization", b"Bearer \xff\xfe")], b"\xff\xfe"),
    ],
)
def test_the_key_is_found_where_it_stands(headers: Headers, secret: bytes) -> None:
    assert secret_of(dict(headers), b"key=query", "openai_chat") == secret


@pytest.mark.parametrize(
    ("query", "secret"),
    [
        (b"key=k", b"k"),
        (b"alt=sse&key=k%2B1&key=second", b"k+1"),
        (b"keys=k", b""),
        (b"key=", b""),
        (b"", b""),
        (b"\xff=&;&", b""),
    ],
)
def test_a_query_counts_on_gemini_paths_only(query: bytes, secret: bytes) -> None:
    assert secret_of({}, query, "gemini") == secret
    assert secret_of({}, query, "openai_chat") == b""
    assert secret_of({b"x-goog-api-key": b"header"}, query, "gemini") == b"header"
