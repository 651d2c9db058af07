"""Writes `docs/config.schema.json` from the structs: `python -m gateway.config.schema [FILE]`. Same structs, same bytes."""

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from gateway.config.file_shape import FileShape

DOCUMENT = Path("docs/config.schema.json")


def config_schema() -> str:
    """The JSON Schema of the config file as text."""
    (_,), shapes = msgspec.json.schema_components([FileShape], ref_template="#/$defs/{name}")
    top: dict[str, Any] = shapes.pop("FileShape")
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **top,
        "title": "OmniRoute config file",
        "$defs": dict(sorted(shapes.items())),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    (Path(sys.argv[1]) if len(sys.argv) > 1 else DOCUMENT).write_text(config_schema())
