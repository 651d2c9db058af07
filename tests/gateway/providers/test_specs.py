"""Every provider data file that is shipped keeps these promises."""

import re
from urllib.parse import urlsplit

import pytest

from gateway.providers.load import load_specs
from gateway.providers.spec import BearerAuth, ProviderSpec

SPECS = load_specs()
OPENAI_COMPATIBLE = (
    "openai", "openrouter", "kimi", "deepseek", "groq", "blackbox", "xai", "mistral", "perplexity", "together",
    "fireworks", "cerebras", "ollama-cloud", "nvidia", "nebius", "siliconflow", "hyperbolic", "cohere",
)  # fmt: skip

every_spec = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)


def test_the_openai_compatible_providers_are_there():
    assert set(OPENAI_COMPATIBLE) <= set(SPECS)
    for name in OPENAI_COMPATIBLE:
        assert SPECS[name].dialect == "openai_chat"
        assert SPECS[name].auth == BearerAuth()
        assert SPECS[name].documentation_url.startswith("https://")


def test_ids_and_prefixes_are_unique():
    words = [word for spec in SPECS.values() for word in {spec.id, *spec.prefixes}]
    assert len(words) == len(set(words))


@every_spec
def test_ids_and_prefixes_can_stand_before_a_slash(spec: ProviderSpec):
    for word in (spec.id, *spec.prefixes):
        assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*", word)


@every_spec
def test_addresses_are_https_without_extras(spec: ProviderSpec):
    url = urlsplit(spec.base_url)
    assert url.scheme == "https"
    assert url.hostname
    assert (url.username, url.query, url.fragment) == (None, "", "")
    assert not spec.base_url.endswith("/")


@every_spec
def test_there_is_a_chat_path_and_paths_can_be_appended(spec: ProviderSpec):
    assert "chat" in spec.paths
    assert set(spec.paths) <= {"chat", "models", "embeddings", "images"}
    assert all(path.startswith("/") and not path.endswith("/") for path in spec.paths.values())


@every_spec
def test_models_are_named_once_with_sane_limits(spec: ProviderSpec):
    names = [model.id for model in spec.models]
    assert len(names) == len(set(names))
    for model in spec.models:
        assert 0 <= model.max_output <= 2_000_000
        assert model.context == 0 or 1_000 <= model.context <= 20_000_000
        assert model.context == 0 or model.max_output <= model.context


@every_spec
def test_headers_hold_no_credential(spec: ProviderSpec):
    assert not {name.lower() for name in spec.headers} & {"authorization", "x-api-key", "cookie", "host"}
