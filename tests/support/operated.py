"""The started product as an operator meets it: nothing comes from a config file, all is set through the API.

Nodes `pair` (two connections, the first is asked first), `narrow` (one request at a time) and `failing`, all of them the fake
provider; a combo `goes-on` from a failing model to one that answers.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.fake_provider import FakeProvider
from tests.support.product import REAL, Product, products, wait_for
from tests.support.real_gateway import running_fake

ADMIN_TOKEN, KEY = "admin-token-of-the-operator", "sk-or-operator-key-0001"
FIRST, SECOND = "sk-operator-first-0001", "sk-operator-second-0002"
TAKEN_UP_S = 60.0


class Operated:
    """The product and the fake provider, and what a test does to both."""

    def __init__(self, product: Product, fake: FakeProvider) -> None:
        self.fake = fake
        self.metrics_port = product.metrics_port
        self.admin = httpx.Client(base_url=product.url, headers={"authorization": f"Bearer {ADMIN_TOKEN}"}, timeout=60)
        self.caller = httpx.Client(base_url=product.url, headers={"authorization": f"Bearer {KEY}"}, timeout=60)

    def do(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = self.admin.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def change(self, **fields: Any) -> None:
        self.do("PATCH", "/api/settings", fields)

    def chat(self, model: str = "pair/ok", headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], **fields}
        return self.caller.post("/v1/chat/completions", json=body, headers=headers)

    def used(self, count: int = 8) -> set[str]:
        """Which connections of the pair answer so many requests."""
        self.fake.forget_requests()
        for _ in range(count):
            assert self.chat().status_code == 200
        return {record.header("authorization").removeprefix("Bearer ") for record in self.fake.requests}

    def asked(self) -> int:
        return len([record for record in self.fake.requests if record.method == "POST"])


@contextmanager
def running_operated(folder: Path, **variables: str) -> Iterator[Operated]:
    """Start everything; end everything."""
    with running_fake() as fake, products() as make:
        product = make(
            folder / "data",
            REAL,
            OMNIROUTE_ADMIN_TOKEN=ADMIN_TOKEN,
            OMNIROUTE_INITIAL_KEY=KEY,
            INITIAL_PASSWORD="correct horse battery",
            **variables,
        ).wait_ready()
        operated = Operated(product, fake)
        for prefix in ("pair", "narrow", "failing"):
            node = {"prefix": prefix, "baseUrl": fake.base_url, "allowPrivate": True}
            operated.do("POST", "/api/provider-nodes", node, 201)
        for provider, name, key, more in (
            ("pair", "first", FIRST, {"priority": 1}),
            ("pair", "second", SECOND, {"priority": 2}),
            ("narrow", "narrow", FIRST, {"maxConcurrency": 1}),
            ("failing", "failing", FIRST, {}),
        ):
            body = {"provider": provider, "name": name, "apiKey": key, **more}
            operated.do("POST", "/api/providers", body, 201)
        operated.do("POST", "/api/combos", {"name": "goes-on", "models": ["failing/status:500", "pair/m2"]}, 201)
        wait_for(lambda: operated.chat("goes-on").status_code == 200, TAKEN_UP_S)
        yield operated
        operated.admin.close()
        operated.caller.close()


def becomes(what: Callable[[], Any], wanted: Any) -> None:
    """Every worker has taken it up when it is seen three times in a row."""
    wait_for(lambda: all(what() == wanted for _ in range(3)), TAKEN_UP_S, lambda: f"{what()} is not {wanted}")
