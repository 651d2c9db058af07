"""The embedded Valkey: its binary, its flags, and what counts as an answer."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.serve.valkey import answers, command, find_binary


def test_the_binary_is_there_and_can_be_run() -> None:
    assert os.access(find_binary(), os.X_OK)


def test_it_listens_on_a_private_socket_only_and_keeps_what_it_was_told() -> None:
    text = " ".join(command(Path("/v"), Path("/s"), Path("/d")))
    for flags in (
        "--port 0", "--unixsocket /s", "--unixsocketperm 700", "--dir /d", "--appendonly yes",
        "--appendfsync everysec", "--maxmemory 256mb", "--maxmemory-policy noeviction",
    ):  # fmt: skip
        assert flags in text


@contextmanager
def server_that_says(path: Path, reply: bytes) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(64)
                connection.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join(2)


@pytest.mark.parametrize(
    ("reply", "is_up"), [(b"+PONG\r\n", True), (b"-LOADING Valkey is loading the dataset in memory\r\n", False)]
)
def test_a_server_that_is_loading_counts_as_away(tmp_path: Path, reply: bytes, is_up: bool) -> None:
    with server_that_says(tmp_path / "s", reply):
        assert answers(tmp_path / "s") is is_up


def test_no_server_is_no_answer(tmp_path: Path) -> None:
    assert not answers(tmp_path / "none")
