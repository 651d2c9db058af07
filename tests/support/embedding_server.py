"""A provider of vectors for tests: answers `POST …/embeddings` in OpenAI's shape, from a function of the text.

Without another function the vector is made of the text's words and groups of three letters, hashed: near when many are
shared, whatever they mean.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DIMENSIONS = 256


def hashed_vector(text: str) -> list[float]:
    """A vector of the letters alone."""
    vector = [0.0] * DIMENSIONS
    padded = f" {text.lower().strip(' ?.!')} "
    for piece in [*padded.split(), *(padded[at : at + 3] for at in range(len(padded) - 2))]:
        digest = int.from_bytes(blake2b(piece.encode(), digest_size=4).digest(), "big")
        vector[digest % DIMENSIONS] += 1.0 if digest & 0x80000000 else -1.0
    return vector


class EmbeddingServer:
    """`asked` holds the texts in order. `delay_s`, `status` and `body` say how the next ones are answered."""

    def __init__(self, vector_of: Callable[[str], list[float]] = hashed_vector) -> None:
        self.vector_of = vector_of
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.delay_s = 0.0
        self.status = 200
        self.body: bytes | None = None
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                status, body = server.answer(self.path, request, dict(self.headers.items()))
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.port = self._http.server_port
        self.base_url = f"http://127.0.0.1:{self.port}/v1"

    def answer(self, path: str, request: dict[str, str], headers: dict[str, str]) -> tuple[int, bytes]:
        self.asked.append(request["input"])
        self.headers.append({name.lower(): value for name, value in headers.items()})
        if self.delay_s:
            time.sleep(self.delay_s)
        if path != "/v1/embeddings" or self.status != 200:
            return (404 if self.status == 200 else self.status), b'{"error":{"message":"no"}}'
        if self.body is not None:
            return 200, self.body
        tokens = len(request["input"].split())
        item = {"object": "embedding", "index": 0, "embedding": self.vector_of(request["input"])}
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return 200, json.dumps({"object": "list", "data": [item], "model": request["model"], "usage": usage}).encode()

    def start(self) -> None:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@contextmanager
def running_embeddings(vector_of: Callable[[str], list[float]] = hashed_vector) -> Iterator[EmbeddingServer]:
    """A server in a thread of its own."""
    server = EmbeddingServer(vector_of)
    server.start()
    try:
        yield server
    finally:
        server.stop()
