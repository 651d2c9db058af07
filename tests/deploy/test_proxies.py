"""Files and guides for what is in front of gateways agree with the product and the chart. Run they are by `tests/journeys/test_front_proxies.py`."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.domain.timeouts import Timeouts
from gateway.edge.body import MAX_BODY_BYTES
from gateway.serve.granian_server import _IDLE_CONNECTION_MS
from tests.support.chart import REPOSITORY, find, render, shape
from tests.support.front_proxies import HAPROXY as HAPROXY_PROGRAM

FOLDER = REPOSITORY / "deploy" / "proxies"
NGINX, HAPROXY = (FOLDER / "nginx.conf").read_text(), (FOLDER / "haproxy.cfg").read_text()
GUIDE = (REPOSITORY / "docs" / "proxies.md").read_text()


@pytest.mark.skipif(
    not Path(HAPROXY_PROGRAM).is_file(), reason="there is no haproxy here (Debian: apt-get install haproxy)"
)
def test_haproxy_takes_the_file_of_compose_and_not_one_with_a_mistake(tmp_path: Path) -> None:
    text = (REPOSITORY / "deploy" / "compose" / "haproxy.cfg").read_text()
    for name, written, is_fine in (
        ("good", text, True),
        ("bad", text.replace("balance leastconn", "balance lest"), False),
    ):
        config = tmp_path / f"{name}.cfg"
        config.write_text(written)
        done = subprocess.run([HAPROXY_PROGRAM, "-c", "-f", str(config)], capture_output=True, text=True, timeout=60)
        assert (done.returncode == 0) is is_fine, done.stderr


def routes() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / "httproute.yaml").read_text()))


def test_no_proxy_gives_up_before_the_product_does() -> None:
    waits = [int(one) for one in re.findall(r"proxy_(?:read|send)_timeout (\d+)s", NGINX)]
    waits += [int(one) for one in re.findall(r"timeout (?:client|server) (\d+)s", HAPROXY)]
    for route in routes():
        (rule,) = route["spec"]["rules"]
        waits += [int(one.removesuffix("s")) for one in rule["timeouts"].values()]
    assert len(waits) == 8
    assert min(waits) > Timeouts().total_s


def test_proxies_let_go_of_idle_connections_before_gateways_do() -> None:
    (kept,) = re.findall(r"keepalive_timeout (\d+)s", NGINX)
    (purged,) = re.findall(r"pool-purge-delay (\d+)s", HAPROXY)
    assert max(int(kept), int(purged)) < _IDLE_CONNECTION_MS / 1000


def test_the_gateway_itself_refuses_what_is_too_long() -> None:
    (longest,) = re.findall(r"client_max_body_size (\d+)m", NGINX)
    assert int(longest) << 20 > MAX_BODY_BYTES


def test_routes_of_the_gateway_api_lead_to_services_of_the_chart() -> None:
    objects = render(shape("minimal"))
    for route in routes():
        (rule,) = route["spec"]["rules"]
        (backend,) = rule["backendRefs"]
        service = find(objects, "Service", route["metadata"]["name"].removeprefix("omniroute"))
        assert backend["name"] == service["metadata"]["name"]
        assert backend["port"] in [one["port"] for one in service["spec"]["ports"]]


def test_the_guide_has_the_annotations_that_the_chart_sets() -> None:
    (text,) = (one for one in re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL) if "nginx.ingress" in one)
    told = yaml.safe_load(text)["metadata"]["annotations"]
    assert told == find(render(shape("full")), "Ingress", "-gateway")["metadata"]["annotations"]
