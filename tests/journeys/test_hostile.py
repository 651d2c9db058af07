"""Callers and providers as attackers, through the started product: what breaks HTTP, forged keys, poisoned answers."""

import contextlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.product import wait_for
from tests.support.real_gateway import KEY, MESSAGES, NARROW_KEY, RealGateway, read_answer, running_gateway

pytestmark = pytest.mark.process

BODY = json.dumps({"model": "local/ok", "messages": MESSAGES}).encode()
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED, CLOSE = b"Transfer-Encoding: chunked", b"Connection: close"
IN_CHUNKS = b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with running_gateway(tmp_path_factory.mktemp("hostile")) as running:
        yield running


def sent(gateway: RealGateway, text: bytes) -> bytes:
    """What comes back until the gateway closes the connection; nothing when it waits for more."""
    with gateway.raw() as sock, contextlib.suppress(TimeoutError, ConnectionResetError, BrokenPipeError):
        sock.sendall(text)
        return read_answer(sock, limit_s=3)
    return b""


def head(*lines: bytes, start: bytes = b"POST /v1/chat/completions HTTP/1.1") -> bytes:
    named = (b"Host: localhost", b"Authorization: Bearer " + KEY.encode(), b"Content-Type: application/json")
    return b"\r\n".join((start, *named, *lines)) + b"\r\n\r\n"


@pytest.mark.parametrize(
    "text",
    [
        head(b"Content-Length: %d" % len(BODY), b"Transfer-Encoding: chunked") + b"0\r\n\r\n" + BODY,
        head(b"Content-Length: 5", b"Content-Length: %d" % len(BODY)) + BODY,
        head(b"Content-Length: +%d" % len(BODY)) + BODY,
        head(b"Content-Length: -1") + BODY,
        head(b"Content-Length: %d, 5" % len(BODY)) + BODY,
        head(b"Transfer-Encoding: chunked, identity") + b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n",
        head(b"Transfer-Encoding: chunked") + b"-1\r\n" + BODY,
        head(b"Transfer-Encoding: chunked") + b"fffffffffffffffff\r\n" + BODY,
        head(b"Content-Length: %d" % len(BODY), b"X-Folded: a\r\n b") + BODY,
        head(b"Content-Length: %d" % len(BODY), b"X Bad: a") + BODY,
        head(b"Content-Length: %d" % len(BODY), b"X-Nul: a\x00b") + BODY,
        head(b"Content-Length : %d" % len(BODY)) + BODY,
        head(b"Content-Length: %d" % len(BODY), b"X-Large: " + b"x" * 1_200_000) + BODY,
        head(b"Content-Length: %d" % len(BODY), *(b"X-%d: a" % number for number in range(5_000))) + BODY,
        head(b"Content-Length: %d" % len(BODY), start=b"POST /v1/chat/completions HTTP/9.9") + BODY,
        head(b"Content-Length: %d" % len(BODY), start=b"POST /v1/chat/completions") + BODY,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
        b"\x00" * 10_000,
        (head(LENGTH.strip(), CLOSE) + BODY).replace(b"\r\n", b"\r"),
        head(LENGTH.strip(), CLOSE, b"Host: elsewhere") + BODY,
        (head(LENGTH.strip(), CLOSE) + BODY).replace(b"Host: localhost\r\n", b""),
        head(LENGTH.strip(), CLOSE, start=b"POST /v1/chat/\x00completions HTTP/1.1") + BODY,
        head(LENGTH.strip(), CLOSE, start=b"CONNECT elsewhere:443 HTTP/1.1") + BODY,
        head(CHUNKED, start=b"POST /v1/chat/completions HTTP/1.0") + IN_CHUNKS,
        head(b"Transfer-Encoding : chunked", CLOSE) + IN_CHUNKS,
        head(b"Transfer-Encoding: xchunked", CLOSE) + IN_CHUNKS,
        head(b"Transfer-Encoding: \x0bchunked", CLOSE) + IN_CHUNKS,
        head(CHUNKED, b"Transfer-Encoding: identity", CLOSE) + IN_CHUNKS,
        head(CHUNKED, CLOSE) + IN_CHUNKS.replace(b"\r\n", b"\n"),
        head(CHUNKED, CLOSE) + b"0x" + IN_CHUNKS,
        head(CHUNKED, CLOSE) + b"%x\r\n" % (len(BODY) - 5) + BODY + b"\r\n0\r\n\r\n",
        head(CHUNKED, CLOSE) + b"%x;a=" % len(BODY) + b"b" * 200_000 + b"\r\n" + BODY + b"\r\n0\r\n\r\n",
        head(CHUNKED, CLOSE) + IN_CHUNKS[:-2] + b"X: " + b"a" * 500_000 + b"\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0",
    ],
    ids=["length and chunked", "two lengths", "plus", "minus", "list", "chunked first", "bad chunk", "huge chunk",
         "folded", "space in name", "nul", "space before colon", "megabyte", "thousands", "version", "no version", "tls", "zeros",
         "bare CR", "two hosts", "no host", "nul in path", "CONNECT", "chunked 1.0", "space after chunked's name", "xchunked",
         "tab before chunked", "chunked twice", "chunks by LF", "0x", "chunk too short", "endless extension", "endless trailer",
         "HTTP/2"],
)  # fmt: skip
def test_what_breaks_http_reaches_no_provider_and_harms_nobody(gateway: RealGateway, text: bytes) -> None:
    mark = gateway.mark
    answer = sent(gateway, text)
    assert not answer or answer.split(b" ", 2)[1][:1] == b"4", answer[:200]
    assert gateway.seen(mark) == []
    assert gateway.chat().status_code == 200


