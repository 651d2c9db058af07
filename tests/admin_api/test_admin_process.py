"""The admin process as its supervisor and an operator see it: ready line, signals, lifeline, first start, recovery."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from admin_api.services.first_start import confirm_shown, prepare_first_start
from gateway.config.keys import digest_of
from gateway.state import keys as redis_keys
from tests.support.admin_plane import ADMIN_TOKEN, ENCRYPTION_KEY, make_plane, make_settings, until
from tests.support.product import free_port

pytestmark = pytest.mark.process

CONFIG = """\
version: 1
nodes: [{id: one, prefix: one, dialect: openai_chat, base_url: "http://127.0.0.1:9001/v1", allow_private: true}]
"""


def environment_of(data_dir, redis_url, **more):
    kept = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path.cwd()), "API_KEY_SECRET": "pepper"}
    kept |= {"STORAGE_ENCRYPTION_KEY": ENCRYPTION_KEY, "JWT_SECRET": "jwt", "OMNIROUTE_ADMIN_TOKEN": ADMIN_TOKEN}
    return {**kept, "DATA_DIR": str(data_dir), "REDIS_URL": redis_url, **more}


class Admin:
    """A started admin process with the supervisor's two pipes."""

    def __init__(self, data_dir, redis_url, *options, **environment):
        ready_read, ready_write = os.pipe()
        life_read, self.life_write = os.pipe()
        os.set_inheritable(ready_write, True)
        os.set_inheritable(life_read, True)
        command = [sys.executable, "-m", "admin_api", "serve", "--ready-fd", str(ready_write)]
        self.process = subprocess.Popen(
            [*command, "--lifeline-fd", str(life_read), *options],
            env=environment_of(data_dir, redis_url, **environment),
            pass_fds=(ready_write, life_read),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        os.close(ready_write)
        os.close(life_read)
        self.ready_read = ready_read
        self.socket = Path(data_dir) / "run" / "admin.sock"

    def ready(self):
        with os.fdopen(self.ready_read, "rb") as pipe:
            return json.loads(pipe.readline())

    def client(self):
        transport = httpx.AsyncHTTPTransport(uds=str(self.socket))
        headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
        return httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers, timeout=60)

    def cut_lifeline(self):
        if self.life_write is not None:
            os.close(self.life_write)
            self.life_write = None

    def end(self):
        self.process.kill()
        out, err = self.process.communicate(timeout=100)
        self.cut_lifeline()
        return out.decode(), err.decode()


@pytest.fixture
def start(tmp_path, redis, shared_valkey):
    started = []

    def start_admin(*options, redis_url=shared_valkey.url, **environment):
        started.append(Admin(tmp_path, redis_url, *options, **environment))
        return started[-1]

    yield start_admin
    for admin in started:
        admin.end()


async def in_thread(function, *arguments):
    return await asyncio.to_thread(function, *arguments)


async def test_the_code_for_the_first_browser_logs_the_owner_in_once(start):
    admin = start()
    code = (await in_thread(admin.ready))["loginCode"]
    async with admin.client() as client:
        wrong = await client.post("/api/auth/login-link", json={"code": "x" + code[1:]})
        assert wrong.status_code == 401
        right = await client.post("/api/auth/login-link", json={"code": code})
        assert (right.status_code, right.json()["role"]) == (200, "owner")
        assert (await client.get("/api/settings")).json()["setupComplete"] is False
        assert (await client.post("/api/auth/login-link", json={"code": code})).status_code == 401


async def test_ready_comes_once_it_listens_and_has_published(start, redis):
    admin = start()
    line = await in_thread(admin.ready)
    assert set(line) == {"ready", "password", "key", "configError", "seedDatabase", "loginCode"}
    assert line["ready"] is True
    assert stat.S_IMODE(admin.socket.stat().st_mode) == 0o600
    assert await redis.exists(redis_keys.key(digest_of(line["key"], b"pepper")))
    async with admin.client() as client:
        answer = await client.post("/api/auth/login", json={"password": line["password"]})
        assert answer.status_code == 200
    out, err = admin.end()
    for secret in (line["password"], line["key"]):
        assert secret not in out + err


async def test_sigterm_ends_it_with_0_and_gives_the_leases_back(start, redis):
    admin = start()
    await in_thread(admin.ready)
    await until(lambda: redis.exists(redis_keys.lease("ledger")))
    admin.process.send_signal(signal.SIGTERM)
    assert await in_thread(admin.process.wait, 60) == 0
    assert not await redis.exists(redis_keys.lease("ledger"))
    assert not admin.socket.exists()


