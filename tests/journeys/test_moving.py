"""Moving, through the started product: in from the seed system, back to a backup, and to another machine."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial

import httpx
import pytest

from tests.support.product import REAL, REPOSITORY, clean_environment, products, wait_for
from tests.support.real_gateway import running_fake
from tests.support.seed_system import KEY_OF_CI, SEED_KEY, make_seed_database

pytestmark = pytest.mark.process

ADMIN_TOKEN = "admin-token-of-the-movers"
SECRETS = {
    "STORAGE_ENCRYPTION_KEY": "5a" * 32,
    "API_KEY_SECRET": "pepper-of-the-movers",
    "OMNIROUTE_ADMIN_TOKEN": ADMIN_TOKEN,
    "INITIAL_PASSWORD": "correct horse battery",
    "OMNIROUTE_INITIAL_KEY": "sk-or-first-key-of-the-movers",
}
BODY = {"model": "local/ok", "messages": [{"role": "user", "content": "Hello"}]}


def command(data_dir, *arguments, **variables):
    return subprocess.run(
        [sys.executable, "-m", "gateway", *arguments, "--data-dir", str(data_dir)],
        env={**clean_environment(), **SECRETS, **variables}, cwd=REPOSITORY, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def admin_of(product):
    return httpx.Client(base_url=product.url, headers={"authorization": f"Bearer {ADMIN_TOKEN}"}, timeout=30)


def chat(product, key=KEY_OF_CI, model="local/ok"):
    return httpx.post(
        f"{product.url}/v1/chat/completions",
        json={**BODY, "model": model},
        headers={"authorization": f"Bearer {key}"},
        timeout=60,
    )


def test_moving_in_while_running_keys_work_unchanged_and_a_restore_takes_them_back(tmp_path):
    with running_fake() as fake, products() as make:
        data = tmp_path / "data"
        data.mkdir()
        seed = make_seed_database(data / "storage.sqlite", f"http://127.0.0.1:{fake.port}/v1")
        before = (seed.read_bytes(), seed.stat().st_mtime_ns)
        product = make(data, REAL, **SECRETS).wait_ready()
        assert f"omniroute import {seed}" in product.output
        assert chat(product).status_code == 401

        tried = command(data, "import", str(seed), "--dry-run", OMNIROUTE_SEED_ENCRYPTION_KEY=SEED_KEY)
        assert tried.returncode == 0, tried.stderr
        assert "would move:" in tried.stdout
        assert chat(product).status_code == 401
        moved = command(data, "import", str(data), OMNIROUTE_SEED_ENCRYPTION_KEY=SEED_KEY)
        assert moved.returncode == 0, moved.stderr
        assert "connection lost: its secret does not open" in moved.stdout
        wait_for(lambda: chat(product).status_code == 200, 10, lambda: product.errors)
        answer = chat(product)
        assert answer.headers["x-omniroute-provider"].startswith("openai-compatible-chat-")
        assert authorization_of(fake) == "Bearer sk-upstream-0123456789abcdef"
        assert chat(product, model="demo/echo").status_code == 403  # its own list of models came with it
        assert (seed.read_bytes(), seed.stat().st_mtime_ns) == before

        with admin_of(product) as admin:
            backups = admin.get("/api/db-backups").json()["backups"]
            first = next(one for one in backups if one["reason"] == "pre-import")
            assert admin.post("/api/db-backups", json={"backupId": first["id"]}).status_code == 200
        wait_for(lambda: chat(product).status_code == 401, 10, lambda: product.errors)


def test_a_backup_is_restored_on_another_machine_with_the_same_secrets(tmp_path):
    with running_fake() as fake, products() as make:
        here = make(tmp_path / "here", REAL, **SECRETS).wait_ready()
        with admin_of(here) as admin:
            node = {"prefix": "local", "baseUrl": f"http://127.0.0.1:{fake.port}/v1", "allowPrivate": True}
            assert admin.post("/api/provider-nodes", json=node).status_code == 201
            connection = {"provider": "local", "name": "main", "apiKey": "sk-upstream-of-here"}
            assert admin.post("/api/providers", json=connection).status_code == 201
            key = admin.post("/api/keys", json={"name": "moved"}).json()["key"]
        made = command(tmp_path / "here", "backup")
        assert made.returncode == 0, made.stderr
        backup = tmp_path / "carried.sqlite"
        shutil.copy(made.stdout.strip(), backup)
        here.end_all()

        there = make(tmp_path / "there", REAL, **SECRETS).wait_ready()
        assert chat(there, key).status_code == 401
        done = command(tmp_path / "there", "restore", str(backup))
        assert done.returncode == 0, done.stderr
        wait_for(lambda: chat(there, key).status_code == 200, 10, lambda: there.errors)
        assert authorization_of(fake) == "Bearer sk-upstream-of-here"

        refused = command(tmp_path / "elsewhere", "restore", str(backup), STORAGE_ENCRYPTION_KEY="66" * 32)
        assert refused.returncode == 1
        assert "STORAGE_ENCRYPTION_KEY" in refused.stderr
        assert "Traceback" not in refused.stderr


def test_admin_killed_in_the_middle_of_restores_leaves_one_or_the_other_and_callers_go_on(tmp_path):
    with products() as make:
        product = make(tmp_path / "data", REAL, **SECRETS).wait_ready()
        key = SECRETS["OMNIROUTE_INITIAL_KEY"]
        assert chat(product, key, "demo/echo").status_code == 200
        with admin_of(product) as admin:
            assert admin.put("/api/settings", json={"instanceName": "old"}).status_code == 200
            backup = admin.put("/api/db-backups").json()["backup"]["id"]
            assert admin.put("/api/settings", json={"instanceName": "new"}).status_code == 200
        for pause_s in (0.02, 0.1, 0.3):
            restoring = start_restore(product, backup)
            wait_for(partial(_has_begun, restoring, tmp_path / "data"), 20)
            time.sleep(pause_s)
            if pid := product.child("admin"):
                os.kill(pid, signal.SIGKILL)
            assert chat(product, key, "demo/echo").status_code == 200
            restoring.wait(30)
            wait_for(
                lambda: product.answers("/healthz") and _name(product) in ("old", "new"), 20, lambda: product.errors
            )
        assert chat(product, key, "demo/echo").status_code == 200


_RESTORE = """
import sys, httpx
url, token, backup = sys.argv[1:]
try:
    httpx.post(url + "/api/db-backups", json={"backupId": backup}, headers={"authorization": "Bearer " + token}, timeout=60)
except httpx.HTTPError:
    pass
"""


def start_restore(product, backup):
    return subprocess.Popen(
        [sys.executable, "-c", _RESTORE, product.url, ADMIN_TOKEN, backup], env=clean_environment(), cwd=REPOSITORY
    )


def _has_begun(restoring, data):
    return restoring.poll() is not None or any(data.glob(".restore-*"))


def _name(product):
    try:
        with admin_of(product) as admin:
            answer = admin.get("/api/settings")
            return json.loads(answer.content).get("instanceName") if answer.status_code == 200 else None
    except httpx.HTTPError:
        return None


def authorization_of(fake):
    """What the provider was shown last."""
    headers = {name.lower(): value for name, value in fake.requests[-1].headers}
    return headers["authorization"]
