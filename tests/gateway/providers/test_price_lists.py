"""The shipped prices: they fit the providers' data files, and a broken list is named instead of used."""

import pytest

from gateway.providers.load import load_specs
from gateway.providers.price_list import BrokenPriceList, load_price_lists

HEAD = 'provider = "acme"\nsource = "https://acme.example/pricing"\nchecked = 2026-11-21\n'


def test_each_price_is_of_a_model_that_its_provider_has():
    specs = load_specs()
    for provider, found in load_price_lists().items():
        known = {model.id for model in specs[provider].models}
        assert {price.model for price in found.prices} <= known, provider
        assert found.source.startswith("https://")


def test_no_price_is_half_a_price():
    """Who knows what is read costs and not what is written would be charged nothing at all."""
    for found in load_price_lists().values():
        for price in found.prices:
            assert price.input is not None, price
            assert price.output is not None, price


def test_a_price_begins_at_its_instant(tmp_path):
    (tmp_path / "acme.toml").write_text(
        HEAD
        + '[[prices]]\nmodel = "m"\nbasis = "memory"\ninput = 1.0\n'
        + '[[prices]]\nmodel = "m"\nbasis = "memory"\nfrom = 2026-12-01T00:00:00Z\ninput = 2.0\n'
        + '[[prices]]\nmodel = "m"\nbasis = "memory"\nfrom = 2026-12-01T16:00:00Z\ninput = 3.0\n'
    )
    (found,) = load_price_lists(tmp_path).values()
    assert [price.valid_from for price in found.prices] == [0.0, 1_796_083_200.0, 1_796_140_800.0]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("prices = [", "acme.toml"),
        (HEAD + '[[prices]]\nmodel = "m"\nbasis = "memory"\ninput = -1.0\n', ">= 0"),
        (HEAD + '[[prices]]\nmodel = "m"\nbasis = "hearsay"\n', "basis"),
        (HEAD + '[[prices]]\nmodel = "m"\nbasis = "memory"\nprompt = 1.0\n', "prompt"),
        (HEAD + '[[prices]]\nmodel = "m"\nbasis = "memory"\n' * 2, "two prices"),
        (HEAD + '[[prices]]\nmodel = "m"\nbasis = "memory"\nfrom = 2026-12-01T00:00:00\n', "timezone"),
        (HEAD.replace("acme", "other") + "prices = []\n", "must agree"),
    ],
)
def test_a_broken_list_is_named(tmp_path, text, word):
    (tmp_path / "acme.toml").write_text(text)
    with pytest.raises(BrokenPriceList, match=word):
        load_price_lists(tmp_path)
