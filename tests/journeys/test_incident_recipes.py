"""Every command of docs/incidents.md works against the real product, and every metric that a page names is one that it has."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.operated import ADMIN_TOKEN, Operated, running_operated
from tests.support.product import REPOSITORY

pytestmark = pytest.mark.process

TEXT = (REPOSITORY / "docs" / "incidents.md").read_text()
RECIPES = {
    (part.splitlines()[0] or "Shell"): "\n".join(re.findall(r"```sh\n(.*?)```", part, re.DOTALL))
    for part in ("Shell\n" + TEXT).split("\n## ")
}
SHELL = RECIPES.pop("Shell")


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    with running_operated(tmp_path_factory.mktemp("incidents")) as running:
        running.chat("failing/status:500")  # something is wrong
        yield running


@pytest.fixture(scope="module")
def environment(operated: Operated) -> dict[str, str]:
    connections = operated.do("GET", "/api/providers")["connections"]
    key = operated.do("POST", "/api/keys", {"name": "leaked"}, 201)
    return {
        "PATH": os.environ["PATH"],
        "OMNIROUTE": str(operated.admin.base_url),
        "METRICS": f"http://127.0.0.1:{operated.metrics_port}",
        "OMNIROUTE_ADMIN_TOKEN": ADMIN_TOKEN,
        "CONNECTION_ID": next(one["id"] for one in connections if one["name"] == "first"),
        "KEY_ID": key["id"],
        "MODEL": "goes-on",
    }


@pytest.mark.parametrize("recipe", list(RECIPES), ids=lambda name: name.replace(" ", "-").replace(",", ""))
def test_every_command_of_a_recipe_works(recipe: str, environment: dict[str, str]) -> None:
    commands = RECIPES[recipe]
    assert commands, "a recipe without a command"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{SHELL}\n{commands}"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{done.stdout[-1500:]}\n{done.stderr}"


def test_pages_name_no_metric_that_is_not_there() -> None:
    listed = (REPOSITORY / "docs" / "metrics.md").read_text()
    known = set(re.findall(r"^\| `(\w+)`", listed, re.MULTILINE))
    for page in ("incidents.md", "operations.md", "observability.md", "proxies.md", "deploy.md"):
        text = (REPOSITORY / "docs" / page).read_text()
        named = {name for name in re.findall(r"`(omniroute_[a-z_]+)", text) if "." not in name}
        asked = {f"omniroute_{name}" for name in re.findall(r"(?:^|; )metric ([a-z_]+)", text, re.MULTILINE)}
        unknown = {name for name in named | asked if re.sub(r"_(sum|count|bucket)$", "", name) not in known}
        assert not unknown, (page, unknown)


def test_alerts_that_recipes_name_are_rules() -> None:
    rules = Path(REPOSITORY / "deploy/helm/omniroute/files/rules/alerts.yaml").read_text()
    for alert in set(re.findall(r"`(OmniRoute[A-Z]\w+)`", TEXT)):
        assert f"alert: {alert}\n" in rules, alert
