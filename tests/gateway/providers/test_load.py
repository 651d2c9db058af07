"""Loading provider data files: a broken one is named, with its field."""

from pathlib import Path

import pytest

from gateway.providers.load import BrokenSpec, load_specs

GOOD = 'id = "{id}"\nname = "Acme"\nbase_url = "https://api.acme.example/v1"\n'


def write(folder: Path, name: str, text: str) -> None:
    (folder / f"{name}.toml").write_text(text)


def test_a_short_spec_gets_defaults(tmp_path):
    write(tmp_path, "acme", GOOD.format(id="acme"))
    spec = load_specs(tmp_path)["acme"]
    assert (spec.dialect, spec.tier, spec.transport) == ("openai_chat", "api-key", "http")
    assert spec.paths == {"chat": "/chat/completions", "models": "/models"}


@pytest.mark.parametrize(
    ("extra", "named"),
    [
        ("colour = 'red'", "colour"),
        ("dialect = 'morse'", "$.dialect"),
        ("auth = { type = 'magic' }", "$.auth.type"),
        ("auth = { type = 'header' }", "name"),
        ("[[models]]\nid = 'm'\ncontext = 'long'", "$.models[0].context"),
        ("[[models]]\nname = 'm'", "$.models[0]"),
        ("[[models]]\nid = 'm'\ncapabilities = ['flight']", "$.models[0].capabilities[0]"),
        ("[[quirks]]\nuse = 'be_nice'", "$.quirks[0].use"),
        ("[[quirks]]\nuse = 'drop_fields'", "fields"),
        ("[[quirks]]\nuse = 'write_as'\nnames = ['nicely']", "$.quirks[0].names[0]"),
        ("speaks = { morse = '/morse' }", "speaks"),
        ("prefixes = 'a'", "$.prefixes"),
        ("name =\n", "line 4"),
    ],
)
def test_a_broken_spec_is_named_with_its_field(extra, named, tmp_path):
    write(tmp_path, "acme", GOOD.format(id="acme") + extra)
    with pytest.raises(BrokenSpec) as caught:
        load_specs(tmp_path)
    assert str(caught.value).startswith("acme.toml: ")
    assert named in str(caught.value)


def test_a_missing_field_is_named(tmp_path):
    write(tmp_path, "acme", 'id = "acme"\nname = "Acme"\n')
    with pytest.raises(BrokenSpec, match=r"acme\.toml: .*base_url"):
        load_specs(tmp_path)


def test_the_file_is_named_like_the_id(tmp_path):
    write(tmp_path, "other", GOOD.format(id="acme"))
    with pytest.raises(BrokenSpec, match=r"other\.toml: the id is 'acme'"):
        load_specs(tmp_path)


def test_two_providers_cannot_share_a_prefix(tmp_path):
    write(tmp_path, "acme", GOOD.format(id="acme") + "prefixes = ['x']")
    write(tmp_path, "beta", GOOD.format(id="beta") + "prefixes = ['x']")
    with pytest.raises(BrokenSpec, match=r"beta\.toml: prefix 'x' belongs to 'acme'"):
        load_specs(tmp_path)
