"""A key may use the models on its list, by the name asked for or by the target's own name."""

import pytest

from gateway.admission.permit import may_list, may_reach, may_use, pass_door, permitted
from gateway.config.snapshot import KeyEntry
from gateway.domain.caller import ANONYMOUS, Caller
from gateway.domain.errors import Forbidden
from gateway.state.keyring import caller_of
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


def at_door(*, endpoints: tuple[str, ...] = (), ips: tuple[str, ...] = ()) -> Caller:
    return caller_of("d", KeyEntry("k", "k", 1, allowed_endpoints=endpoints, allowed_ips=ips))


@pytest.mark.parametrize(
    ("ips", "address", "is_let_in"),
    [
        (("10.0.0.0/8",), "10.1.2.3", True), (("10.0.0.0/8",), "11.1.2.3", False), (("10.0.*.*",), "10.0.9.9", True),
        (("10.0.*.*",), "10.1.0.0", False), (("192.0.2.7",), "::ffff:192.0.2.7", True), (("2001:db8::/32",), "2001:db8::1", True),
        (("2001:db8::/32",), "10.0.0.1", False), (("10.0.0.0/8",), "", False), (("10.0.0.0/8",), "not an address", False),
        (("nonsense",), "10.0.0.1", False), (("fe80::1",), "fe80::1%eth0", True),
    ],
)  # fmt: skip
def test_a_key_is_let_in_from_its_addresses_only(ips: tuple[str, ...], address: str, is_let_in: bool) -> None:
    door = at_door(ips=ips).door
    assert door is not None
    if is_let_in:
        pass_door(door, "/v1/messages", address)
        return
    with pytest.raises(Forbidden) as refused:
        pass_door(door, "/v1/messages", address)
    assert refused.value.code == "address_not_allowed"


def test_a_key_is_let_in_at_its_paths_only() -> None:
    door = at_door(endpoints=("/v1/chat/*", "/v1/models")).door
    assert door is not None
    pass_door(door, "/v1/chat/completions", "")
    with pytest.raises(Forbidden) as refused:
        pass_door(door, "/v1/messages", "")
    assert refused.value.code == "endpoint_not_allowed"


def test_most_keys_have_no_door() -> None:
    assert at_door().door is None
    assert ANONYMOUS.door is None


def test_a_key_reaches_its_providers_only_by_id_or_prefix() -> None:
    narrow = caller_of("d", KeyEntry("k", "k", 1, allowed_providers=("a",)))
    plan = (target("x", "m1", provider="a"), target("y", "m2", provider="b"))
    assert permitted(narrow, "always-on", plan) == plan[:1]
    assert may_reach(narrow, "node-id", "a")
    assert not may_reach(narrow, "b", "b")
    assert may_list(narrow, "a/m1", "a")
    assert not may_list(narrow, "b/m2", "b")
    assert may_list(narrow, "always-on", "combo")
    with pytest.raises(Forbidden):
        permitted(narrow, "always-on", plan[1:])
