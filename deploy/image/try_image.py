"""Does here, without an engine, what building and running the image does: `python deploy/image/try_image.py`.

The build is `assemble.sh`, as in deploy/Dockerfile, on a copy of what .dockerignore lets through. The run has the environment, the user
and the command of the Dockerfile's last stage, and a root that is read-only but for the data folder and /tmp. User and root need rights
(root, or `unshare`); what could not be had is said at the end. Standard library only. Exit code 1 when something is not as it must be.
"""

import contextlib
import http.client
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
READY_WITHIN_S = 240
ENDS_WITHIN_S = 120
_DATA = "/var/lib/omniroute"


class NotAsItMustBe(Exception):
    """The message says what."""


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="or-image-", dir="/tmp") as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)
        try:
            began = time.monotonic()
            source, target, python = folder / "src", folder / "opt", interpreter()
            copy_context(source)
            build = [str(source / "deploy/image/assemble.sh"), str(target)]
            subprocess.run(build, check=True, env={**os.environ, "PYTHON": str(python)})
            print(f"built in {time.monotonic() - began:.0f} s, {size_mb(target)} MB beside the base image")
            must(any(target.rglob("dashboard_bundle/index.html")), "the dashboard is not in the wheel")
            must(not (target / "bin/pip").exists(), "there is pip in the image")
            try_running(folder, target, python, last_stage((ROOT / "deploy/Dockerfile").read_text()))
        except (NotAsItMustBe, subprocess.CalledProcessError) as error:
            print(f"FAILED: {error}", file=sys.stderr)
            return 1
    return 0


def must(condition: object, otherwise: str) -> None:
    if not condition:
        raise NotAsItMustBe(otherwise)


