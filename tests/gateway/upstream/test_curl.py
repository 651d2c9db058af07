"""What only curl does: handles that are prepared once, and proxies."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from gateway.upstream.addresses import Resolver
from gateway.upstream.curl import CurlTransport
from gateway.upstream.seam import UpstreamFault, UpstreamRequest
from tests.support.catalogs import connection
from tests.support.fake_provider import FakeProvider
from tests.support.forbidden_hosts import NEVER, PRIVATE
from tests.support.upstream_calls import answering, at, body_of, request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
async def fake() -> AsyncIterator[FakeProvider]:
    async with FakeProvider() as provider:
        yield provider


@pytest.fixture
async def curl() -> AsyncIterator[CurlTransport]:
    transport = CurlTransport(Resolver())
    yield transport
    await transport.close()


async def test_handles_are_prepared_once_and_bounded(fake: FakeProvider, curl: CurlTransport) -> None:
    one = at(fake)
    for stream in (False, True, False):
        await body_of(await curl.start(request(one, stream=stream)))
    assert (curl.open_calls, curl.idle_handles) == (0, 1)
    for _ in range(6):
        calls = [await curl.start(request(one, "stall-after:1", stream=True)) for _ in range(50)]
        await asyncio.gather(*[call.head() for call in calls])
        for call in calls:
            call.cancel()
    assert curl.idle_handles <= 256


async def test_a_proxy_of_the_connection_is_used_and_its_password_not_told(
    fake: FakeProvider, curl: CurlTransport
) -> None:
    async with FakeProvider() as gone:
        port = gone.port
    call = await curl.start(request(at(fake, proxy=f"http://user:hunter2@127.0.0.1:{port}")))
    with pytest.raises(UpstreamFault) as fault:
        await call.head()
    assert "hunter2" not in str(fault.value)
    assert not fake.requests


async def refusal(curl: CurlTransport, asked: UpstreamRequest) -> str:
    with pytest.raises(UpstreamFault) as fault:
        await body_of(await curl.start(asked))
    assert "hunter2" not in str(fault.value)
    return fault.value.kind


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
@pytest.mark.parametrize("host", NEVER)
async def test_a_proxy_at_a_forbidden_address_is_not_called(
    fake: FakeProvider, curl: CurlTransport, scheme: str, host: str
) -> None:
    one = at(fake, proxy=f"{scheme}://me:hunter2@{host}:80")
    assert await refusal(curl, request(one)) == "blocked_address"


async def test_a_proxys_name_is_judged_by_what_it_resolves_to(fake: FakeProvider) -> None:
    resolver = Resolver()
    curl = CurlTransport(resolver)
    resolver.names["proxy.test", 80] = (time.monotonic() + 60, ("93.184.216.34", "169.254.169.254"))
    assert await refusal(curl, request(at(fake, proxy="http://me:hunter2@proxy.test:80"))) == "blocked_address"
    await curl.close()


@pytest.mark.parametrize("is_named", [True, False])
async def test_the_checked_address_of_a_proxy_is_the_one_that_is_called(is_named: bool) -> None:
    """`proxy.test` is known to our resolver alone: libcurl asking for itself would find nobody."""
    resolver = Resolver()
    curl = CurlTransport(resolver)
    async with answering(OK) as proxy:
        place = f"127.0.0.1:{proxy.port}"
        if is_named:
            resolver.names["proxy.test", proxy.port] = (time.monotonic() + 60, ("127.0.0.1",))
            place = f"proxy.test:{proxy.port}"
        one = connection(url="http://models.example/v1/chat/completions", proxy=f"http://{place}")
        assert await body_of(await curl.start(request(one))) == b"{}"
    assert proxy.requests[0].startswith(b"POST http://models.example/v1/chat/completions HTTP/1.1")
    await curl.close()


@pytest.mark.parametrize("host", NEVER + PRIVATE)
async def test_a_proxy_is_not_asked_for_a_forbidden_address(curl: CurlTransport, host: str) -> None:
    async with answering(OK) as proxy:
        proxied = connection(url=f"http://{host}/v1", proxy=f"http://127.0.0.1:{proxy.port}", allow_private=False)
        assert await refusal(curl, request(proxied)) == "blocked_address"
    assert not proxy.requests
