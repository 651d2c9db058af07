"""Write `deploy/k8s/` anew from the chart: `render_kustomize.py HELM`. The chart is the source; nothing there is changed by hand.

`base/` is the chart with `base.values.yaml`, an object a file. Each `overlays/NAME/` is the base with `NAME.values.yaml` on top, written as
what differs: new objects and patches. What Helm alone understands (hooks, `helm test`) is left out.
"""

import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parent
K8S = ROOT / "k8s"
_HEAD = "# Written by `make k8s` from deploy/helm/omniroute; do not edit.\n"
_HELM_LABELS = ("helm.sh/chart", "app.kubernetes.io/managed-by")


def main(helm: str, folder: Path) -> None:
    """Everything below `folder` that is rendered; files of objects that are gone go too."""
    base = rendered(helm, "base.values.yaml")
    write(folder / "base", {"resources": sorted(base)}, base)
    for values in sorted(K8S.glob("*.values.yaml")):
        name = values.name.removesuffix(".values.yaml")
        if name == "base":
            continue
        wanted = rendered(helm, "base.values.yaml", values.name)
        new = {key: text for key, text in wanted.items() if key not in base}
        changed = {key: base[key] for key, text in wanted.items() if base.get(key, text) != text}
        patches = [{"path": key, "target": target_of(text)} for key, text in sorted(changed.items())]
        patches += [{"patch": removal(text)} for key, text in sorted(base.items()) if key not in wanted]
        files = new | {key: difference(text, wanted[key]) for key, text in changed.items()}
        resources = ["../../base", *sorted(new)]
        write(folder / "overlays" / name, {"resources": resources, **({"patches": patches} if patches else {})}, files)


def rendered(helm: str, *values: str) -> dict[str, str]:
    """File name to text, of every object."""
    command = [helm, "template", "omniroute", str(ROOT / "helm" / "omniroute"), "--no-hooks"]
    command += [word for name in values for word in ("--values", str(K8S / name))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found = {}
    for item in yaml.safe_load_all(done.stdout):
        if item:
            without_helm(item)
            found[f"{item['kind'].lower()}-{item['metadata']['name']}.yaml"] = _HEAD + yaml.safe_dump(item, width=120)
    return found


def without_helm(item: dict) -> None:
    metadata = [item["metadata"], item.get("spec", {}).get("template", {}).get("metadata", {})]
    for one in metadata:
        for label in _HELM_LABELS:
            one.get("labels", {}).pop(label, None)
    annotations = item["metadata"].get("annotations", {})
    annotations.pop("helm.sh/resource-policy", None)
    if not annotations:
        item["metadata"].pop("annotations", None)


def removal(text: str) -> str:
    """A patch that takes an object of the base out."""
    item = yaml.safe_load(text)
    named = {"apiVersion": item["apiVersion"], "kind": item["kind"], "metadata": {"name": item["metadata"]["name"]}}
    return yaml.safe_dump({"$patch": "delete", **named})


def target_of(text: str) -> dict[str, str]:
    item = yaml.safe_load(text)
    return {"kind": item["kind"], "name": item["metadata"]["name"]}


def difference(before: str, after: str) -> str:
    """A JSON patch from one object to another, by their uppermost fields: a merge could not take anything out of a list."""
    old, new = yaml.safe_load(before), yaml.safe_load(after)
    steps = [{"op": "remove", "path": f"/{key}"} for key in old if key not in new]
    steps += [{"op": "add", "path": f"/{key}", "value": new[key]} for key in new if old.get(key) != new[key]]
    return _HEAD + yaml.safe_dump(steps, width=120)


def write(folder: Path, head: dict, files: dict[str, str]) -> None:
    """One folder with its `kustomization.yaml`."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.yaml"):
        path.unlink()
    for name, text in files.items():
        (folder / name).write_text(text)
    kustomization = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", **head}
    (folder / "kustomization.yaml").write_text(_HEAD + yaml.safe_dump(kustomization, sort_keys=False, width=120))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else K8S)
