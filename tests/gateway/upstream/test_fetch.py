"""Pictures by URL: from public places only, nothing but pictures, and no more than there is room for."""

import asyncio
import gzip
import time
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.upstream import fetch as limits
from gateway.upstream.addresses import Resolver
from gateway.upstream.fetch import MAX_BYTES, PictureFetcher, PictureUnavailable
from tests.support.certificates import Authority
from tests.support.forbidden_hosts import NEVER, PRIVATE
from tests.support.upstream_calls import RawServer, answering, open_sockets, read_request, serving

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def answer(body: bytes = PNG, *, status: str = "200 OK", headers: str = "Content-Type: image/jpeg\r\n") -> bytes:
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def redirect(to: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()


def url_of(server: RawServer, path: str = "/a.png") -> str:
    return server.to.paths["chat"].replace("/v1/chat/completions", path)


@pytest.fixture
async def resolver() -> Resolver:
    return Resolver()


@pytest.fixture
async def fetcher(resolver: Resolver) -> AsyncIterator[PictureFetcher]:
    fetcher = PictureFetcher(resolver, allow_private=True)
    yield fetcher
    await fetcher.close()


@pytest.fixture
async def strict(resolver: Resolver) -> AsyncIterator[PictureFetcher]:
    fetcher = PictureFetcher(resolver)
    yield fetcher
    await fetcher.close()


async def why(fetcher: PictureFetcher, url: str, within_s: float = 5) -> str:
    with pytest.raises(PictureUnavailable) as unavailable:
        await fetcher.fetch(url, within_s=within_s)
    text = str(unavailable.value)
    assert "secret" not in text
    assert "/a" not in text
    return text


class TestAPicture:
    async def test_comes_as_base64_with_the_type_of_its_bytes(self, fetcher: PictureFetcher) -> None:
        async with answering(answer()) as server:
            media_type, data = await fetcher.fetch(url_of(server, "/a.png?b=1#c"), within_s=5)
        assert (media_type, b64decode(data)) == ("image/png", PNG)
        assert server.requests[0].startswith(b"GET /a.png?b=1 HTTP/1.1\r\n")

    async def test_is_asked_for_without_cookies_and_credentials(self, fetcher: PictureFetcher) -> None:
        async with answering(
            answer(headers="Set-Cookie: a=b\r\n"), redirect("/b"), answer(headers="Set-Cookie: a=b\r\n")
        ) as server:
            await fetcher.fetch(url_of(server), within_s=5)
            await fetcher.fetch(url_of(server), within_s=5)
        names = {line.split(b":")[0].lower() for asked in server.requests for line in asked.split(b"\r\n")[1:] if line}
        assert names == {b"host", b"accept-encoding", b"accept", b"user-agent", b"connection", b"content-length"}

    async def test_may_come_in_chunks_of_any_size(self, fetcher: PictureFetcher) -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for byte in PNG:
                writer.write(b"1\r\n%c\r\n" % byte)
                await writer.drain()
            writer.write(b"0\r\n\r\n")
            await reader.read()

        async with serving(handle) as server:
            _, data = await fetcher.fetch(url_of(server), within_s=5)
        assert b64decode(data) == PNG

    async def test_may_be_as_large_as_the_limit(self, fetcher: PictureFetcher) -> None:
        async with answering(answer(PNG + bytes(MAX_BYTES - len(PNG)))) as server:
            _, data = await fetcher.fetch(url_of(server), within_s=10)
        assert len(data) > MAX_BYTES

    async def test_is_fetched_over_tls_that_is_checked(
        self, resolver: Resolver, authority: Authority, tmp_path: Path
    ) -> None:
        fetcher = PictureFetcher(resolver, allow_private=True, ca_file=authority.ca_file)
        async with answering(answer(), tls=authority.server()) as server:
            assert (await fetcher.fetch(url_of(server), within_s=5))[0] == "image/png"
        async with answering(answer(), tls=Authority(tmp_path).server()) as server:
            assert "no secure connection" in await why(fetcher, url_of(server))
        await fetcher.close()

    async def test_may_have_a_path_that_is_not_ascii(self, fetcher: PictureFetcher) -> None:
        async with answering(answer()) as server:
            await fetcher.fetch(url_of(server, "/ü b%20c.png?q=ü x"), within_s=5)
        assert server.requests[0].startswith(b"GET /%C3%BC%20b%20c.png?q=%C3%BC%20x HTTP/1.1\r\n")

    async def test_cannot_smuggle_lines_into_the_request(self, fetcher: PictureFetcher) -> None:
        async with answering(answer()) as server:
            await fetcher.fetch(url_of(server, "/a HTTP/1.1\r\nX-Evil: 1\r\n\r\nGET /b"), within_s=5)
        assert server.requests[0].count(b"\r\n\r\n") == 1
        assert b"\r\nX-Evil" not in server.requests[0]


class TestWhatIsNoPicture:
    @pytest.mark.parametrize(
        "body",
        [b"<!doctype html>" + bytes(100), b"{}", b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", gzip.compress(PNG)],
    )
    async def test_is_refused_whatever_it_calls_itself(self, fetcher: PictureFetcher, body: bytes) -> None:
        async with answering(answer(body, headers="Content-Type: image/png\r\n")) as server:
            assert "not a picture" in await why(fetcher, url_of(server))

    async def test_is_not_read_to_its_end(self, fetcher: PictureFetcher) -> None:
        gone = asyncio.Event()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"<html>" * 100)
            await reader.read()
            gone.set()

        async with serving(handle) as server:
            assert "not a picture" in await why(fetcher, url_of(server))
            await asyncio.wait_for(gone.wait(), 2)

    @pytest.mark.parametrize("status", ["404 Not Found", "500 Oops", "204 No", "304 Not Modified", "401 No"])
    async def test_is_another_status(self, fetcher: PictureFetcher, status: str) -> None:
        async with answering(answer(b"", status=status)) as server:
            assert f"status {status[:3]}" in await why(fetcher, url_of(server))


class TestLimits:
    async def test_a_length_that_is_too_large_is_refused_before_the_body(self, fetcher: PictureFetcher) -> None:
        async with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 10485761\r\n\r\n" + PNG) as server:
            assert "more than 10485760 bytes" in await why(fetcher, url_of(server))

    async def test_a_body_that_goes_on_is_cut_off(self, fetcher: PictureFetcher) -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + PNG)
            while True:
                writer.write(bytes(65536))
                await writer.drain()

        async with serving(handle) as server:
            assert "more than 10485760 bytes" in await why(fetcher, url_of(server), 20)

    @pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + PNG])
    async def test_a_server_that_falls_silent_is_left_in_time(self, fetcher: PictureFetcher, sent: bytes) -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(sent)
            await reader.read()

        before = open_sockets()
        async with serving(handle) as server:
            started = time.monotonic()
            assert "within 0.2 s" in await why(fetcher, url_of(server), 0.2)
            assert time.monotonic() - started < 20
        await asyncio.sleep(0.05)
        assert open_sockets() == before

    async def test_redirects_are_followed_three_times(self, fetcher: PictureFetcher) -> None:
        hops = [redirect("/b"), redirect("c?d", 301)]
        async with answering(answer()) as end:
            last = redirect(url_of(end, "/ü").removeprefix("http:"), 308)
            async with answering(*hops, last) as server:
                assert (await fetcher.fetch(url_of(server), within_s=5))[0] == "image/png"
        assert [asked.split(b" ")[1] for asked in server.requests] == [b"/a.png", b"/b", b"/c?d"]
        assert end.requests[0].split(b" ")[1] == b"/%C3%BC"
        async with answering(*hops, redirect("/d"), redirect("/e"), answer()) as server:
            assert "redirected more than 3 times" in await why(fetcher, url_of(server))
        assert len(server.requests) == 4

    @pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://a/b", "data:image/png;base64,aGk=", "http://[", "http://u:secret@a/"])  # fmt: skip
    async def test_a_redirect_is_judged_like_a_url(self, fetcher: PictureFetcher, to: str) -> None:
        async with answering(redirect(to), answer()) as server:
            await why(fetcher, url_of(server))
        assert len(server.requests) == 1

    async def test_a_caller_who_leaves_closes_the_connection(self, fetcher: PictureFetcher) -> None:
        gone = asyncio.Event()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            await reader.read()
            gone.set()

        async with serving(handle) as server:
            task = asyncio.create_task(fetcher.fetch(url_of(server), within_s=60))
            while not server.connections:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(gone.wait(), 2)


