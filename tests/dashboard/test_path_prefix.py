"""Behind a reverse proxy that takes a path off: deep links, the login, the live stream and changes work below it."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.dashboard.conftest import PASSWORD
from tests.support.dashboard import Dashboard
from tests.support.product import free_port, wait_for

expect.set_options(timeout=30_000)
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
pytestmark = pytest.mark.skipif(not Path(NGINX).is_file(), reason="there is no nginx here")

_CONFIG = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location /omni/ {{ proxy_pass {product}/; proxy_set_header Host $http_host; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""


@pytest.fixture(scope="module")
def below(gateway, tmp_path_factory) -> Iterator[str]:
    """The address of the product as the proxy shows it."""
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    config = folder / "nginx.conf"
    config.write_text(_CONFIG.format(folder=folder, port=port, product=gateway.url))
    process = subprocess.Popen([NGINX, "-c", str(config), "-p", str(folder)], stderr=subprocess.PIPE)
    url = f"http://127.0.0.1:{port}/omni"
    try:
        wait_for(lambda: _answers(f"{url}/dashboard/"), 30)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=30).status_code == 200
    except httpx.HTTPError:
        return False


def test_a_deep_link_leads_through_the_login_to_its_page_which_is_live_and_can_change_things(below, chromium):
    it = Dashboard(chromium, below)
    it.expect(r"status of 401")
    it.page.goto(f"{below}/dashboard/usage/budgets?range=7d")
    it.page.get_by_label("Password", exact=True).fill(PASSWORD)
    it.page.keyboard.press("Enter")
    page = it.page
    page.get_by_role("heading", name="Budgets of keys").wait_for()
    assert page.url == f"{below}/dashboard/usage/budgets?range=7d"
    page.get_by_text("Live", exact=True).wait_for()
    page.get_by_role("navigation", name="Main menu").get_by_role("link", name="Keys").click()
    page.get_by_role("heading", name="Keys", exact=True).wait_for()
    assert page.url == f"{below}/dashboard/keys?range=7d"
    page.get_by_role("button", name="New key").click()
    page.get_by_role("textbox", name="Name", exact=True).fill("below-a-path")
    page.get_by_role("button", name="Create", exact=False).click()
    page.get_by_text("sk-or-").first.wait_for()
    page.reload()
    page.get_by_role("cell", name="below-a-path").first.wait_for()
    assert it.problems() == []  # nothing was asked for beside the path: `Dashboard` knows its address with it
    it.close()
