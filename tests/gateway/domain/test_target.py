"""A connection never shows its secrets."""

from tests.support.catalogs import connection, target


def test_no_secret_stands_in_a_repr() -> None:
    one = connection(headers=(b"Authorization: Bearer c4n4ry",), proxy="http://u:c4n4ry@h")
    assert "c4n4ry" not in repr(one)
    assert "c4n4ry" not in repr(target(headers=(b"x: c4n4ry",)))
