"""Dashboards show something: each query is run against a real Prometheus that scraped the real product under traffic."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.dashboards.__main__ import FOLDER
from deploy.dashboards.board import TAG, grafana
from deploy.dashboards.boards import BOARDS
from gateway.telemetry.metrics import CONTROL_DEFINITIONS, DEFINITIONS
from tests.support.product import REAL, REPOSITORY, Product, products, wait_for
from tests.support.real_gateway import ADMIN_TOKEN, KEY, MESSAGES, running_fake
from tests.support.real_prometheus import RULES, RealPrometheus, running_prometheus

FILES = sorted(FOLDER.glob("*.json"))
CACHED_USAGE = '{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":8}}'
CALM = ("omniroute_folded_series", "omniroute_address_refusals", "omniroute_estimated_usage", "omniroute_up{")
"""What there is none of in a test that goes well."""
LIMITS = "with-headers:x-ratelimit-limit-requests=100:x-ratelimit-remaining-requests=40"


def config_text(port: int) -> str:
    """A provider that does everything, and one where nobody listens. JSON is YAML."""
    nodes = {"local": f"http://127.0.0.1:{port}/v1", "gone": "http://127.0.0.1:9/v1"}
    return json.dumps(
        {
            "version": 1,
            "nodes": [
                {"id": name, "prefix": name, "dialect": "openai_chat", "base_url": url, "allow_private": True}
                for name, url in nodes.items()
            ],
            "connections": [{"provider": name, "name": f"{name}-1", "api_key": "sk-provider-0001"} for name in nodes],
            "combos": [{"name": "fails-over", "models": ["gone/m1", "local/ok"]}],
            "keys": [{"name": "ci", "secret": KEY, "budget": {"usd": 100, "period": "monthly"}}],
            "prices": [{"model": "local/ok", "input": 1000.0, "output": 2000.0}],
            "settings": {
                "resilience": {"connect_failures": 1, "open_s": 600, "open_max_s": 600},
                "tier_budgets": {"api-key": {"usd": 100, "period": "daily"}},
            },
        }
    )


class Traffic:
    """A round of it makes every kind of figure."""

    def __init__(self, product: Product) -> None:
        self._client = httpx.Client(base_url=product.url, headers={"authorization": f"Bearer {KEY}"}, timeout=60)
        self._number = 0

    def chat(self, model: str, key: str = KEY, **fields: Any) -> int:
        body = {"model": model, "messages": MESSAGES, **fields}
        answer = self._client.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"})
        return answer.status_code

    def round(self) -> None:
        self._number += 1
        assert self.chat("local/ok", stream=True) == 200
        assert self.chat("local/ok") == 200
        assert self.chat("local/ok", temperature=0, user=f"u{self._number // 2}") == 200
        assert self.chat("fails-over") == 200
        assert self.chat(f"local/usage:{CACHED_USAGE}") == 200
        assert self.chat(f"local/{LIMITS}") == 200
        assert self.chat("local/status:500") >= 500
        assert self.chat("local/cut-after:2", stream=True) == 200
        assert self.chat("nobody/has-it") == 404
        assert self.chat("local/ok", key="sk-or-unknown") == 401

    def close(self) -> None:
        self._client.close()


class Scraped:
    def __init__(self, product: Product, prometheus: RealPrometheus, traffic: Traffic) -> None:
        self.product = product
        self.prometheus = prometheus
        self.traffic = traffic

    def until(self, expression: str) -> None:
        """Traffic goes on until a query gives something that is a number."""
        found: list[Any] = []

        def gives() -> bool:
            found[:] = self.prometheus.query(expression)
            if any(one["value"][1] != "NaN" for one in found):
                return True
            self.traffic.round()
            return False

        wait_for(gives, 20, lambda: f"{expression} gave {found}")


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    folder = tmp_path_factory.mktemp("scraped")
    with running_fake() as fake, products() as make:
        config = folder / "omniroute.yaml"
        config.write_text(config_text(fake.port))
        product = make(
            folder / "data", REAL, OMNIROUTE_CONFIG=str(config), OMNIROUTE_ADMIN_TOKEN=ADMIN_TOKEN,
            INITIAL_PASSWORD="correct horse battery",
        ).wait_ready()  # fmt: skip
        traffic = Traffic(product)
        target = f"127.0.0.1:{product.metrics_port}"
        with running_prometheus(folder, [target], sorted(RULES.glob("*.yaml"))) as prometheus:
            wait_for(lambda: traffic.chat("local/ok") == 200, 10, lambda: product.errors)
            yield Scraped(product, prometheus, traffic)
        traffic.close()


def filled_in(expression: str) -> str:
    """As Grafana asks with everything selected."""
    for name, value in (("$__rate_interval", "1m"), ("$__range", "5m")):
        expression = expression.replace(name, value)
    return re.sub(r"\$\w+", ".*", expression)


def bare(expression: str) -> str:
    """Without the zero that stands for nothing: that would hide a label that is written wrong."""
    return expression if any(name in expression for name in CALM) else expression.replace(" or vector(0)", "")


def queries_of(board: dict[str, Any]) -> list[str]:
    panels = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    assert panels
    return panels


@pytest.mark.process
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_query_of_a_dashboard_finds_something(scraped: Scraped, path: Path) -> None:
    for expression in queries_of(json.loads(path.read_text())):
        scraped.until(bare(filled_in(expression)))


@pytest.mark.process
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_variable_offers_something(scraped: Scraped, path: Path) -> None:
    variables = [one for one in json.loads(path.read_text())["templating"]["list"] if one["type"] == "query"]
    scraped.until("sum(omniroute_cost_usd_total)")
    for variable in variables:
        wait_for(lambda one=variable: scraped.prometheus.label_values(filled_in(one["definition"])), 10)  # type: ignore[misc]  # mypy cannot see the default


@pytest.mark.process
def test_every_recording_rule_has_figures(scraped: Scraped) -> None:
    names = re.findall(r"record: (\S+)", (RULES / "recording.yaml").read_text())
    assert names
    for name in names:
        scraped.until(name)


def test_the_files_are_fresh() -> None:
    assert {path.name: path.read_text() for path in FILES} == {
        f"{board.uid}.json": grafana(board) for board in BOARDS
    }, "run: make docs"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_panel_says_what_it_is_and_has_its_place(path: Path) -> None:
    board = json.loads(path.read_text())
    assert board["tags"] == [TAG]
    assert board["links"][0]["tags"] == [TAG]
    page = board["links"][1]["url"].removeprefix("$omniroute_url/dashboard/")
    assert (REPOSITORY / "dashboard/src/pages" / (page or "overview")).is_dir()
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        if panel["type"] != "row":
            assert panel["description"].endswith("."), panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


def test_dashboards_and_rules_ask_for_metrics_that_there_are() -> None:
    supervisor = {
        "omniroute_up",
        "omniroute_process_restarts_total",
        "omniroute_worker_restarts_total",
        "omniroute_build_info",
    }
    known = supervisor | {
        one.name + ending
        for one in (*DEFINITIONS, *CONTROL_DEFINITIONS)
        for ending in {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}[one.kind]
    }
    texts = [filled_in(query) for path in FILES for query in queries_of(json.loads(path.read_text()))]
    texts += [path.read_text() for path in RULES.glob("*.yaml")]
    asked = {name for text in texts for name in re.findall(r"\bomniroute_[a-z_]+", text)}
    assert asked <= known, asked - known