BLOCKED = [
    "http://localhost/a",
    "https://127.0.0.1/a",
    *(f"http://{host}/a" for host in (*NEVER, *PRIVATE) if "%" not in host),
]


class TestAddresses:
    @pytest.mark.parametrize("url", BLOCKED)
    async def test_what_is_not_public_is_refused(self, strict: PictureFetcher, url: str) -> None:
        assert "address that may not be called" in await why(strict, url)

    @pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fd00::1"])
    async def test_a_name_is_judged_by_what_it_resolves_to(
        self, strict: PictureFetcher, resolver: Resolver, address: str
    ) -> None:
        resolver.names["pictures.test", 80] = (time.monotonic() + 60, ("93.184.216.34", address))
        assert "address that may not be called" in await why(strict, "http://pictures.test/a")

    @pytest.mark.parametrize("address", ["169.254.169.254", "0.0.0.0", "[fe80::1]"])
    async def test_metadata_is_refused_also_where_private_addresses_are_not(
        self, fetcher: PictureFetcher, address: str
    ) -> None:
        assert "address that may not be called" in await why(fetcher, f"http://{address}/a")

    async def test_a_redirect_to_a_private_address_is_refused(self, strict: PictureFetcher, resolver: Resolver) -> None:
        """The first server counts as public here by the resolver's own table; the second does not."""
        async with answering(redirect("http://192.168.7.7/a")) as server:
            public = f"http://public.test:{server.port}/a.png"
            resolver.checked[public, False] = (time.monotonic() + 60, ("127.0.0.1",))
            assert "192.168.7.7" in await why(strict, public)
        assert len(server.requests) == 1

    @pytest.mark.parametrize("host", NEVER)
    async def test_no_redirect_leads_to_a_forbidden_address(self, fetcher: PictureFetcher, host: str) -> None:
        async with answering(redirect(f"http://{host}/a")) as server:
            await why(fetcher, url_of(server))
        assert len(server.requests) == 1

    async def test_the_checked_address_is_the_one_that_is_called(
        self, fetcher: PictureFetcher, resolver: Resolver
    ) -> None:
        async with answering(answer()) as server:
            resolver.names["pictures.test", server.port] = (time.monotonic() + 60, ("127.0.0.1",))
            await fetcher.fetch(f"http://pictures.test:{server.port}/a.png", within_s=5)
        assert f"\r\nHost: pictures.test:{server.port}\r\n".encode() in server.requests[0]

    @pytest.mark.parametrize(
        "url",
        [
            "", "a.png", "//a.test/b", "ftp://a.test/b", "file:///etc/passwd", "data:image/png;base64,aGk=",
            "javascript:x", "http://", "http:///a", "http://[::1/a", "http://a.test:99999/a", "http://a.test:x/a",
            "http://u:secret@a.test/a", "http://secret@a.test/a", "http://a.test\\@b.test/a", "http://a%2eb/a",
            "http://a b/a", "http://[fe80::1%25lo]/a", "http://" + "a" * 300 + "/a", "http://a.test/" + "b" * 9000,
        ],
    )  # fmt: skip
    async def test_what_is_no_plain_web_address_is_refused(self, fetcher: PictureFetcher, url: str) -> None:
        assert await why(fetcher, url)

    async def test_a_port_where_nobody_listens_is_told(self, fetcher: PictureFetcher) -> None:
        async with answering(answer()) as server:
            url = url_of(server)
        assert "refuses connections" in await why(fetcher, url)


