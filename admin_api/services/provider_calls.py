"""Calls from the control plane to providers: an operator tests a connection, or wants its list of models.

They go the way of requests: through the data plane's transports, so addresses are resolved once, checked and connected
to (SSRF), redirects are not followed, and a connection's proxy and fingerprint count. Bounded in number, time and bytes.
"""

import asyncio
from collections.abc import Mapping

import msgspec

from gateway.domain.target import Connection
from gateway.upstream.addresses import Resolver
from gateway.upstream.curl import CurlTransport
from gateway.upstream.demo import DemoTransport
from gateway.upstream.direct import DirectTransport
from gateway.upstream.seam import Cancelled, Transport, UpstreamFault, UpstreamRequest

AT_ONCE = 16
LIMIT_S = 15.0
CONNECT_S = 5.0
MAX_ANSWER_BYTES = 4 * 1024 * 1024


class Reply(msgspec.Struct, frozen=True):
    """What a provider answered, whole. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ProviderCalls:
    """Makes its transports at the first call, inside the loop that runs then. `close` ends what is under way.

    `limit_s` is for each call, waiting for its turn included.
    """

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self.limit_s = limit_s
        self._transports: dict[str, Transport] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def ask(
        self,
        connection: Connection,
        url: str,
        *,
        method: str = "GET",
        headers: tuple[bytes, ...] = (),
        body: bytes = b"",
    ) -> Reply:
        """One call. Raises UpstreamFault."""
        request = UpstreamRequest(connection, url, headers, body, min(CONNECT_S, self.limit_s), method)
        try:
            async with asyncio.timeout(self.limit_s), self._turns:
                return await self._ask(request)
        except TimeoutError as error:
            raise UpstreamFault("total_timeout", f"no whole answer came within {self.limit_s:g} s") from error
        except Cancelled as error:
            raise UpstreamFault("draining", "the admin process is stopping") from error

    async def close(self) -> None:
        for transport in self._transports.values():
            await transport.close()
        self._transports = {}

    async def _ask(self, request: UpstreamRequest) -> Reply:
        call = await self._transport(request.connection).start(request)
        try:
            await call.head()
            return Reply(call.status, call.headers, await call.read_to_end(MAX_ANSWER_BYTES))
        finally:
            if not call.is_over:
                call.cancel()

    def _transport(self, connection: Connection) -> Transport:
        if not self._transports:
            resolver = Resolver()
            self._transports = {
                "direct": DirectTransport(resolver, AT_ONCE, max_idle_wires=0),
                "curl": CurlTransport(resolver, AT_ONCE),
                "demo": DemoTransport(),
            }
        return self._transports[connection.transport]
