"""Where a provider may be: every spelling of a forbidden address is refused, and a name is checked as it is used."""

import asyncio
import ipaddress

import pytest

from gateway.upstream.addresses import MAX_NAMES, Resolver, is_allowed
from gateway.upstream.seam import UpstreamFault
from tests.support.forbidden_hosts import NEVER, PRIVATE, PUBLIC


async def fault_of(url: str, *, allow_private: bool) -> str:
    try:
        return "" if await Resolver().addresses(url, allow_private=allow_private) == () else "resolved"
    except UpstreamFault as fault:
        return fault.kind


@pytest.mark.parametrize("allow_private", [False, True])
@pytest.mark.parametrize("host", NEVER)
async def test_some_addresses_are_never_called(host: str, allow_private: bool) -> None:
    assert await fault_of(f"http://{host}:80/v1", allow_private=allow_private) == "blocked_address"


@pytest.mark.parametrize("host", PRIVATE)
async def test_private_addresses_need_the_nodes_word(host: str) -> None:
    assert await fault_of(f"http://{host}/v1", allow_private=False) == "blocked_address"
    assert await fault_of(f"https://{host}:8443/v1", allow_private=True) == ""


@pytest.mark.parametrize("host", PUBLIC)
async def test_public_addresses_are_called_as_they_are(host: str) -> None:
    assert await fault_of(f"https://{host}/v1", allow_private=False) == ""


async def test_what_one_node_may_another_may_not() -> None:
    resolver = Resolver()
    url = "http://127.0.0.1:9/v1"
    for _ in range(2):
        assert await resolver.addresses(url, allow_private=True) == ()
        assert resolver.known(url, allow_private=True) == ()
        with pytest.raises(UpstreamFault):
            await resolver.addresses(url, allow_private=False)
        assert resolver.known(url, allow_private=False) is None


async def test_a_local_name_is_checked_by_what_it_resolves_to() -> None:
    resolver = Resolver()
    found = await resolver.addresses("http://localhost:9/v1", allow_private=True)
    assert found
    assert all(ipaddress.ip_address(address).is_loopback for address in found)
    with pytest.raises(UpstreamFault) as fault:
        await resolver.addresses("http://localhost:9/v1", allow_private=False)
    assert fault.value.kind == "blocked_address"


@pytest.mark.parametrize("bad", ["127.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1"])
async def test_one_bad_answer_of_a_name_server_blocks_the_name(bad: str) -> None:
    resolver = Resolver()
    later = asyncio.get_running_loop().time() + 60
    resolver.names["two-answers.test", 443] = (later, ("93.184.216.34", bad))
    with pytest.raises(UpstreamFault) as fault:
        await resolver.addresses("https://two-answers.test/v1", allow_private=False)
    assert fault.value.kind == "blocked_address"


async def test_a_checked_answer_is_used_and_not_asked_for_again() -> None:
    """Rebinding gives a good address when asked first and a bad one after."""
    resolver = Resolver()
    resolver.names["rebinding.test", 80] = (asyncio.get_running_loop().time() + 60, ("93.184.216.34",))
    assert await resolver.addresses("http://rebinding.test/v1", allow_private=False) == ("93.184.216.34",)


async def test_an_old_answer_is_asked_for_again() -> None:
    resolver = Resolver()
    resolver.names["localhost", 80] = (asyncio.get_running_loop().time() - 1, ("93.184.216.34",))
    resolver.checked["http://localhost/v1", False] = resolver.names["localhost", 80]
    assert resolver.known("http://localhost/v1", allow_private=False) is None
    with pytest.raises(UpstreamFault):
        await resolver.addresses("http://localhost/v1", allow_private=False)


@pytest.mark.parametrize("host", ["no-such-name.invalid", "x" * 70 + ".test", "a..b"])
async def test_a_name_that_is_none_is_a_fault(host: str) -> None:
    assert await fault_of(f"http://{host}/v1", allow_private=True) == "dns"


async def test_the_caches_are_bounded() -> None:
    resolver = Resolver()
    later = asyncio.get_running_loop().time() + 60
    resolver.names = {(f"n{i}.test", 80): (later, ("8.8.8.8",)) for i in range(MAX_NAMES)}
    resolver.checked = {(f"http://8.8.8.8/{i}", False): (later, ()) for i in range(MAX_NAMES)}
    await resolver.addresses("http://localhost:9/v1", allow_private=True)
    await resolver.addresses("http://8.8.4.4/v1", allow_private=False)
    assert (len(resolver.names), len(resolver.checked)) == (MAX_NAMES, MAX_NAMES)


def test_is_allowed_takes_addresses() -> None:
    assert is_allowed(ipaddress.ip_address("8.8.8.8"), allow_private=False)
    assert not is_allowed(ipaddress.ip_address("10.0.0.1"), allow_private=False)
    assert is_allowed(ipaddress.ip_address("10.0.0.1"), allow_private=True)
    assert not is_allowed(ipaddress.ip_address("169.254.0.1"), allow_private=True)
