"""What a provider is stands in its data file; no other code knows one by name or by address."""

import ast
import gc
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import pytest

from gateway.domain.dialect import CallerDialect
from gateway.providers.load import load_specs

ROOT = Path(__file__).parents[2]
OWN = {"demo", "google", *get_args(CallerDialect)}
"""Words that are no provider's name alone: `demo` is a transport of ours, `gemini` a dialect, and `google` the field of
Chat Completions under which Gemini's signatures stand (`extra_content.google`)."""


def names_and_hosts() -> tuple[set[str], re.Pattern[str]]:
    specs = load_specs().values()
    names = {word for spec in specs for word in (spec.id, *spec.prefixes)} - OWN
    hosts = {urlsplit(spec.base_url).hostname or "" for spec in specs}
    return names, re.compile(r"(?<![\w.-])(" + "|".join(map(re.escape, sorted(hosts))) + r")(?![\w-])")


def literals(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            yield node.lineno, node.value if isinstance(node.value, str) else node.value.decode("latin-1")


def known_by_name(text: str, names: set[str], hosts: re.Pattern[str]) -> bool:
    return text in names or (text.partition("/")[0] in names and "/" in text) or hosts.search(text) is not None


def sources() -> Iterator[Path]:
    for package in ("gateway", "admin_api"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if not path.is_relative_to(ROOT / "gateway/providers"):
                yield path


@pytest.fixture
def no_collection() -> Iterator[None]:
    """What a finalizer of another test warns of would be parsed within our parsing (tests/conftest.py)."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collection")
def test_no_provider_is_named_outside_its_data():
    names, hosts = names_and_hosts()
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text[:60]!r}"
        for path in sources()
        for line, text in literals(ast.parse(path.read_text()))
        if known_by_name(text, names, hosts)
    ]
    assert not found, "\n".join(found)


def test_the_search_finds_what_it_looks_for():
    names, hosts = names_and_hosts()
    for text in ("groq", "openai/gpt-5.5", "ds/deepseek-flash", "see https://api.openai.com/v1", "api.x.ai"):
        assert known_by_name(text, names, hosts)
    for text in ("openai_chat", "all together now", "an openai client", "demo", "notapi.x.ai", "/v1/chat"):
        assert not known_by_name(text, names, hosts)
