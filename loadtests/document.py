"""Writes the tables of docs/performance.md from a result; the words around them are written by people."""

import json
from pathlib import Path

from loadtests.report import Result, Table, caveats, tables

BEGIN = "<!-- figures: written by `python -m loadtests.bench --write-doc`, do not edit -->"
END = "<!-- end of figures -->"


def write_document(page: Path, result: Path) -> None:
    """Put the tables of `result` (bench.json) between the marks of `page`. Raises OSError, ValueError."""
    page.write_text(with_figures(page.read_text(), json.loads(result.read_text())))


def with_figures(page: str, result: Result) -> str:
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has lost the marks between which its figures stand")
    parts = [conditions(result), *(markdown(table) for table in tables(result) if table.rows)]
    said = caveats(result)
    if said:
        parts.append("What must be said with these figures:\n\n" + "\n".join(f"* {line}" for line in said))
    return f"{before}{BEGIN}\n\n" + "\n\n".join(parts) + f"\n\n{END}{after}"


def conditions(result: Result) -> str:
    about = result["about"]
    gateway, tools = about["cores"]
    rows = [
        ("taken", f"{about['date']}, revision {about['revision']}, {about['set']} set, {about['rounds']} rounds"),
        ("machine", f"{about['cpu']}, {about['usable_cores']} cores, {about['memory_gb']} GB, {about['machine']}"),
        ("Python", about["python"]),
        ("with", about["versions"]),
        ("cores", f"gateway on {gateway}, mock and client on {tools}" if tools is not None else "one for everything"),
        ("load before", f"{about['load_average_before']:.2f} (average of a minute)"),
        ("TLS front", about["tls_front"]),
    ]
    lines = ["| | |", "| --- | --- |", *(f"| {name} | {text} |" for name, text in rows)]
    loads = ["| load | what it is |", "| --- | --- |", *(f"| `{n}` | {text} |" for n, text in about["loads"].items())]
    return "\n".join(lines) + "\n\n" + "\n".join(loads)


def markdown(table: Table) -> str:
    rule = ["---" if column < table.words else "---:" for column in range(len(table.columns))]
    rows = [table.columns, tuple(rule), *table.rows]
    return f"### {table.title}\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows)
