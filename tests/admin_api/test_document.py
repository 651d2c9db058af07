"""`docs/api.md` is what the code says, and its examples run."""

import json
import re
from pathlib import Path

import pytest

from admin_api.document import DOCUMENT, api_document
from tests.support.fake_provider import FakeProvider

PAGE = Path(__file__).parents[2] / DOCUMENT
_EXAMPLE = re.compile(
    r"^(GET|POST|PUT|PATCH|DELETE) (\S+)\n(?:(\{.*\})\n)?→ (\d{3})(?:; (\w+) = (\S+))?$", re.MULTILINE
)


def test_the_document_is_fresh():
    assert PAGE.read_text() == api_document(), "run: make docs"


def test_every_route_of_the_api_is_in_it():
    page = PAGE.read_text()
    for path in (
        "GET /api/combos",
        "POST /api/providers/{connection_id}/test",
        "PATCH /api/settings",
        "POST /api/keys",
    ):
        assert f"### `{path}`" in page
    assert "### The fields of settings" in page


async def test_its_examples_run(admin):
    examples = _EXAMPLE.findall(PAGE.read_text())
    assert len(examples) >= 15
    async with FakeProvider() as fake:
        names = {"BASE_URL": fake.base_url, "API_KEY": "sk-of-the-examples-123456"}
        for method, path, body, status, kept, at in examples:
            text = f"{path} {body}"
            for name, value in names.items():
                text = text.replace(f"${name}", value)
            assert "$" not in text, text
            where, _, sent = text.partition(" ")
            answer = await admin.request(method, where, content=sent or None)
            assert answer.status_code == int(status), f"{method} {text}: {answer.text}"
            if kept:
                found = answer.json()
                for step in at.split("."):
                    found = found[step]
                names[kept] = found


@pytest.mark.parametrize("word", ["CreateCombo", "Litestar", "litestar"])
def test_it_says_nothing_of_how_it_is_made(word):
    assert word not in PAGE.read_text()


def test_examples_are_json():
    assert all(json.loads(body) for _, _, body, *_ in _EXAMPLE.findall(PAGE.read_text()) if body)
