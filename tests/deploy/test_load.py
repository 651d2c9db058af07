"""The load test of a cluster: its objects are what every supported Kubernetes takes, and its files are enough for locust."""

import copy
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.chart import REPOSITORY, Object, documents, find, pods, problems, run

LOAD = REPOSITORY / "deploy" / "load"
LOCUST = REPOSITORY / ".venv-load" / "bin" / "locust"


@pytest.fixture(scope="module")
def objects() -> list[Object]:
    done = run("kubectl", "kustomize", str(LOAD))
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


def arguments(objects: list[Object], ending: str) -> list[str]:
    found: list[str] = find(objects, "Job", ending)["spec"]["template"]["spec"]["containers"][0]["args"]
    return found


def test_every_supported_kubernetes_takes_it_and_finds_a_planted_mistake(objects: list[Object]) -> None:
    assert not problems(objects)
    planted = copy.deepcopy(find(objects, "Job", "-workers"))
    planted["spec"]["paralelism"] = 4
    assert "paralelism" in problems([planted], ["1.37"])[0]


def test_no_pod_may_do_more_than_it_must(objects: list[Object]) -> None:
    for _, pod in pods(objects):
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        (container,) = spec["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert container["resources"]["limits"]["memory"]


def test_the_master_waits_for_as_many_workers_as_come_and_they_find_it(objects: list[Object]) -> None:
    master, workers = arguments(objects, "-master"), arguments(objects, "-workers")
    job = find(objects, "Job", "-workers")["spec"]
    assert int(master[master.index("--expect-workers") + 1]) == job["parallelism"] == job["completions"]
    service = find(objects, "Service")
    assert workers[workers.index("--master-host") + 1] == service["metadata"]["name"]
    labels = find(objects, "Job", "-master")["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()


def test_it_asks_the_gateways_of_the_release_and_may_reach_nothing_else(objects: list[Object]) -> None:
    settings = find(objects, "ConfigMap")["data"]
    release = documents(run("kubectl", "kustomize", str(REPOSITORY / "deploy" / "k8s" / "base")).stdout)
    assert settings["OMNIROUTE_URL"] == f"http://{find(release, 'Service', '-gateway')['metadata']['name']}"
    assert settings["OMNIROUTE_MODEL"].startswith("demo/")
    gateway = find(release, "Deployment", "-gateway")["spec"]["template"]["metadata"]["labels"]
    peers = [rule["to"][0] for rule in find(objects, "NetworkPolicy")["spec"]["egress"]]
    assert any(
        peer["podSelector"]["matchLabels"].items() <= gateway.items()
        for peer in peers
        if "namespaceSelector" not in peer
    )
    assert not any("ipBlock" in peer for peer in peers)


def test_the_image_is_of_the_version_that_is_tried_here(objects: list[Object]) -> None:
    (locked,) = re.findall(r"^locust==([\d.]+)", (REPOSITORY / "requirements" / "load.lock").read_text(), re.MULTILINE)
    assert {pod["spec"]["containers"][0]["image"] for _, pod in pods(objects)} == {f"locustio/locust:{locked}"}


@pytest.mark.skipif(not LOCUST.exists(), reason="`make test` installs locust into .venv-load")
def test_the_files_of_its_volume_are_all_that_locust_needs(objects: list[Object], tmp_path: Path) -> None:
    """Laid out as the kubelet would, from the ConfigMap as `make load-files` makes it."""
    made = files_of_the_target()
    for ending in ("-master", "-workers"):
        volume = find(objects, "Job", ending)["spec"]["template"]["spec"]["volumes"][0]
        items = volume["projected"]["sources"][0]["configMap"]["items"]
        assert {item["key"] for item in items} == set(made["data"])
    for item in items:
        path = tmp_path / item["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(made["data"][item["key"]])
    settings = find(objects, "ConfigMap")["data"]
    done = subprocess.run(
        [str(LOCUST), "-f", str(tmp_path / "loadtests" / "locustfile.py"), "--list"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **settings},
        capture_output=True, text=True, cwd=tmp_path, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "ChatWhole" in done.stdout


def files_of_the_target() -> Any:
    """What the Makefile hands to kubectl, made by kubectl."""
    text = (REPOSITORY / "Makefile").read_text()
    (names,) = re.findall(r"^LOAD_FILES := \$\(patsubst %,loadtests/%\.py,([\w ]+)\)", text, re.MULTILINE)
    paths = [f"loadtests/{name}.py" for name in names.split()]
    scenarios = sorted((REPOSITORY / "loadtests" / "scenarios").glob("*.toml"))
    paths += [str(path.relative_to(REPOSITORY)) for path in scenarios if not path.stem.startswith("overload")]
    given = [f"--from-file={path}" for path in paths]
    done = run("kubectl", "create", "configmap", "omniroute-load", *given, "--dry-run=client", "-o", "yaml")
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)
