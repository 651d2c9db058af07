"""One product and one browser for all tests of the dashboard that a process runs, a tab of its own for each test.

They end with the last of these tests: an idle product takes 3 % of a core.
"""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.support.dashboard import CHROMIUM, CHROMIUM_ARGS, Dashboard, missing
from tests.support.real_gateway import RealGateway, running_gateway

PASSWORD = "correct horse battery"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = missing()
    for item in items:
        if item.path.parent.name == "dashboard" and {"dashboard", "visit", "chromium"} & set(
            getattr(item, "fixturenames", ())
        ):
            item.add_marker(pytest.mark.process)
            item.add_marker(pytest.mark.timeout(180))
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="package")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    """The product with a fake provider behind it. What its config file says (nodes local, pair, one …) cannot be changed by the API."""
    with running_gateway(tmp_path_factory.mktemp("dashboard")) as gateway:
        yield gateway


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """While it is there a loop runs in this thread: no test of this folder can be a coroutine."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def session(gateway: RealGateway) -> str:
    """The cookie of an owner's session."""
    answer = httpx.post(f"{gateway.url}/api/auth/login", json={"password": PASSWORD}, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.cookies["auth_token"]


@pytest.fixture(scope="package")
def viewer(gateway: RealGateway) -> str:
    """The cookie of a viewer's session."""
    user = {"name": "looks-only", "password": PASSWORD, "role": "viewer"}
    made = gateway.admin.post("/api/users", json=user)
    assert made.status_code == 201, made.text
    answer = httpx.post(
        f"{gateway.url}/api/auth/login", json={"username": user["name"], "password": PASSWORD}, timeout=60
    )
    assert answer.status_code == 200, answer.text
    return answer.cookies["auth_token"]


@pytest.fixture
def visit(gateway: RealGateway, chromium: Browser) -> Iterator[Callable[..., Dashboard]]:
    """Makes tabs: `visit(session)`, or `visit()` where nobody is logged in; options are those of a browser context."""
    made: list[Dashboard] = []

    def make(session: str = "", **options: Any) -> Dashboard:
        made.append(Dashboard(chromium, gateway.url, session, **options))
        return made[-1]

    yield make
    problems = [problem for one in made for problem in one.problems()]
    for one in made:
        one.close()
    assert problems == []


@pytest.fixture
def dashboard(visit: Callable[..., Dashboard], session: str) -> Dashboard:
    """A tab of a logged-in owner."""
    return visit(session)
