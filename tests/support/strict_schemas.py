"""Check Kubernetes objects against the strict schemas of several versions: run by the interpreter of `.venv-deploy`.

Reads `{"versions": ["1.37"], "objects": [...]}` from stdin and writes the problems as a JSON list of lines. The schemas are those of
the package kubernetes-validate; this reads each version's definitions once instead of once an object. Kinds of the Prometheus operator
have none there: what we use of them is written down below, as strictly.
"""

import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

_DOMAIN = re.compile(r"([.][^/]*)?/")
_STRINGS = {"type": "object", "additionalProperties": {"type": "string"}}
_NAMED = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "labels": _STRINGS}}


def _closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


def _operator(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    head = {"apiVersion": {"const": "monitoring.coreos.com/v1"}, "kind": {"const": kind}, "metadata": _NAMED}
    return _closed(["apiVersion", "kind", "metadata", "spec"], spec=spec, **head)


_TEXT = {"type": "string"}
_SPAN = {"type": "string", "pattern": "^([0-9]+(ms|s|m|h|d))+$"}
_RULE = _closed(
    ["expr"], record=_TEXT, alert=_TEXT, expr=_TEXT, labels=_STRINGS, annotations=_STRINGS,
    **{"for": _SPAN, "keep_firing_for": _SPAN},
)  # fmt: skip
_GROUP = _closed(["name", "rules"], name=_TEXT, interval=_SPAN, limit={"type": "integer"}, rules={"items": _RULE})
_RELABELING = _closed(
    [], sourceLabels={"items": _TEXT}, targetLabel=_TEXT, regex=_TEXT, replacement=_TEXT, action=_TEXT
)
_ENDPOINT = _closed(["port"], port=_TEXT, path=_TEXT, interval=_SPAN, relabelings={"items": _RELABELING})
_MONITOR = _closed(
    ["selector", "endpoints"],
    jobLabel=_TEXT,
    selector=_closed([], matchLabels=_STRINGS),
    endpoints={"items": _ENDPOINT},
)
_CUSTOM = {
    "PrometheusRule": _operator("PrometheusRule", _closed(["groups"], groups={"items": _GROUP})),
    "ServiceMonitor": _operator("ServiceMonitor", _MONITOR),
}


class Schemas:
    """The strict schemas of one version."""

    def __init__(self, version: str) -> None:
        found = importlib.util.find_spec("kubernetes_validate")
        if found is None or found.origin is None:
            raise SystemExit("kubernetes-validate is not installed here: run `make deploy-tools`")
        self.version = version
        self._folder = Path(found.origin).parent / "kubernetes-json-schema" / f"v{version}.0-local-strict"
        definitions = json.loads((self._folder / "_definitions.json").read_text())
        self._registry: Registry[Any] = Resource.from_contents(definitions) @ Registry()
        self._known: dict[str, Draft202012Validator] = {}

    def problems(self, item: dict[str, Any]) -> Iterator[str]:
        """One line each."""
        name = f"{self.version} {item.get('kind')}/{item.get('metadata', {}).get('name')}"
        validator = self._validator(item)
        if validator is None:
            yield f"{name}: there is no {item.get('kind')} in {item.get('apiVersion')}"
            return
        for error in validator.iter_errors(item):
            yield f"{name}: {'.'.join(str(step) for step in error.path)}: {error.message[:300]}"

    def _validator(self, item: dict[str, Any]) -> Draft202012Validator | None:
        kind, group = str(item.get("kind")), str(item.get("apiVersion"))
        if group.startswith("monitoring.coreos.com/"):
            return Draft202012Validator(_CUSTOM[kind]) if kind in _CUSTOM else None
        # `networking.k8s.io/v1` is `networking-v1` in the names of the package's files.
        file_name = f"{kind.lower()}-{_DOMAIN.sub('-', group)}.json"
        if file_name not in self._known:
            path = self._folder / file_name
            if not path.is_file():
                return None
            self._known[file_name] = Draft202012Validator(json.loads(path.read_text()), registry=self._registry)
        return self._known[file_name]


def main() -> None:
    """From stdin to stdout."""
    asked = json.load(sys.stdin)
    found = []
    for version in asked["versions"]:
        schemas = Schemas(version)
        found += [problem for item in asked["objects"] for problem in schemas.problems(item)]
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