def test_a_second_request_cannot_be_smuggled_in_a_body(gateway: RealGateway) -> None:
    """One request, one answer: what a body holds is never read as a request."""
    inner = head(b"Content-Length: %d" % len(BODY), b"Connection: close") + BODY
    mark = gateway.mark
    answer = sent(gateway, head(b"Content-Length: %d" % len(inner), b"Connection: close") + inner)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.startswith(b"HTTP/1.1 400")
    assert gateway.seen(mark) == []


def test_requests_that_come_at_once_are_answered_one_by_one(gateway: RealGateway) -> None:
    mark = gateway.mark
    answer = sent(gateway, (head(LENGTH.strip()) + BODY) * 2 + head(LENGTH.strip(), CLOSE) + BODY)
    assert answer.count(b"HTTP/1.1 200 OK") == answer.count(b"HTTP/1.") == 3
    assert len(gateway.seen(mark)) == 3


@pytest.mark.parametrize("host", ["elsewhere.example", "localhost"])
def test_a_whole_url_in_the_first_line_is_no_wish_to_be_passed_there(gateway: RealGateway, host: str) -> None:
    mark = gateway.mark
    start = f"POST http://{host}/v1/chat/completions HTTP/1.1".encode()
    assert sent(gateway, head(LENGTH.strip(), CLOSE, start=start) + BODY).startswith(b"HTTP/1.1 200")
    assert len(gateway.seen(mark)) == 1


def test_keys_that_begin_alike_are_different_keys(gateway: RealGateway) -> None:
    key = gateway.admin.post("/api/keys", json={"name": "alike"}).json()["key"]
    assert gateway.chat(key=key).status_code == 200
    alike = [key[:20], key[:-1], key + "x", key[:20] + "x" * (len(key) - 20), key.upper(), key[:20] + key]
    assert [gateway.chat(key=one).status_code for one in alike * 2] == [401] * 12
    assert gateway.chat(key=key).status_code == 200


LOOK_ALIKES = (
    "l\u043ecal/m1", "\u217cocal/m1", "local\uff0fm1", "local\u2044m1", "local\u2215m1", "LOCAL/m1", "local/\u200bm1", "local/\uff4d1",
    "local/\u043c1", " local/m1", "local/ m1", "local\\m1", "local%2Fm1", "/local/m1", "//local/m1", "./local/m1", "local/../m1",
    "local/ok/../m1", "local", "local/", "/", "*", "local*", "?ocal/m1", "\u202elacol/m1", "local/m1\u0000", "local/m1\n", "\ufefflocal/m1",
)  # fmt: skip
"""`narrow` may use `local/m*`: none of these is one of those, but for what ends in a character that nobody sees."""
OF_ITS_OWN = {"local/m1\u0000", "local/m1\n"}


def test_names_that_look_like_others_open_nothing(gateway: RealGateway) -> None:
    """Names are compared as they are: nothing is folded, unescaped or taken for a path."""
    mark = gateway.mark
    statuses = {name: gateway.chat(name, key=NARROW_KEY).status_code for name in LOOK_ALIKES}
    odd = {
        name: status for name, status in statuses.items() if name not in OF_ITS_OWN and status not in (400, 403, 404)
    }
    assert not odd
    asked = {json.loads(one.body)["model"] for one in gateway.seen(mark)}
    assert asked <= {name.removeprefix("local/") for name in OF_ITS_OWN}, "no such name is another one at the provider"


