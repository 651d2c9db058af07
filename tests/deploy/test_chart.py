"""The Helm chart: every shape of `ci/` renders alike with helm 3 and 4, and is what each supported Kubernetes takes, to the field."""

import copy
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config import settings
from gateway.serve import drain, supervisor
from tests.support.chart import (
    CHART,
    HELMS,
    KUBERNETES,
    REPOSITORY,
    SHAPES,
    Object,
    find,
    pods,
    problems,
    refusal,
    render,
    run,
    shape,
)


def identity(item: Object) -> tuple[str, str]:
    return item["kind"], item["metadata"]["name"]


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_passes_the_linter(name: str, helm: str) -> None:
    done = run(helm, "lint", "--strict", str(CHART), "--values", shape(name))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SHAPES)
def test_both_helms_render_the_same(name: str) -> None:
    third, fourth = (sorted(render(shape(name), helm=helm), key=identity) for helm in HELMS)
    assert third == fourth
    assert len({identity(item) for item in fourth}) == len(fourth)


def test_every_supported_kubernetes_takes_every_object_of_every_shape() -> None:
    objects = [item for name in SHAPES for item in render(shape(name))]
    assert not problems(objects)


def misspell(found: Object) -> None:
    found["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}


def say_a_number_as_text(found: Object) -> None:
    found["spec"]["replicas"] = "two"


def leave_out_what_is_required(found: Object) -> None:
    del found["spec"]["selector"]


def name_a_kind_that_is_not_there(found: Object) -> None:
    found["apiVersion"] = "extensions/v1beta1"


@pytest.mark.parametrize(
    "mistake", [misspell, say_a_number_as_text, leave_out_what_is_required, name_a_kind_that_is_not_there]
)
def test_a_planted_mistake_is_found_for_every_version(mistake: Any) -> None:
    planted = copy.deepcopy(find(render(shape("minimal")), "Deployment", "-gateway"))
    mistake(planted)
    found = problems([planted])
    assert {line.split()[0] for line in found} == set(KUBERNETES), found


def test_a_planted_mistake_in_an_object_of_the_operator_is_found() -> None:
    planted = copy.deepcopy(find(render(shape("full")), "ServiceMonitor"))
    planted["spec"]["endpoints"][0]["scrapeInterval"] = "1s"
    assert "scrapeInterval" in problems([planted], ["1.37"])[0]


WRONG_VALUES = {
    "gateway.replica=3": "replica",
    "gateway.replicas=three": "replicas",
    "gateway.autoscaling.openStreams.perpod=5": "perpod",
    "log.level=loud": "level",
    "redis.port=70000": "port",
    "image.digest=sha256:short": "digest",
    "drain.streamsSeconds=0": "streamsSeconds",
    "secrets.API_KEY_SECRET=in-the-values": "API_KEY_SECRET",
    "secrets.existingSecret=": "secrets.existingSecret is required",
    "admin.replicas=2": "admin.persistence.enabled=false",
    "redis.sentinel.hosts[0]=a": "redis.sentinel.primary is required",
}


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize("setting", sorted(WRONG_VALUES))
def test_a_value_that_is_not_one_is_refused_by_its_name(setting: str, helm: str) -> None:
    assert WRONG_VALUES[setting] in refusal("--set", setting, helm=helm)


@pytest.mark.parametrize("name", SHAPES)
def test_no_pod_may_do_more_than_it_must(name: str) -> None:
    for pod_name, pod in pods(render(shape(name))):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True, pod_name
        assert spec["securityContext"]["runAsUser"] > 1000
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
            }  # fmt: skip
            assert container["resources"]["limits"]["memory"]
            assert not {"sh", "bash", "/bin/sh"} & set(container.get("command", ()))


@pytest.mark.parametrize("name", SHAPES)
def test_a_service_named_like_a_variable_sets_none(name: str) -> None:
    """The Service `omniroute-metrics` would set OMNIROUTE_METRICS_PORT=tcp://…, and nothing would start."""
    for _, pod in pods(render(shape(name))):
        assert pod["spec"]["enableServiceLinks"] is False


