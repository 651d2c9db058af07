"""`deploy/k8s/` is the chart, rendered: nothing there is older than the chart, and kustomize makes of each overlay what helm makes."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.chart import CHART, REPOSITORY, Object, documents, problems, program, run

K8S = REPOSITORY / "deploy" / "k8s"
OVERLAYS = sorted(path.name for path in (K8S / "overlays").iterdir())
OF_HELM = ("helm.sh/chart", "app.kubernetes.io/managed-by")


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*.yaml"))}


def rerender(deploy: Path, target: Path) -> None:
    command = [sys.executable, str(deploy / "render_kustomize.py"), program("helm4"), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


def test_what_lies_there_is_what_the_chart_renders_today(tmp_path: Path) -> None:
    rerender(REPOSITORY / "deploy", tmp_path)
    lying = {name: text for name, text in files(K8S).items() if not name.endswith(".values.yaml")}
    assert lying == files(tmp_path), "run `make k8s`"


def test_a_change_of_the_chart_that_was_not_rendered_is_found(tmp_path: Path) -> None:
    deploy = tmp_path / "deploy"
    shutil.copytree(CHART, deploy / "helm" / "omniroute")
    shutil.copytree(K8S, deploy / "k8s")
    shutil.copy(REPOSITORY / "deploy" / "render_kustomize.py", deploy)
    template = deploy / "helm" / "omniroute" / "templates" / "gateway" / "deployment.yaml"
    template.write_text(template.read_text().replace("path: /readyz", "path: /ready"))
    rerender(deploy, tmp_path / "out")
    assert (
        files(tmp_path / "out")["base/deployment-omniroute-gateway.yaml"]
        != files(K8S)["base/deployment-omniroute-gateway.yaml"]
    )


@pytest.mark.parametrize("overlay", ["base", *OVERLAYS])
def test_kustomize_makes_of_it_what_helm_makes(overlay: str) -> None:
    values = ["base"] if overlay == "base" else ["base", overlay]
    given = [word for name in values for word in ("--values", str(K8S / f"{name}.values.yaml"))]
    by_helm = run("helm4", "template", "omniroute", str(CHART), "--no-hooks", *given)
    folder = K8S / overlay if overlay == "base" else K8S / "overlays" / overlay
    by_kustomize = run("kubectl", "kustomize", str(folder))
    assert (by_helm.returncode, by_kustomize.returncode) == (0, 0), by_helm.stderr + by_kustomize.stderr
    made = documents(by_kustomize.stdout)
    assert in_order(made) == in_order([without_helm(item) for item in documents(by_helm.stdout)])
    assert not problems(made)


def in_order(objects: list[Object]) -> list[Object]:
    return sorted(objects, key=lambda item: (item["kind"], item["metadata"]["name"]))


def without_helm(item: Object) -> Object:
    plain: Any = yaml.safe_load(yaml.safe_dump(item))
    for metadata in (plain["metadata"], plain.get("spec", {}).get("template", {}).get("metadata", {})):
        for label in OF_HELM:
            metadata.get("labels", {}).pop(label, None)
    if (
        plain["metadata"].get("annotations", {}).pop("helm.sh/resource-policy", None)
        and not plain["metadata"]["annotations"]
    ):
        del plain["metadata"]["annotations"]
    return plain  # type: ignore[no-any-return]
