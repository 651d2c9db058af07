"""All languages say the same things. That plurals have the categories of their language is checked where `Intl` is (`make dashboard-check`)."""

import json
import re

import pytest

from tests.support.product import REPOSITORY

SOURCES = REPOSITORY / "dashboard/src"
FOLDER = SOURCES / "i18n"
LANGUAGES = sorted(entry.name for entry in FOLDER.iterdir() if entry.is_dir())
PARTS = sorted(file.name for file in (FOLDER / "en").glob("*.json"))


def load(language: str, part: str) -> dict[str, object]:
    return json.loads((FOLDER / language / part).read_text())


def placeholders(message: object) -> set[str]:
    forms = message.values() if isinstance(message, dict) else [message]
    return set().union(*(re.findall(r"\{(\w+)\}", form) for form in forms))


def test_the_five_languages_are_there():
    assert {"en", "pt-BR", "es", "zh", "ar"} <= set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_part_has_the_same_keys_and_placeholders(language):
    assert sorted(file.name for file in (FOLDER / language).glob("*.json")) == PARTS
    for part in PARTS:
        wanted, found = load("en", part), load(language, part)
        assert list(found) == list(wanted), part
        for key, message in wanted.items():
            assert isinstance(found[key], dict) == isinstance(message, dict), key
            assert placeholders(found[key]) == placeholders(message), (language, key)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty_and_every_plural_has_its_other(language):
    for part in PARTS:
        for key, message in load(language, part).items():
            forms = message if isinstance(message, dict) else {"other": message}
            assert forms.get("other"), (language, key)
            assert all(forms.values()), (language, key)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_has_only_keys_of_its_own(part):
    others = {key for other in PARTS if other != part for key in load("en", other)}
    assert not set(load("en", part)) & others
    if part != "shell.json":
        assert all(key.startswith(part.removesuffix("json")) for key in load("en", part))


def test_every_text_that_a_page_asks_for_is_there():
    known = {key for part in PARTS for key in load("en", part)}
    for file in SOURCES.rglob("*.ts"):
        code = re.sub(r"/\*.*?\*/", "", file.read_text(), flags=re.DOTALL)
        for key in re.findall(r"\bt\(\s*'([\w.-]+)'", code):
            assert key in known, (file.name, key)