def copy_context(target: Path) -> None:
    """What .dockerignore lets through: `!NAME` lines, without what is left out again below them."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    names = [line[1:] for line in lines if line.startswith("!")]
    left_out = {line.rpartition("/")[2] for line in lines if line and line[0] not in "!#*"} | {
        "node_modules",
        "__pycache__",
    }
    for name in names:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns(*left_out))
        else:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def size_mb(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*")) // 1_000_000


def last_stage(dockerfile: str) -> dict[str, object]:
    """`env`, `user` and `command` of what is run."""
    text = re.sub(r"\\\n", " ", dockerfile[dockerfile.rindex("\nFROM ") :])
    found: dict[str, object] = {"env": {}, "command": [], "user": ""}
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "ENV":
            found["env"] = dict(pair.split("=", 1) for pair in shlex.split(rest))
        elif word == "USER":
            found["user"] = rest.strip()
        elif word in ("ENTRYPOINT", "CMD"):
            found["command"] = [*found["command"], *json.loads(rest)]
    return found


def interpreter() -> Path:
    """Ours, or one that every user may run: an image's interpreter is no root's own."""
    ours = Path(sys.executable).resolve()
    if may_be_run_by_others(ours):
        return ours
    for other in ("/usr/local/bin/python3", "/usr/bin/python3"):
        asked = "import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))"
        if (
            Path(other).exists()
            and subprocess.run([other, "-c", asked], capture_output=True, check=False).returncode == 0
        ):
            return Path(other).resolve()
    return ours


def may_be_run_by_others(python: Path) -> bool:
    return all(place.stat().st_mode & 0o001 for place in (python, *python.parents))


def try_running(folder: Path, target: Path, python: Path, stage: dict[str, object]) -> None:
    env, user = stage["env"], stage["user"]
    must(user == "65532:65532", f"the image runs as {user!r}")
    env["PATH"] = env["PATH"].replace("/opt/omniroute/bin", str(target / "bin"))
    (data := folder / "data").mkdir()
    # What an engine gives by itself is had from this machine: a network without others, here free ports of loopback.
    port, metrics = free_port(), free_port()
    env |= {"DATA_DIR": str(data), "OMNIROUTE_HOST": "127.0.0.1", "OMNIROUTE_METRICS_HOST": "127.0.0.1"}
    env |= {
        "PORT": str(port),
        "OMNIROUTE_METRICS_PORT": str(metrics),
        "OMNIROUTE_INITIAL_KEY": "sk-or-key-of-the-image",
    }
    fences, missing = fences_for(folder, data, user, python)
    command = [*fences, str(target / "bin" / stage["command"][0]), *stage["command"][1:]]
    log = (folder / "log").open("wb")
    product = subprocess.Popen(command, env=env, cwd=data, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until_ready(product, port, folder)
        look(port, metrics, product.pid, is_fenced=not missing)
        product.send_signal(signal.SIGTERM)
        code = product.wait(ENDS_WITHIN_S)
        must(code == 0, f"it ended with {code}\n{(folder / 'log').read_text()[-3000:]}")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(product.pid, signal.SIGKILL)
    print("started, called, ended with 0; " + (f"NOT tried: {missing}" if missing else "as 65532, on a read-only root"))


def fences_for(folder: Path, data: Path, user: str, python: Path) -> tuple[list[str], str]:
    """Words before the command that make root read-only and the user the image's, and what of it is not to be had."""
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("setpriv"):
        return [], "another user and a read-only root (that needs root, unshare and setpriv)"
    uid, gid = user.split(":")
    os.chown(data, int(uid), int(gid))
    said = ""
    if not may_be_run_by_others(python):
        uid = gid = "0"
        os.chown(data, 0, 0)
        said = f"another user ({python} lies where only root may look)"
    fence = folder / "fence.sh"
    fence.write_text(
        "set -e\n"
        f"mount --bind {data} {data}\n"
        "mount -o remount,bind,ro /\n"
        f'exec setpriv --reuid {uid} --regid {gid} --clear-groups --no-new-privs --bounding-set -all --inh-caps -all "$@"\n'
    )
    probe = subprocess.run(["unshare", "-m", "sh", str(fence), "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        return [], f"another user and a read-only root ({probe.stderr.strip()})"
    return ["unshare", "-m", "sh", str(fence)], said


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(port: int, path: str, body: object = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": "Bearer sk-or-key-of-the-image", "Content-Type": "application/json"}
    try:
        connection.request("POST" if body else "GET", path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except OSError as error:
        return 0, str(error)
    finally:
        connection.close()


def ask_until(is_right: Callable[[str], bool], *request: object) -> str:
    """The text of an answer, waited for: the first key and the first figures are there a moment after the start."""
    deadline = time.monotonic() + READY_WITHIN_S
    while not ((answer := ask(*request))[0] == 200 and is_right(answer[1])):
        must(time.monotonic() < deadline, f"{request[1]} answers {answer[0]} {answer[1][:500]}")
        time.sleep(0.2)
    return answer[1]


def wait_until_ready(product: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while ask(port, "/readyz")[0] != 200 or ask(port, "/healthz")[0] != 200:
        ended = product.poll() is not None
        must(
            not ended and time.monotonic() < deadline, f"it does not get ready\n{(folder / 'log').read_text()[-3000:]}"
        )
        time.sleep(0.2)


def look(port: int, metrics: int, pid: int, *, is_fenced: bool) -> None:
    """What a newcomer would look at, and what the image promises about itself."""
    said = {"model": "demo/story", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
    streamed = ask_until(lambda told: "[DONE]" in told, port, "/v1/chat/completions", said)
    must(streamed.count("data: ") > 3, "the demo's answer is not streamed")
    ask_until(lambda told: "<script" in told, port, "/dashboard/")
    ask_until(lambda told: "omniroute_requests_total{" in told, metrics, "/metrics")
    if is_fenced:
        status = Path(f"/proc/{pid}/status").read_text()
        must(re.search(r"^Uid:\s+65532", status, re.MULTILINE), "it runs as another user")
        must(re.search(r"^CapEff:\s+0+$", status, re.MULTILINE), "it has capabilities")


if __name__ == "__main__":
    sys.exit(main())