@pytest.mark.parametrize("name", SHAPES)
def test_every_variable_is_one_that_the_product_reads(name: str) -> None:
    known = set(re.findall(r'"([A-Z][A-Z_]+)"', Path(settings.__file__).read_text()))
    for pod_name, pod in pods(render(shape(name))):
        if pod_name.endswith("-test"):
            continue
        names = [one["name"] for one in pod["spec"]["containers"][0]["env"]]
        assert len(names) == len(set(names))
        assert set(names) <= known


def test_gateways_see_no_secret_that_only_admin_needs() -> None:
    def names(component: str) -> set[str]:
        pod = find(render(shape("full")), "Deployment", f"-{component}")["spec"]["template"]
        return {one["name"] for one in pod["spec"]["containers"][0]["env"] if "valueFrom" in one}

    shared = {"API_KEY_SECRET", "STORAGE_ENCRYPTION_KEY", "REDIS_URL", "REDIS_CACHE_URL"}
    assert names("gateway") == shared | {"OTEL_EXPORTER_OTLP_HEADERS"}
    assert names("admin") - shared == {
        "JWT_SECRET", "INITIAL_PASSWORD", "OMNIROUTE_INITIAL_KEY", "OMNIROUTE_ADMIN_TOKEN", "DATABASE_URL",
    }  # fmt: skip


@pytest.mark.parametrize(("delay", "streams"), [(0, 1), (10, 570), (20, 300), (3600, 86400)])
def test_the_grace_period_outlasts_the_drain_of_the_product(delay: int, streams: int) -> None:
    given = ("--set", f"drain.delaySeconds={delay}", "--set", f"drain.streamsSeconds={streams}")
    gateway = find(render(shape("minimal"), *given), "Deployment", "-gateway")["spec"]
    longest = delay + streams + drain.KILL_AFTER_DEADLINE_S + supervisor._WORKERS_SPARE_S
    assert gateway["template"]["spec"]["terminationGracePeriodSeconds"] > longest
    assert gateway["progressDeadlineSeconds"] > longest
    variables = {one["name"]: one.get("value") for one in gateway["template"]["spec"]["containers"][0]["env"]}
    assert (variables["SHUTDOWN_DELAY_S"], variables["SHUTDOWN_TIMEOUT_S"]) == (str(delay), str(streams))


def test_by_default_a_node_may_go_only_after_the_longest_streams() -> None:
    """The cluster autoscaler waits 600 s for pods of a node that it takes away."""
    assert (
        find(render(shape("minimal")), "Deployment", "-gateway")["spec"]["template"]["spec"][
            "terminationGracePeriodSeconds"
        ]
        <= 600
    )


def test_a_pod_is_out_of_the_balancer_before_it_stops_accepting() -> None:
    for name in ("minimal", "full"):
        container = find(render(shape(name)), "Deployment", "-gateway")["spec"]["template"]["spec"]["containers"][0]
        probe = container["readinessProbe"]
        delay_s = next(float(one["value"]) for one in container["env"] if one["name"] == "SHUTDOWN_DELAY_S")
        assert probe["httpGet"]["path"] == "/readyz"
        assert probe["periodSeconds"] * probe["failureThreshold"] < delay_s
        assert "lifecycle" not in container


@pytest.mark.parametrize("name", SHAPES)
def test_whatever_selects_pods_finds_some_and_ports_have_their_names(name: str) -> None:
    objects = render(shape(name))
    running = [(pod["metadata"]["labels"], pod["spec"]) for _, pod in pods(objects)]
    for kind, selector, ports in selectors(objects):
        met = [spec for labels, spec in running if selector.items() <= labels.items()]
        assert met, (kind, selector)
        for port in ports:
            declared = {one["name"] for spec in met for one in spec["containers"][0].get("ports", ())}
            assert port in declared, (kind, port, declared)
    scaled = [item for item in objects if item["kind"] == "HorizontalPodAutoscaler"]
    for item in scaled:
        target = find(objects, "Deployment", item["spec"]["scaleTargetRef"]["name"])
        assert "replicas" not in target["spec"]


def selectors(objects: tuple[Object, ...]) -> Iterator[tuple[str, dict[str, str], list[str]]]:
    """Kind, labels, and the names of ports of whatever selects pods."""
    for item in objects:
        spec = item.get("spec") or {}
        if item["kind"] == "Service":
            yield "Service", spec["selector"], [port["targetPort"] for port in spec["ports"]]
        elif item["kind"] == "PodDisruptionBudget":
            yield "PodDisruptionBudget", spec["selector"]["matchLabels"], []
        elif item["kind"] == "NetworkPolicy":
            named = [port["port"] for rule in spec["ingress"] for port in rule["ports"]]
            yield "NetworkPolicy", spec["podSelector"]["matchLabels"], named
        elif item["kind"] == "Deployment":
            yield "Deployment", spec["selector"]["matchLabels"], []


