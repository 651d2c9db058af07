"""Where a provider may be: every spelling of a forbidden address is refused, and a name is checked as it is used."""

import asyncio
import ipaddress

import pytest

from gateway.upstream.addresses import MAX_NAMES, Resolver, is_allowed
from gateway.upstream.seam import UpstreamFault

NEVER = [
    "0.0.0.0", "169.254.169.254", "169.254.1.1", "100.100.100.200", "168.63.129.16", "224.0.0.1", "[::]", "[fe80::1]",
    "[fd00:ec2::254]", "[ff02::1]", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[2002:a9fe:a9fe::1]",
    "[64:ff9b::169.254.169.254]", "0", "0xa9fea9fe", "2852039166", "0251.0376.0251.0376", "169.254.43518", "0x0",
    "[fe80::1%25eth0]",
]  # fmt: skip
PRIVATE = [
    "127.0.0.1", "127.1", "127.0.0.53", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "10.0.0.1",
    "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "198.18.0.1", "255.255.255.255", "[::1]", "[fc00::1]",
    "[fd12::1]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[2002:7f00:1::]", "[64:ff9b::7f00:1]", "3232235777",
]  # fmt: skip
PUBLIC = [
    "93.184.216.34",
    "8.8.8.8",
    "[2606:4700::1111]",
    "[::ffff:8.8.8.8]",
    "[2002:808:808::1]",
    "134744072",
    "172.32.0.1",
]


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
