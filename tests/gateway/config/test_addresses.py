"""Where a literal host leads."""

import ipaddress

import pytest

from gateway.config.addresses import reach_of_address, reach_of_host
from tests.support.forbidden_hosts import NEVER, NEVER_BY_NAME, PRIVATE, PUBLIC


@pytest.mark.parametrize("host", ["api.example.com", "8.8.8.8", "2606:4700::1111", "fe", "cafe", "127.0.0.1.example"])
def test_public_hosts(host):
    assert reach_of_host(host) == "public"


@pytest.mark.parametrize("host", ["10.0.0.1", "0x7f.1", "017700000001", "localhost.", "fc00::1", "2002:7f00:1::"])
def test_private_hosts(host):
    assert reach_of_host(host) == "private"


@pytest.mark.parametrize("host", ["METADATA.google.internal.", "169.254.169.254", "fe80::1%eth0", "0", "ff02::1"])
def test_refused_hosts(host):
    assert reach_of_host(host) == "refused"


def test_an_address_inside_another_is_judged_by_itself():
    for text in ("::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::"):
        assert reach_of_address(ipaddress.ip_address(text)) == "refused"


@pytest.mark.parametrize(
    ("reach", "hosts"), [("refused", NEVER + NEVER_BY_NAME), ("private", PRIVATE), ("public", PUBLIC)]
)
def test_every_spelling_leads_where_the_address_is(reach, hosts):
    assert {host: reach_of_host(host.strip("[]")) for host in hosts} == dict.fromkeys(hosts, reach)