class TestSeveral:
    async def test_come_four_at_once_and_each_url_once(self, fetcher: PictureFetcher) -> None:
        open_now, most = 0, 0

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal open_now, most
            await read_request(reader)
            open_now += 1
            most = max(most, open_now)
            await asyncio.sleep(0.05)
            open_now -= 1
            writer.write(answer())
            await writer.drain()

        async with serving(handle) as server:
            urls = [url_of(server, f"/{number}.png") for number in range(10)]
            pictures = await fetcher.fetch_all([*urls, *urls], within_s=5)
        assert (most, server.connections) == (4, 10)
        assert pictures == dict.fromkeys(urls, ("image/png", b64encode(PNG).decode()))

    async def test_fail_as_soon_as_one_does(self, fetcher: PictureFetcher) -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked = await read_request(reader)
            if b"/bad" in asked:
                writer.write(answer(b"", status="404 Not Found"))
            await reader.read()

        async with serving(handle) as server:
            with pytest.raises(PictureUnavailable, match="status 404"):
                await fetcher.fetch_all([url_of(server, "/slow"), url_of(server, "/bad")], within_s=30)

    async def test_share_their_time(self, fetcher: PictureFetcher) -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()

        async with serving(handle) as server:
            started = time.monotonic()
            with pytest.raises(PictureUnavailable, match="did not come within"):
                await fetcher.fetch_all([url_of(server, f"/{number}") for number in range(12)], within_s=0.2)
            assert time.monotonic() - started < 20

    async def test_are_bounded_in_number_and_in_all(self, fetcher: PictureFetcher, monkeypatch: Any) -> None:
        with pytest.raises(PictureUnavailable, match="100 pictures"):
            await fetcher.fetch_all([f"http://a.test/{number}" for number in range(101)], within_s=5)
        monkeypatch.setattr(limits, "MAX_ALL_BYTES", 2 * len(PNG))
        async with answering(answer()) as server:
            urls = [url_of(server, f"/{number}") for number in range(3)]
            with pytest.raises(PictureUnavailable, match="bytes in all"):
                await fetcher.fetch_all(urls, within_s=5)

    async def test_of_all_requests_are_bounded_by_what_is_held(self, fetcher: PictureFetcher, monkeypatch: Any) -> None:
        monkeypatch.setattr(limits, "MAX_HELD_BYTES", len(PNG) - 1)
        async with answering(answer()) as server:
            assert "too many pictures" in await why(fetcher, url_of(server))
            monkeypatch.undo()
            assert await fetcher.fetch(url_of(server), within_s=5)

    async def test_none_are_none(self, fetcher: PictureFetcher) -> None:
        assert await fetcher.fetch_all([], within_s=1) == {}
