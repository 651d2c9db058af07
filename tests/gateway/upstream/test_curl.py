"""What only curl does: handles that are prepared once, and proxies."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.upstream.addresses import Resolver
from gateway.upstream.curl import CurlTransport
from gateway.upstream.seam import UpstreamFault
from tests.support.fake_provider import FakeProvider
from tests.support.upstream_calls import at, body_of, request


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
