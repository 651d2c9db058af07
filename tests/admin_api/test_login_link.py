"""A code that logs in once, and soon."""

from admin_api.auth.login_link import LIFETIME_S, LoginLink


def test_a_code_is_of_use_once():
    link = LoginLink(lambda: 0.0)
    code = link.make()
    assert link.take(code)
    assert not link.take(code)


def test_a_code_that_was_not_made_is_none():
    link = LoginLink(lambda: 0.0)
    assert not link.take("")
    link.make()
    assert not link.take("")
    assert not link.take("guess")


def test_a_code_ends_by_its_age_and_by_the_next():
    now = 0.0
    link = LoginLink(lambda: now)
    first = link.make()
    second = link.make()
    assert not link.take(first)
    now = LIFETIME_S
    assert not link.take(second)
