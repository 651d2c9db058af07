"""Writes `docs/providers.md` from the data files: `python -m gateway.providers.document [FILE]`. Same specs, same bytes."""

import sys
from collections.abc import Iterable
from pathlib import Path

from gateway.providers.load import load_specs
from gateway.providers.spec import ModelSpec, ProviderSpec

DOCUMENT = Path("docs/providers.md")

_HEAD = """\
# Providers

Written by `python -m gateway.providers.document` from `gateway/providers/specs/*.toml`; do not edit.

A model is called as `prefix/model`. Any model id of a provider passes through; the models below are a selection, with
their context in tokens where it is known. A caller of one of a provider's dialects gets its answers unchanged; callers of
the others are translated for. Your own OpenAI-compatible, Anthropic-compatible or Gemini-compatible server is a node, see
[config.md](config.md).

| id | prefixes | dialects | base URL | operations | models |
|---|---|---|---|---|---|
"""


def provider_document(specs: Iterable[ProviderSpec]) -> str:
    """The whole page as Markdown."""
    return _HEAD + "".join(_row(spec) for spec in sorted(specs, key=lambda spec: spec.id))


def _row(spec: ProviderSpec) -> str:
    name = f"[{spec.id}]({spec.documentation_url})" if spec.documentation_url else spec.id
    cells = (
        f"{name}: {spec.name}",
        ", ".join(f"`{prefix}`" for prefix in (spec.id, *spec.prefixes)),
        ", ".join((spec.dialect, *sorted(spec.speaks))),
        "in the gateway itself" if spec.transport == "demo" else f"`{spec.base_url}`",
        ", ".join(sorted(spec.paths)),
        ", ".join(_model(model) for model in spec.models) or "any",
    )
    return f"| {' | '.join(cells)} |\n"


def _model(model: ModelSpec) -> str:
    return f"`{model.id}`" + (f" ({model.context:,})" if model.context else "")


if __name__ == "__main__":
    (Path(sys.argv[1]) if len(sys.argv) > 1 else DOCUMENT).write_text(provider_document(load_specs().values()))
