"""Starts what a pod of the chart runs, with the environment that the kubelet would give it, as a process of this machine.

References to Secrets are resolved as the kubelet does. Only what one machine cannot have is changed: addresses and ports
are loopback and free ones, and the pod's folders lie in a folder of its own.
"""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.chart import Object
from tests.support.product import REAL, REPOSITORY, Product, clean_environment, free_port

Secrets = Mapping[str, Mapping[str, str]]
"""By name, then by key."""


class Pod:
    """The one container of a pod (metadata and spec) with its folders below `folder`."""

    def __init__(self, pod: Object, folder: Path, secrets: Secrets, config_maps: Mapping[str, Object]) -> None:
        (self.container,) = pod["spec"]["containers"]
        self.folder = folder
        self.moved = {one["mountPath"]: folder / one["name"] for one in self.container["volumeMounts"]}
        for one in self.container["volumeMounts"]:
            self.moved[one["mountPath"]].mkdir(parents=True)
        for volume in pod["spec"]["volumes"]:
            for name, text in config_maps.get(volume.get("configMap", {}).get("name"), {}).get("data", {}).items():
                (folder / volume["name"] / name).write_text(text)
        self.environment = self._on_this_machine(kubelet_environment(self.container["env"], secrets))

    def start(self) -> Product:
        """The product, as the container's arguments say."""
        (role,) = self.container["args"]
        return Product(self.folder, REAL, role, **self.environment)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of the product to its end: the container's own, or one that `kubectl exec` starts in it."""
        return subprocess.run(
            [sys.executable, "-m", "gateway", *(arguments or self.container["args"])],
            env={**clean_environment(), **self.environment}, cwd=REPOSITORY, capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    def _on_this_machine(self, environment: dict[str, str]) -> dict[str, str]:
        for name in ("PORT", "OMNIROUTE_METRICS_PORT"):
            if name in environment:
                environment[name] = str(free_port())
        for name in ("OMNIROUTE_HOST", "OMNIROUTE_METRICS_HOST"):
            if name in environment:
                assert environment[name] == "0.0.0.0", "a pod is reached from outside"
                environment[name] = "127.0.0.1"
        return {name: self._moved(value) for name, value in environment.items()}

    def _moved(self, value: str) -> str:
        for place, folder in self.moved.items():
            if value == place or value.startswith(f"{place}/"):
                return f"{folder}{value.removeprefix(place)}"
        return value


def kubelet_environment(variables: list[Object], secrets: Secrets) -> dict[str, str]:
    """What a container gets: a missing optional key sets nothing."""
    found: dict[str, str] = {}
    for one in variables:
        if "value" in one:
            assert isinstance(one["value"], str), one
            assert "$(" not in one["value"], "the kubelet would fill something in"
            found[one["name"]] = one["value"]
            continue
        reference = one["valueFrom"]["secretKeyRef"]
        secret = secrets[reference["name"]]
        if reference["key"] in secret:
            found[one["name"]] = secret[reference["key"]]
        else:
            assert reference.get("optional"), f"the Secret {reference['name']} has no {reference['key']}"
    return found