def test_the_service_monitor_finds_the_metrics_service() -> None:
    objects = render(shape("full"))
    wanted = find(objects, "ServiceMonitor")["spec"]
    (met,) = (
        item for item in objects
        if item["kind"] == "Service" and wanted["selector"]["matchLabels"].items() <= item["metadata"]["labels"].items()
    )  # fmt: skip
    assert [port["name"] for port in met["spec"]["ports"]] == [one["port"] for one in wanted["endpoints"]]


@pytest.mark.parametrize("name", [name for name in SHAPES if name != "single"])
def test_the_network_policy_is_closed_but_for_named_ports(name: str) -> None:
    policies = [item for item in render(shape(name)) if item["kind"] == "NetworkPolicy"]
    assert {item["metadata"]["labels"]["app.kubernetes.io/component"] for item in policies} == {
        "gateway", "admin", "migrations",
    }  # fmt: skip
    for item in policies:
        assert item["spec"]["policyTypes"] == ["Ingress", "Egress"]
        for rule in item["spec"]["ingress"]:
            assert rule["from"], "from everywhere"
            assert rule["ports"], "on every port"
        for rule in item["spec"]["egress"]:
            assert rule["ports"], "to every port"


@pytest.mark.parametrize("name", [name for name in SHAPES if name != "single"])
def test_the_network_policy_lets_pods_out_to_every_server_that_their_variables_name(name: str) -> None:
    objects = render(shape(name))
    for component, pod in (
        (item["metadata"]["labels"]["app.kubernetes.io/component"], item["spec"]["template"])
        for item in objects
        if item["kind"] in ("Deployment", "Job")
    ):
        egress = find(objects, "NetworkPolicy", f"-{component}")["spec"]["egress"]
        let_out = {port["port"] for rule in egress for port in rule["ports"]}
        wanted = {53} | ports_of(pod["spec"]["containers"][0]["env"])
        assert wanted <= let_out, (component, wanted - let_out)


def ports_of(variables: list[Object]) -> set[int]:
    """Of the URLs among them; what a Secret has is not seen here."""
    urls = [one.get("value", "") for one in variables if one["name"].endswith(("_URL", "_ENDPOINT"))]
    return {int(port) for url in urls for port in re.findall(r":(\d+)(?=[,/?]|$)", url)}


def test_names_are_resolved_where_the_operator_says() -> None:
    said = ("networkPolicy.dns[0].ipBlock.cidr=169.254.20.10/32", "networkPolicy.dnsPorts={53,5353}")
    for item in render(shape("minimal"), *(word for one in said for word in ("--set", one))):
        if item["kind"] == "NetworkPolicy":
            first = item["spec"]["egress"][0]
            assert first["to"] == [{"ipBlock": {"cidr": "169.254.20.10/32"}}]
            assert {port["port"] for port in first["ports"]} == {53, 5353}


def test_what_runs_for_a_while_only_goes_to_the_nodes_that_admin_may_go_to() -> None:
    said = ("admin.nodeSelector.pool=llm", "admin.tolerations[0].key=llm", "admin.tolerations[0].operator=Exists")
    objects = render(shape("minimal"), *(word for one in said for word in ("--set", one)))
    places = {
        name: (pod["spec"].get("nodeSelector"), pod["spec"].get("tolerations"))
        for name, pod in pods(objects)
        if not name.endswith("-gateway")
    }
    assert len(places) == 3
    assert list(places.values()) == [({"pool": "llm"}, [{"key": "llm", "operator": "Exists"}])] * 3


