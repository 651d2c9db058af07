"""Answers over ASGI: whole ones have a length, streams end once, and what was sent is counted."""

from typing import Any

from gateway.edge.reply import AsgiReply

COMMON = [(b"x-request-id", b"r")]


class Sent(list[dict[str, Any]]):
    async def __call__(self, message: dict[str, Any]) -> None:
        self.append(message)


async def test_a_whole_answer_has_its_length_and_the_common_headers() -> None:
    sent = Sent()
    reply = AsgiReply(sent, COMMON)
    assert not reply.has_started
    await reply.whole(200, [(b"a", b"b")], b"body")
    assert sent[0]["headers"] == [(b"a", b"b"), (b"x-request-id", b"r"), (b"content-length", b"4")]
    assert sent[1] == {"type": "http.response.body", "body": b"body"}
    assert (reply.has_started, reply.bytes_out) == (True, 4)


async def test_a_head_request_gets_the_headers_alone() -> None:
    sent = Sent()
    await AsgiReply(sent, COMMON, is_head_only=True).whole(200, [], b"body")
    assert (b"content-length", b"4") in sent[0]["headers"]
    assert sent[1]["body"] == b""


async def test_a_stream_is_started_written_and_finished() -> None:
    sent = Sent()
    reply = AsgiReply(sent, COMMON)
    await reply.start(200, [])
    await reply.write(b"one")
    await reply.finish(b"two")
    assert [message.get("body") for message in sent] == [None, b"one", b"two"]
    assert [message.get("more_body") for message in sent[1:]] == [True, False]
    assert (reply.has_started, reply.bytes_out) == (True, 6)
    assert all(name != b"content-length" for name, _ in sent[0]["headers"])