async def test_a_running_request_is_finished_after_sigterm(start):
    admin = start()
    line = await in_thread(admin.ready)
    async with admin.client() as client:
        await client.get("/healthz")  # so that its connection is there when the signal comes
        log_in = asyncio.create_task(client.post("/api/auth/login", json={"password": line["password"]}))
        await asyncio.sleep(0.1)
        admin.process.send_signal(signal.SIGTERM)
        assert (await log_in).status_code == 200
    assert await in_thread(admin.process.wait, 60) == 0


async def test_it_ends_when_the_supervisor_is_gone(start):
    admin = start()
    await in_thread(admin.ready)
    admin.cut_lifeline()
    await in_thread(admin.process.wait, 60)


async def test_sighup_reads_the_config_file_again(start, redis, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG)
    admin = start(OMNIROUTE_CONFIG=str(path))
    assert (await in_thread(admin.ready))["configError"] == ""
    path.write_text(CONFIG.replace("9001", "9002"))
    admin.process.send_signal(signal.SIGHUP)

    async def published():
        revision = int(await redis.get(redis_keys.SNAPSHOT_CURRENT))
        return b"9002" in await redis.get(redis_keys.snapshot(revision))

    await until(published, 3)
    path.write_text("version: [")
    admin.process.send_signal(signal.SIGHUP)

    async def error_is_shown():
        async with admin.client() as client:
            return (await client.get("/api/monitoring/health")).json()["config"]["error"]

    assert "line" in await until(error_is_shown, 3)
    assert await published()


async def test_a_changed_encryption_key_is_shown(start, tmp_path):
    admin = start()
    await in_thread(admin.ready)
    async with admin.client() as client:
        await client.post("/api/provider-nodes", json={"prefix": "one", "baseUrl": "http://host/v1"})
        await client.post("/api/providers", json={"provider": "one", "name": "a", "apiKey": "secret"})
    admin.process.send_signal(signal.SIGTERM)
    await in_thread(admin.process.wait, 60)
    admin = start(STORAGE_ENCRYPTION_KEY="00" * 32)
    await in_thread(admin.ready)
    async with admin.client() as client:
        body = (await client.get("/api/monitoring/health")).json()
    assert (body["status"], body["unreadableSecrets"]) == ("degraded", 1)


async def test_a_broken_file_at_start_is_told_and_does_not_stop_it(start, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("version: 1\nnonsense: 1\n")
    line = await in_thread(start(OMNIROUTE_CONFIG=str(path)).ready)
    assert line["ready"]
    assert "nonsense" in line["configError"]


async def test_credentials_are_shown_again_until_they_have_been_shown(start, tmp_path):
    settings = make_settings(tmp_path, "unix:///nowhere", initial_key="")
    settings = type(settings)(
        **{**{f: getattr(settings, f) for f in settings.__dataclass_fields__}, "initial_password": ""}
    )
    plane = await make_plane(settings)
    first = await prepare_first_start(plane)
    assert first.password
    assert first.key
    await plane.close()
    admin = start()
    line = await in_thread(admin.ready)
    assert (line["password"], line["key"]) == (first.password, first.key)
    admin.process.send_signal(signal.SIGTERM)
    await in_thread(admin.process.wait, 60)
    again = await in_thread(start().ready)
    assert (again["password"], again["key"]) == ("", "")


async def test_given_credentials_are_not_shown(start, redis):
    line = await in_thread(
        start(INITIAL_PASSWORD="given password", OMNIROUTE_INITIAL_KEY="sk-or-given-key-0123456789").ready
    )
    assert (line["password"], line["key"]) == ("", "")
    assert await redis.exists(redis_keys.key(digest_of("sk-or-given-key-0123456789", b"pepper")))


async def test_without_redis_the_api_works_and_publishes_when_it_comes(start, own_valkey):
    own_valkey.stop()
    admin = start(redis_url=own_valkey.url)
    async with admin.client() as client:

        async def made_key():
            try:
                return (await client.post("/api/keys", json={"name": "n"}, timeout=60)).json()
            except httpx.TransportError:
                return None

        made = await until(made_key)
        assert made["published"] is False
        own_valkey.start()
        name = redis_keys.key(digest_of(made["key"], b"pepper"))

        async def is_published():
            return subprocess.run(
                [sys.executable, "-c", f"import redis; print(redis.Redis.from_url({own_valkey.url!r}).exists({name!r}))"],
                capture_output=True, check=True,
            ).stdout == b"1\n"  # fmt: skip

        await until(is_published, 15)


async def test_it_listens_on_tcp_when_told(start):
    port = free_port()
    admin = start("--host", "127.0.0.1", "--port", str(port))
    await in_thread(admin.ready)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/healthz", headers={"host": "evil.example"})).status_code == 403
        assert (await client.get("/api/keys")).status_code == 401


def run_command(data_dir, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "admin_api", *arguments],
        env=environment_of(data_dir, ""),
        capture_output=True,
        timeout=100,
        text=True,
        check=True,
    ).stdout.strip()