def test_the_job_ends_before_anything_else_is_changed() -> None:
    job = find(render(shape("minimal")), "Job")
    policy = find(render(shape("minimal")), "NetworkPolicy", "-migrations")
    for item in (job, policy):
        assert item["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    weights = [int(item["metadata"]["annotations"]["helm.sh/hook-weight"]) for item in (policy, job)]
    assert weights == sorted(weights)
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["migrate"]


def test_a_changed_config_file_starts_admin_anew_and_no_gateway() -> None:
    def templates(level: str) -> dict[str, Any]:
        objects = render(shape("full"), "--set", f"config.inline.settings.progress_s={level}")
        return {name: find(objects, "Deployment", name)["spec"]["template"] for name in ("-gateway", "-admin")}

    before, after = templates("2"), templates("3")
    assert before["-gateway"] == after["-gateway"]
    assert before["-admin"] != after["-admin"]


def test_the_ingress_holds_back_no_stream() -> None:
    annotations = find(render(shape("full")), "Ingress", "-gateway")["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/proxy-buffering"] == "off"
    assert (
        float(annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"]) > 600
    )  # the product's own limit of a request
    admin = find(render(shape("full")), "Ingress", "-admin")["metadata"]["annotations"]
    assert admin["nginx.ingress.kubernetes.io/proxy-body-size"] == "200m", "what the operator says goes first"


def test_every_dashboard_and_rule_of_the_folders_is_in_the_release() -> None:
    objects = render(shape("full"))
    maps = [item["data"] for item in objects if "-dashboard-" in item["metadata"]["name"]]
    lying = sorted((CHART / "files" / "dashboards").glob("*.json"))
    assert [{key: json.loads(text) for key, text in one.items()} for one in maps] == [
        {path.name: json.loads(path.read_text())} for path in lying
    ]
    assert lying
    groups = [group for item in objects if item["kind"] == "PrometheusRule" for group in item["spec"]["groups"]]
    written = [
        yaml.safe_load(path.read_text())["groups"] for path in sorted((CHART / "files" / "rules").glob("*.yaml"))
    ]
    assert groups == [group for file in written for group in file]


def test_the_readme_tells_every_value_as_it_is() -> None:
    readme, values = (CHART / "README.md").read_text(), (CHART / "values.yaml").read_text()
    written = subprocess.run(
        [sys.executable, str(REPOSITORY / "deploy" / "document_values.py"), "--print"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert written.stdout == readme, "run `make docs`"
    told = set(re.findall(r"^\| `([A-Za-z.]+)`", readme, re.MULTILINE))
    assert not re.findall(r"^\| `\S+` \|.*\|  \|$", readme, re.MULTILINE), "a value without a word about it"
    for path in leaves(yaml.safe_load(values)):
        assert any(path == one or path.startswith(f"{one}.") for one in told), path


def leaves(values: dict[str, Any], before: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{before}{key}.")
        else:
            yield f"{before}{key}"


def test_the_schema_knows_every_value_and_no_other() -> None:
    """What the schema would let through and no template reads, or the other way round, is a value without effect."""
    schema = json.loads((CHART / "values.schema.json").read_text())

    def check(values: dict[str, Any], known: dict[str, Any], place: str) -> None:
        assert set(values) == set(known["properties"]) - {"global", "claims"}, place
        for key, value in values.items():
            one = known["properties"][key]
            if isinstance(value, dict) and one.get("properties"):
                check(value, one, f"{place}.{key}")

    check(yaml.safe_load((CHART / "values.yaml").read_text()), schema, "values")


def test_chart_and_package_have_one_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert chart["version"] == chart["appVersion"] == project["version"]


def notes_of(name: str, *said: str) -> str:
    """By helm 4, which writes them without a cluster."""
    more = [word for one in said for word in ("--set", one)]
    done = run("helm4", "install", "omniroute", str(CHART), "--dry-run=client", "--values", shape(name), *more)
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("NOTES:")[2]


def test_the_notes_say_so_when_the_policy_lets_nobody_through_a_balancer() -> None:
    closed = notes_of("minimal", "gateway.service.type=LoadBalancer")
    assert "through the LoadBalancer of omniroute-gateway yet: networkPolicy.callers has no ipBlock" in closed
    opened = ("gateway.service.type=LoadBalancer", "networkPolicy.callers[0].ipBlock.cidr=10.0.0.0/8")
    assert "ipBlock" not in notes_of("minimal") + notes_of("minimal", *opened)


def test_the_notes_say_what_to_do_next() -> None:
    notes = notes_of("no-admin-ingress")
    for wanted in (
        "helm test",
        "omniroute reset-password",
        "port-forward service/omniroute-admin",
        "http://llm.example.com",
    ):
        assert wanted in notes