@pytest.mark.parametrize("model", ["local/ok", "local/slow-first:0.2"])
def test_an_idempotency_key_gives_nobody_the_answer_of_another_key(gateway: RealGateway, model: str) -> None:
    """Neither one that is kept nor one that is under way; the key that has it is answered without a further call."""
    other = gateway.admin.post("/api/keys", json={"name": f"other-{gateway.new_id()}"}).json()["key"]
    named = {"idempotency-key": gateway.new_id()}
    mark = gateway.mark
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda key: gateway.chat(model, key=key, headers=named), (KEY, other)))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert len(gateway.seen(mark)) == 2
    assert gateway.chat(model, headers=named).status_code == 200
    assert len(gateway.seen(mark)) == 2


def test_of_two_keys_in_one_request_a_wrong_one_opens_nothing_more(gateway: RealGateway) -> None:
    """Which one counts is fixed: a caller cannot use one key's limits with another's name."""
    wrong = {"authorization": "Bearer sk-or-nobody-0001", "x-api-key": KEY}
    body = {"model": "local/ok", "messages": MESSAGES}
    assert gateway.client.post("/v1/chat/completions", json=body, headers=wrong).status_code == 401
    both = head(LENGTH.strip(), b"Authorization: Bearer sk-or-nobody-0001", b"Connection: close") + BODY
    statuses = {sent(gateway, both).split(b" ", 2)[1] for _ in range(6)}
    assert len(statuses) == 1
    assert statuses <= {b"200", b"400", b"401"}


def test_models_that_callers_make_up_are_no_series(gateway: RealGateway) -> None:
    def series() -> set[str]:
        return set(gateway.product.metrics())

    for _ in range(3):
        for model in ("warm/x", "local/warm", "warm", "local/status:500", "local/ok"):
            gateway.chat(model)
    time.sleep(0.6)  # workers flush every 0.25 s
    before = series()
    for number in range(300):
        gateway.chat(f"made-up-{number}/x" if number % 3 else f"local/made-up-{number}")
    time.sleep(0.6)
    assert not [name for name in series() - before if "made-up" in name]
    assert len(series() - before) < 20


ESCAPES = "\x1b[2J\x1b]0;owned\x07", "<script>alert(1)</script>", "=cmd|' /C calc'!A0", "a\r\nlevel=info event=forged"


@pytest.mark.parametrize("text", ESCAPES, ids=["terminal", "script", "formula", "lines"])
def test_what_callers_write_is_one_line_of_plain_text_in_the_log_and_json_in_the_api(
    gateway: RealGateway, text: str
) -> None:
    request_id = gateway.new_id()
    agent = text.encode("unicode_escape").decode()
    gateway.chat(f"nobody/{text}", headers={"x-request-id": request_id, "user-agent": agent})
    gateway.chat(f"local/{text}")
    made = gateway.admin.post("/api/keys", json={"name": text})
    gateway.admin.post("/api/auth/login", json={"username": text, "password": "wrong password"})
    gateway.client.get("/v1/%1b%5b2J%0d%0alevel=info")
    time.sleep(0.3)
    said = gateway.product.errors + gateway.product.output
    assert "\x1b[2J" not in said
    assert "\x07" not in said
    assert not [line for line in said.splitlines() if line.startswith("level=info event=forged")]
    listed = gateway.admin.get("/api/keys")
    assert listed.headers["content-type"].startswith("application/json")
    assert listed.headers["x-content-type-options"] == "nosniff"
    if made.status_code == 201:
        assert text in [one["name"] for one in listed.json()["keys"]]


POISON = {
    "negative": {"prompt_tokens": -5, "completion_tokens": -9, "total_tokens": -14},
    "huge": {"prompt_tokens": 10**18, "completion_tokens": 10**18, "total_tokens": 2 * 10**18},
    "float": {"prompt_tokens": 1e18, "completion_tokens": 1.5, "total_tokens": 1e300},
    "words": {"prompt_tokens": "many", "completion_tokens": [], "total_tokens": {}},
    "true": {"prompt_tokens": True, "completion_tokens": True},
}


@pytest.mark.parametrize("usage", POISON.values(), ids=POISON)
@pytest.mark.parametrize("stream", [False, True])
def test_absurd_usage_is_not_believed(gateway: RealGateway, usage: dict[str, object], stream: bool) -> None:
    request_id = gateway.new_id()
    answer = gateway.chat(f"local/usage:{json.dumps(usage)}", stream=stream, headers={"x-request-id": request_id})
    assert answer.status_code == 200
    row = gateway.row(request_id)
    assert 0 <= row["input_tokens"] <= 10**6
    assert 0 <= row["output_tokens"] <= 10**6


def test_a_page_of_a_provider_is_an_error_without_its_words(gateway: RealGateway) -> None:
    for stream in (False, True):
        answer = gateway.chat("local/html", stream=stream)
        assert answer.status_code == 502
        assert "<html" not in answer.text
    wait_for(lambda: gateway.chat().status_code == 200, 10)