async def test_alone_it_lets_in_whom_the_ip_filter_lets_in(start):
    """As behind a proxy that is vouched for: the caller's address is the one the proxy tells."""
    port = free_port()
    admin = start("--host", "127.0.0.1", "--port", str(port), OMNIROUTE_TRUSTED_PROXIES="127.0.0.1/32")
    await in_thread(admin.ready)
    headers = {"authorization": f"Bearer {ADMIN_TOKEN}", "x-forwarded-for": "198.51.100.1"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=100) as client:

        async def status(address, path="/api/keys"):
            return (await client.get(path, headers={"x-forwarded-for": address})).status_code

        body = {"enabled": True, "blacklist": ["203.0.113.0/24"]}
        assert (await client.put("/api/settings/ip-filter", json=body)).status_code == 200
        await until(lambda: is_status(status("203.0.113.5"), 403), 30)
        assert await status("203.0.113.5", "/api/auth/status") == 403
        assert await status("203.0.113.5", "/dashboard") == 403
        assert await status("203.0.113.5", "/healthz") == 200, "probes are nobody's"
        assert await status("198.51.100.1") == 200
        forged = await client.get("/api/keys", headers={"x-forwarded-for": "198.51.100.1, 203.0.113.5"})
        assert forged.status_code == 403, "what stands before the last hop is what the caller says"
        assert (await client.put("/api/settings/ip-filter", json={"enabled": False, "rpm": 5})).status_code == 200
        await until(lambda: is_status(status("192.0.2.7"), 429), 30)
        answer = await client.get("/api/keys", headers={"x-forwarded-for": "192.0.2.7"})
        assert 1 <= int(answer.headers["retry-after"]) <= 61, "a second counts until it is wholly a minute ago"
        assert await status("203.0.113.5") == 200


async def is_status(asked, wanted):
    return await asked == wanted


async def test_a_token_made_on_the_command_line_opens_the_api_and_only_its_hash_is_kept(start, tmp_path):
    admin = start()
    await in_thread(admin.ready)
    token = await in_thread(run_command, tmp_path, "token", "create", "--name", "ci")
    async with admin.client() as client:
        answer = await client.get("/api/keys", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert all(token.encode() not in path.read_bytes() for path in tmp_path.glob("omniroute.db*"))


async def test_a_reset_password_replaces_the_old_one_and_ends_sessions(start, tmp_path):
    admin = start()
    old = (await in_thread(admin.ready))["password"]
    async with httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(uds=str(admin.socket)), base_url="http://localhost"
    ) as client:
        assert (await client.post("/api/auth/login", json={"password": old})).status_code == 200
        assert (await client.get("/api/keys")).status_code == 200
        new = await in_thread(run_command, tmp_path, "reset-password")
        assert (await client.get("/api/keys")).status_code == 401
        assert (await client.post("/api/auth/login", json={"password": old})).status_code == 401
        assert (await client.post("/api/auth/login", json={"password": new})).status_code == 200


async def test_a_reset_before_the_first_start_still_leaves_a_first_key(start, tmp_path):
    new = await in_thread(run_command, tmp_path, "reset-password")
    admin = start()
    line = await in_thread(admin.ready)
    assert line["password"] == ""
    assert line["key"].startswith("sk-or-")
    async with admin.client() as client:
        assert (await client.post("/api/auth/login", json={"password": new})).status_code == 200


async def test_a_shown_first_start_stays_shown(plane):
    await confirm_shown(plane)
    shown = await prepare_first_start(plane)
    assert (shown.password, shown.key) == ("", "")


async def test_a_seed_systems_database_is_not_touched(start, tmp_path):
    (tmp_path / "storage.sqlite").write_bytes(b"theirs")
    await in_thread(start().ready)
    assert (tmp_path / "storage.sqlite").read_bytes() == b"theirs"
    assert (tmp_path / "omniroute.db").exists()
    assert stat.S_IMODE((tmp_path / "omniroute.db").stat().st_mode) == 0o600


def test_a_setting_that_cannot_be_used_is_told_without_a_traceback(tmp_path):
    for more in ({"REDIS_URL": ""}, {"STORAGE_ENCRYPTION_KEY": "short"}, {"INITIAL_PASSWORD": "123456"}):
        ended = subprocess.run(
            [sys.executable, "-m", "admin_api", "serve"],
            env={**environment_of(tmp_path, "unix:///nowhere"), **more},
            capture_output=True, timeout=100, text=True,
        )  # fmt: skip
        assert ended.returncode == 2
        assert next(iter(more)) in ended.stderr
        assert "Traceback" not in ended.stderr
