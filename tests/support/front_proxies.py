"""Real nginx and HAProxy with the files of `deploy/proxies`, in which only addresses and places are changed to this machine's."""

import contextlib
import csv
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.support.certificates import Authority
from tests.support.product import REPOSITORY, free_port, processes_below, wait_for

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
HAPROXY = shutil.which("haproxy") or "/usr/sbin/haproxy"
FILES = REPOSITORY / "deploy" / "proxies"
MISSING = [name for name in (NGINX, HAPROXY) if not Path(name).is_file()]
"""What is not installed (Debian: apt-get install nginx haproxy)."""


class FrontProxy:
    """One of the two, on a port of its own with TLS; `url` is what callers ask, `trust` what they trust."""

    def __init__(self, folder: Path, gateways: Sequence[int], changes: Mapping[str, str] | None = None) -> None:
        """`gateways`: ports of all that there may be. `changes`: what is different in its file, as it was before to as it is."""
        folder.mkdir()
        self.folder, self.gateways, self.changes = folder, gateways, dict(changes or {})
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        authority = Authority(folder)
        authority.server("127.0.0.1")
        self.certificate = folder / "server-1.pem"
        self.trust = ssl.create_default_context(cafile=authority.ca_file)
        self.config = self._configured()

    def check(self) -> subprocess.CompletedProcess[str]:
        """Its own look at its file."""
        return subprocess.run(self._command("check"), capture_output=True, text=True, timeout=60)

    def __enter__(self) -> Self:
        self.log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(self._command("run"), stdout=self.log, stderr=self.log)
        wait_for(self._accepts, 10, (self.folder / "log").read_text)
        return self

    def __exit__(self, *_: object) -> None:
        below = [pid for pid, _ in processes_below(self.process.pid)]
        for pid in [self.process.pid, *below]:
            os.kill(pid, signal.SIGKILL)
        self.process.wait(30)
        self.log.close()

    def _accepts(self) -> bool:
        assert self.process.poll() is None, (self.folder / "log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _configured(self) -> Path:
        raise NotImplementedError

    def _command(self, what: str) -> list[str]:
        raise NotImplementedError


class Nginx(FrontProxy):
    """Which gateways it asks is what `use` said last."""

    def use(self, ports: Iterable[int]) -> None:
        """As an operator does: the others are marked `down`, and nginx reads its files again."""
        asked = set(ports)
        lines = [f"server 127.0.0.1:{port}{'' if port in asked else ' down'};\n" for port in self.gateways]
        (self.folder / "gateways.conf").write_text("".join(lines))
        before = self.processes()
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: self.processes() - before, 10)

    def processes(self) -> set[int]:
        """Those that serve, new ones and old ones that still have something to end."""
        return {pid for pid, _ in processes_below(self.process.pid)}

    def _configured(self) -> Path:
        lines = [f"server 127.0.0.1:{port};\n" for port in self.gateways]
        (self.folder / "gateways.conf").write_text("".join(lines))
        text = replaced(
            replaced((FILES / "nginx.conf").read_text(), self.changes),
            {
                "/etc/nginx/omniroute-gateways.conf": f"{self.folder}/gateways.conf",
                "    listen 443 ": f"    listen 127.0.0.1:{self.port} ",
                "/etc/nginx/tls/llm.example.com.pem": str(self.certificate),
                "/etc/nginx/tls/llm.example.com.key": str(self.certificate),
            },
        )
        (self.folder / "omniroute.conf").write_text(text)
        main = self.folder / "nginx.conf"
        places = "".join(f"{name}_temp_path {self.folder}/{name};" for name in _NGINX_FOLDERS)
        main.write_text(
            f"{'user root;' if os.geteuid() == 0 else ''} worker_processes 1; pid {self.folder}/pid; daemon off;\n"
            f"events {{ worker_connections 512; }}\n"
            f"http {{ access_log off; {places} include {self.folder}/omniroute.conf; }}\n"
        )
        return main

    def _command(self, what: str) -> list[str]:
        return [NGINX, "-p", str(self.folder), "-e", "stderr", "-c", str(self.config), *(["-t"] * (what == "check"))]


_NGINX_FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


class HAProxy(FrontProxy):
    """It looks by itself which gateways are ready."""

    def up(self) -> set[int]:
        """Ports of the gateways that it asks."""
        return {port for port, row in self._rows().items() if row["status"].startswith("UP")}

    def asked(self) -> dict[int, int]:
        """Port of a gateway → sessions that it has got."""
        return {port: int(row["stot"]) for port, row in self._rows().items()}

    def _rows(self) -> dict[int, dict[str, str]]:
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(30)
            control.connect(str(self.folder / "s"))
            control.sendall(b"show stat\n")
            text = b"".join(iter(lambda: control.recv(65536), b"")).decode()
        servers = [row for row in csv.DictReader(text.removeprefix("# ").splitlines()) if row["pxname"] == "gateways"]
        named = {f"gateway{number + 1}": port for number, port in enumerate(self.gateways)}
        return {named[row["svname"]]: row for row in servers if row["svname"] in named}

    def _configured(self) -> Path:
        text = replaced(
            replaced((FILES / "haproxy.cfg").read_text(), self.changes),
            {
                "/run/haproxy/admin.sock": f"{self.folder}/s",
                "bind :443 ": f"bind 127.0.0.1:{self.port} ",
                "/etc/haproxy/tls/llm.example.com.pem": str(self.certificate),
                "fd-hard-limit 50000": "fd-hard-limit 2000",
            }
            | {f"10.0.0.1{number + 1}:20128": f"127.0.0.1:{port}" for number, port in enumerate(self.gateways)},
        )
        config = self.folder / "haproxy.cfg"
        config.write_text(text)
        return config

    def _command(self, what: str) -> list[str]:
        return [HAPROXY, "-db", "-f", str(self.config), *(["-c"] * (what == "check"))]


def kept_ports(count: int) -> list[int]:
    """Ports for servers that come and go: of none that the kernel gives to others meanwhile, as it does with free ones."""
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found: list[int] = []
    for port in random.sample(range(max(1024, low - 8000), low), 200):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise AssertionError("no ports are left")


def replaced(text: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        assert text.count(old) == 1, (old, text.count(old))
        text = text.replace(old, new)
    return text
