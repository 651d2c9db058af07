"""Write the table of values in the chart's README anew, from `values.yaml` and the comments in it: `make docs` runs it.

A comment stands above its key, in whole lines. A map whose keys have comments of their own is told key by key.
"""

import re
import sys
from pathlib import Path

import yaml

CHART = Path(__file__).parent / "helm" / "omniroute"
_BEGIN, _END = "<!-- values: written by `make docs` -->\n", "<!-- end of values -->\n"
_KEY = re.compile(r"( *)([A-Za-z]+):( .*)?$")


def main() -> None:
    """Write it, or print it with `--print`."""
    path = CHART / "README.md"
    text = with_table(path.read_text(), (CHART / "values.yaml").read_text())
    if sys.argv[1:] == ["--print"]:
        sys.stdout.write(text)
    else:
        path.write_text(text)


def with_table(readme: str, values: str) -> str:
    """The README with the table of these values in it."""
    before, _, rest = readme.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return before + _BEGIN + table(values) + _END + after


def table(values: str) -> str:
    """A row for each value, and one for a map that has a comment of its own."""
    comments = comments_of(values)
    lines = ["\n| value | default | meaning |\n|---|---|---|\n"]
    for path, default in rows(yaml.safe_load(values), (), comments):
        shown = "" if default in ("", None) else yaml.safe_dump(default, default_flow_style=True, width=1000).strip()
        shown = shown.removesuffix("...").strip()
        lines.append(f"| `{'.'.join(path)}` | {f'`{shown}`' if shown else ''} | {comments[path]} |\n")
    return "".join(lines) + "\n"


def comments_of(values: str) -> dict[tuple[str, ...], str]:
    """Path of each key that has a line of its own, to the comment above it."""
    found: dict[tuple[str, ...], str] = {}
    path: list[str] = []
    pending: list[str] = []
    for line in values.splitlines():
        text = line.strip()
        if text.startswith("#"):
            pending.append(text.removeprefix("#").strip())
            continue
        if key := _KEY.match(line):
            path = [*path[: len(key[1]) // 2], key[2]]
            found[tuple(path)] = " ".join(pending)
        pending = []
    return found


def rows(values: dict, path: tuple[str, ...], comments: dict[tuple[str, ...], str]):
    for key, value in values.items():
        one = (*path, key)
        is_opened = isinstance(value, dict) and any((*one, inner) in comments for inner in value)
        if not is_opened or comments[one]:
            yield one, None if is_opened else value
        if is_opened:
            yield from rows(value, one, comments)


if __name__ == "__main__":
    main()
