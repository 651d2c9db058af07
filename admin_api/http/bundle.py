"""The dashboard's files, as `make dashboard` built them: hashed names that never change, with their compressed twins.

They are read once, at the start. The page itself is sent with the way up from the address it is asked at, so that the
dashboard works below any path that a proxy puts before it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "dashboard_bundle"
"""Built, not kept in git; a part of the wheel."""
PAGE_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types lit-html"
)
MISSING = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>OmniRoute</title>
<h1>OmniRoute is running</h1>
<p>The dashboard is not built here. In a checkout run <code>make dashboard</code> and start again; a wheel has it built in.</p>
<p>All it does can be done through the admin API: <a href="../api/openapi.json">its description</a>.</p>
"""

_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_FOREVER = "public, max-age=31536000, immutable"
_A_DAY = "public, max-age=86400"
_REFUSED = re.compile(r";\s*q=0(\.0*)?\s*$")
_ENCODINGS = (("br", ".br"), ("gzip", ".gz"))


@dataclass(frozen=True, slots=True)
class BundleFile:
    """One file. `bodies` by content encoding; `""` is as it is."""

    content_type: str
    cache_control: str
    bodies: Mapping[str, bytes]

    def best(self, accept_encoding: str) -> tuple[str, bytes]:
        """The encoding to send, and the bytes."""
        parts = [part for part in accept_encoding.split(",") if not _REFUSED.search(part)]
        accepted = {part.partition(";")[0].strip() for part in parts}
        name = next((name for name, _ in _ENCODINGS if name in accepted and name in self.bodies), "")
        return name, self.bodies[name]


class Bundle:
    """What the folder holds; `page` is empty when nothing was built."""

    def __init__(self, folder: Path = FOLDER) -> None:
        index = folder / "index.html"
        self._page = index.read_text() if index.is_file() else ""
        self._files = {file.relative_to(folder).as_posix(): _read(file) for file in _sources(folder)}

    def page(self, path: str) -> str:
        """The page for an address such as `/dashboard/logs/17`; empty when there is no bundle."""
        depth = path.removeprefix("/dashboard/").count("/")
        return self._page.replace('="./', '="' + ("../" * depth or "./"))

    def get(self, name: str) -> BundleFile | None:
        """A file by its path in the bundle: only names that were there at the start."""
        return self._files.get(name)


def _sources(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.suffix in _TYPES] if folder.is_dir() else []


def _read(file: Path) -> BundleFile:
    bodies = {"": file.read_bytes()}
    for name, suffix in _ENCODINGS:
        twin = file.with_name(file.name + suffix)
        if twin.is_file():
            bodies[name] = twin.read_bytes()
    return BundleFile(_TYPES[file.suffix], _FOREVER if file.parent.name == "assets" else _A_DAY, bodies)
