"""The order of a run: what starts the product first, so that no long file is left for one process at the end.

And its trust: every HTTP client of a test would read the machine's certificate authorities, 20 ms each, to speak with 127.0.0.1.
"""

import gc
import os
from collections.abc import Generator, Iterable
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("same each time", derandomize=True)
settings.load_profile("same each time")
"""A run tells of its change, not of chance. To search further: make test ARGS="-m hypothesis --hypothesis-profile=default"."""

os.environ.pop("SSL_CERT_FILE", None)
os.environ["SSL_CERT_DIR"] = str(Path(__file__).parent)  # where there are none

FIRST = (
    "tests/journeys", "tests/gateway/serve", "tests/admin_api", "tests/dashboard", "tests/gateway/state", "tests/gateway/upstream",
)  # fmt: skip


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Without garbage collection, which finds next to nothing then and makes CPython 3.11 stumble.

    A finalizer that warns has its traceback formatted, that parses a line, and a parse within pytest's own parsing of a test
    file is a SystemError ("AST constructor recursion depth mismatch", python/cpython#106905).
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _place(item.nodeid, FIRST))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """`make check` gives them one more chance, by themselves, and names them; of a fixture that failed, the file that shares it."""
    if told := os.environ.get("OMNIROUTE_FAILED_TESTS"):
        failed = [report.nodeid for report in terminalreporter.getreports("failed")]
        failed += [report.nodeid.partition("::")[0] for report in terminalreporter.getreports("error")]
        Path(told).write_text("".join(f"{name}\n" for name in dict.fromkeys(failed)))


def _place(nodeid: str, first: Iterable[str]) -> int:
    return next((place for place, folder in enumerate(first) if nodeid.startswith(folder)), len(FIRST))
