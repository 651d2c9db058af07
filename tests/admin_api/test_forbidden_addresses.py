"""Every URL that the admin API takes: none leads to an address that is never called, in whatever spelling."""

import pytest

from tests.support.admin_plane import published_snapshot
from tests.support.forbidden_hosts import NEVER, NEVER_BY_NAME

NODE = {"prefix": "mine", "baseUrl": "https://models.example/v1"}
CONNECTION = {"provider": "openai", "name": "a", "apiKey": "sk-of-the-tests-123456"}
HIDDEN = (
    "http://models.example\\@169.254.169.254", "http://me@169.254.169.254", "http://169.254.\n169.254",
    "http://models.example\t:80", "//169.254.169.254", "gopher://127.0.0.1:25", "dict://127.0.0.1", "unix:///run/x",
)  # fmt: skip
"""What readers of URLs do not agree about, and what is no URL of a provider or a proxy."""


def places_of_proxies(url, connection_id):
    """Each request that takes a proxy, by name."""
    return {
        "all": ("PUT", "/api/settings/proxy", {"level": "global", "proxy": url}),
        "map": ("PUT", "/api/settings/proxy", {"global": url}),
        "provider": ("PUT", "/api/settings/proxy", {"level": "provider", "id": "openai", "proxy": url}),
        "providers": ("PUT", "/api/settings/proxy", {"providers": {"openai": url}}),
        "connection": ("PUT", "/api/settings/proxy", {"level": "connection", "id": connection_id, "proxy": url}),
        "test": ("POST", "/api/settings/proxy/test", {"proxy": url, "provider": "openai"}),
        "new connection": ("POST", "/api/providers", {**CONNECTION, "name": "b", "proxy": url}),
        "old connection": ("PUT", f"/api/providers/{connection_id}", {"proxy": url}),
    }


@pytest.fixture
async def made(admin):
    """A node's and a connection's id."""
    node = (await admin.post("/api/provider-nodes", json=NODE)).json()
    connection = (await admin.post("/api/providers", json=CONNECTION)).json()
    return node.get("node", node)["id"], connection.get("connection", connection)["id"]


async def answers(admin, requests):
    return {name: (await admin.request(method, path, json=body)) for name, (method, path, body) in requests.items()}


@pytest.mark.parametrize("host", NEVER + NEVER_BY_NAME)
async def test_no_node_and_no_proxy_may_be_there(admin, redis, made, host):
    node_id, connection_id = made
    before = (await published_snapshot(redis)).revision
    url = f"http://{host}/v1"
    nodes = {
        "new": ("POST", "/api/provider-nodes", {"prefix": "other", "baseUrl": url, "allowPrivate": True}),
        "old": ("PUT", f"/api/provider-nodes/{node_id}", {"baseUrl": url, "allowPrivate": True}),
        "test": ("POST", "/api/provider-nodes/validate", {"baseUrl": url, "allowPrivate": True}),
    }
    parts = {"type": "socks5", "host": host.strip("[]"), "port": 80}
    requests = nodes | places_of_proxies(f"http://{host}:80", connection_id)
    requests["parts"] = ("PUT", "/api/settings/proxy", {"level": "global", "proxy": parts})
    statuses = {name: answer.status_code for name, answer in (await answers(admin, requests)).items()}
    assert statuses == dict.fromkeys(requests, 400)
    assert (await published_snapshot(redis)).revision == before


@pytest.mark.parametrize("url", HIDDEN)
async def test_no_host_is_hidden_in_a_url(admin, made, url):
    node_id, connection_id = made
    requests = {
        "new": ("POST", "/api/provider-nodes", {"prefix": "other", "baseUrl": url, "allowPrivate": True}),
        "old": ("PUT", f"/api/provider-nodes/{node_id}", {"baseUrl": url, "allowPrivate": True}),
        **places_of_proxies(url, connection_id),
    }
    statuses = {name: answer.status_code for name, answer in (await answers(admin, requests)).items()}
    assert statuses == dict.fromkeys(requests, 400)
