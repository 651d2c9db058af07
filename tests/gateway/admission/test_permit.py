"""A key may use the models on its list, by the name asked for or by the target's own name."""

import pytest

from gateway.admission.permit import may_use, permitted
from gateway.domain.caller import ANONYMOUS, Caller
from gateway.domain.errors import Forbidden
from tests.support.catalogs import target


def caller(*allowed: str) -> Caller:
    return Caller(key_id="k", key_name="k", digest="d", version=1, allowed_models=allowed)


@pytest.mark.parametrize(
    ("allowed", "name", "may"),
    [
        ((), "anything", True),
        (("local/m1",), "local/m1", True),
        (("local/m1",), "local/m12", False),
        (("local/m1",), "LOCAL/M1", True),
        (("local/*",), "local/vendor/m", True),
        (("local/*",), "other/m", False),
        (("gpt-?o", "x"), "gpt-4o", True),
        (("gpt-?o", "x"), "gpt-4.1", False),
        (("*",), "", True),
        (("a.c",), "abc", False),
    ],
)
def test_names_are_matched_against_the_list(allowed: tuple[str, ...], name: str, may: bool) -> None:
    assert may_use(caller(*allowed), name) is may


def test_an_allowed_name_opens_all_its_targets() -> None:
    plan = (target("a", "m1"), target("b", "m2"))
    assert permitted(caller("always-on"), "always-on", plan) is plan
    assert permitted(ANONYMOUS, "always-on", plan) is plan


def test_another_name_opens_the_targets_that_are_allowed_themselves() -> None:
    plan = (target("a", "m1"), target("b", "m2"))
    assert permitted(caller("local/m2"), "always-on", plan) == plan[1:]


def test_a_key_without_any_allowed_target_is_refused() -> None:
    with pytest.raises(Forbidden, match="'local/m1'") as error:
        permitted(caller("other/*"), "local/m1", (target("a", "m1"),))
    assert (error.value.status, error.value.code) == (403, "model_not_allowed")
