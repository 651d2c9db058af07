"""The bundle as it was built, and how it is sent. Without a browser."""

import gzip
import re

import httpx
import pytest

from admin_api.document_types import FILE, types_document
from admin_api.http.bundle import Bundle
from tests.support.dashboard import BUNDLE
from tests.support.product import REPOSITORY

BUDGET_BYTES = 120_000
"""Of all JavaScript, compressed by gzip."""

is_built = pytest.mark.skipif(
    not (BUNDLE / "index.html").is_file(), reason="the dashboard is not built: make dashboard"
)


def test_the_types_of_the_api_are_those_of_the_code():
    assert (REPOSITORY / FILE).read_text() == types_document(), "run: make docs"


def test_the_lock_has_no_addresses():
    assert "://" not in (REPOSITORY / "dashboard/package-lock.json").read_text()


@is_built
def test_all_javascript_stays_within_its_budget():
    sizes = {file.name: len(gzip.compress(file.read_bytes(), 9)) for file in BUNDLE.rglob("*.js")}
    assert sum(sizes.values()) <= BUDGET_BYTES, sizes


@is_built
def test_what_is_bundled_comes_with_its_notices():
    notices = (BUNDLE / "licenses.md").read_text()
    for name in ("lit", "lit-html", "lit-element", "uplot"):
        assert f"## {name} - " in notices
    assert notices.count("Copyright (c)") >= 2


@is_built
def test_the_page_leads_up_from_wherever_it_is_asked_for():
    bundle = Bundle(BUNDLE)
    for path, up in (
        ("/dashboard/", "./"),
        ("/dashboard/logs", "./"),
        ("/dashboard/logs/", "../"),
        ("/dashboard/a/b/c", "../../"),
    ):
        found = re.findall(r'(?:src|href)="([^"]*?)assets/', bundle.page(path))
        assert set(found) == {up}, path


@is_built
def test_nothing_in_the_bundle_asks_elsewhere():
    for file in [*BUNDLE.rglob("*.html"), *BUNDLE.rglob("*.css")]:
        assert "//" not in re.sub(r"/\*.*?\*/", "", file.read_text(), flags=re.DOTALL).replace(
            "http://www.w3.org/", ""
        ), file


def test_a_bundle_that_is_not_there_has_no_page_and_no_files(tmp_path):
    bundle = Bundle(tmp_path / "none")
    assert bundle.page("/dashboard/") == ""
    assert bundle.get("assets/x.js") is None


def test_files_are_sent_compressed_as_asked_and_for_ever(tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text('<script src="./assets/a-1.js"></script>')
    for name, body in (("a-1.js", b"plain"), ("a-1.js.br", b"brotli"), ("a-1.js.gz", b"gzip")):
        (tmp_path / "assets" / name).write_bytes(body)
    file = Bundle(tmp_path).get("assets/a-1.js")
    assert file is not None
    assert "immutable" in file.cache_control
    assert file.best("gzip, br;q=0.9") == ("br", b"brotli")
    assert file.best("gzip") == ("gzip", b"gzip")
    assert file.best("br;q=0, identity") == ("", b"plain")
    assert file.best("") == ("", b"plain")
    assert Bundle(tmp_path).get("assets/a-1.js.br") is None


def test_a_path_that_leads_out_of_the_bundle_finds_nothing(gateway):
    for path in ("assets/../../app.py", "assets/%2e%2e/%2e%2e/app.py", "assets/a.js", "%2e%2e/secrets.json"):
        answer = httpx.get(f"{gateway.url}/dashboard/{path}", timeout=60)
        assert "import" not in answer.text.replace("important", "")
        assert answer.status_code in (200, 401, 404)
