"""The page on providers."""

from pathlib import Path

from gateway.providers.document import provider_document
from gateway.providers.load import load_specs

DOCUMENT = Path(__file__).parents[3] / "docs/providers.md"


def test_the_document_is_fresh():
    assert DOCUMENT.read_text() == provider_document(load_specs().values()), "run: python -m gateway.providers.document"


def test_every_provider_has_a_row():
    rows = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| ") and not line.startswith("| id")]
    assert len(rows) == len(load_specs())
