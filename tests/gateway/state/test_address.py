"""A Redis URL taken apart, and the primary that Sentinels name."""

import pytest

from gateway.state.address import Address


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("redis://h:1/2", ("h", 1, "", "", "", 2)),
        ("redis://h", ("h", 6379, "", "", "", 0)),
        ("redis://:p%40ss@h:1", ("h", 1, "", "", "p@ss", 0)),
        ("redis://u:p@h:1/0", ("h", 1, "", "u", "p", 0)),
        ("redis://h:1?db=4", ("h", 1, "", "", "", 4)),
        ("unix:///a%20b/v.sock", ("127.0.0.1", 6379, "/a b/v.sock", "", "", 0)),
        ("unix:///v.sock?db=2", ("127.0.0.1", 6379, "/v.sock", "", "", 2)),
        ("redis://[::1]:7", ("::1", 7, "", "", "", 0)),
    ],
)
def test_an_address_is_taken_apart(url: str, where: tuple[object, ...]) -> None:
    one = Address(url)
    assert (one.host, one.port, one.path, one.username, one.password, one.db) == where
    assert one.tls is None


def test_tls_and_wrong_schemes() -> None:
    assert Address("rediss://h").tls is not None
    with pytest.raises(ValueError, match="redis://"):
        Address("http://h")


@pytest.mark.parametrize(
    ("url", "sentinels", "rest"),
    [
        ("redis+sentinel://a:1,b:2/main", (("a", 1), ("b", 2)), ("main", "", "", "", 0)),
        ("redis+sentinel://a/main/3", (("a", 26379),), ("main", "", "", "", 3)),
        (
            "redis+sentinel://u:p%40@a,[::1]:5/main/1?sentinel_password=s",
            (("a", 26379), ("::1", 5)),
            ("main", "u", "p@", "s", 1),
        ),
    ],
)
def test_sentinels_are_listed_with_the_name_of_their_primary(
    url: str, sentinels: tuple[tuple[str, int], ...], rest: tuple[object, ...]
) -> None:
    one = Address(url)
    assert one.sentinels == sentinels
    assert (one.primary, one.username, one.password, one.sentinel_password, one.db) == rest


def test_sentinels_without_a_name_are_refused() -> None:
    with pytest.raises(ValueError, match="name the primary"):
        Address("redis+sentinel://a:1,b:2")
