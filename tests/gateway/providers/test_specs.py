"""Every provider data file that is shipped keeps these promises."""

import re
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

import pytest

from gateway.providers.load import load_specs
from gateway.providers.spec import (
    BearerAuth,
    FinishMap,
    HeaderAuth,
    ProviderSpec,
    StripFields,
    ThinkTags,
    UsageMap,
    WriteAs,
)

SPECS = load_specs()
OPENAI_COMPATIBLE = (
    "openai", "openrouter", "kimi", "deepseek", "groq", "blackbox", "xai", "mistral", "perplexity", "together",
    "fireworks", "cerebras", "ollama-cloud", "nvidia", "nebius", "siliconflow", "hyperbolic", "cohere", "zai",
    "minimax", "vercel",
)  # fmt: skip

every_spec = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)


def test_the_openai_compatible_providers_are_there():
    assert set(OPENAI_COMPATIBLE) <= set(SPECS)
    for name in OPENAI_COMPATIBLE:
        assert SPECS[name].dialect == "openai_chat"
        assert SPECS[name].auth == BearerAuth()
        assert SPECS[name].documentation_url.startswith("https://")


@pytest.mark.parametrize(
    ("name", "dialect", "header"),
    [("anthropic", "anthropic_messages", "x-api-key"), ("gemini", "gemini", "x-goog-api-key")],
)
def test_providers_of_other_dialects_take_the_key_in_their_own_header(name, dialect, header):
    assert SPECS[name].dialect == dialect
    assert SPECS[name].auth == HeaderAuth(header)


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
    assert set(spec.paths) <= {"chat", "models", "embeddings", "images", "count_tokens"}
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


@every_spec
def test_further_dialects_are_paths_or_https_addresses_with_the_same_bearer_key(spec: ProviderSpec):
    assert spec.dialect not in spec.speaks
    assert not spec.speaks or spec.auth == BearerAuth()
    for place in spec.speaks.values():
        url = urlsplit(place)
        assert (place.startswith("/") and not url.netloc) or (url.scheme == "https" and url.hostname)
        assert (url.username, url.query, url.fragment) == (None, "", "")
        assert not place.endswith("/")


@every_spec
def test_quirks_of_answers_are_for_chat_completions_only(spec: ProviderSpec):
    mends = [quirk for quirk in spec.quirks if isinstance(quirk, StripFields | ThinkTags | FinishMap | UsageMap)]
    assert not mends or spec.dialect == "openai_chat"
    assert len(mends) == len({type(quirk) for quirk in mends})


def written_as(provider: str, model: str) -> set[str]:
    return {
        name
        for quirk in SPECS[provider].quirks
        if isinstance(quirk, WriteAs) and (not quirk.models or any(fnmatchcase(model, like) for like in quirk.models))
        for name in quirk.names
    }


@pytest.mark.parametrize(
    ("provider", "model", "names"),
    [
        ("anthropic", "claude-opus-5-5", {"adaptive_thinking", "no_sampling", "thinks_by_default", "always_thinks"}),
        ("anthropic", "claude-fable-5-2", {"adaptive_thinking", "no_sampling", "thinks_by_default", "always_thinks"}),
        ("anthropic", "claude-sonnet-5", {"adaptive_thinking", "no_sampling", "thinks_by_default"}),
        ("anthropic", "claude-opus-4-7", {"adaptive_thinking", "no_sampling"}),
        ("anthropic", "claude-sonnet-4-6", {"adaptive_thinking"}),
        ("anthropic", "claude-haiku-4-5-20251001", set()),
        ("anthropic", "claude-sonnet-4-5-20250929", set()),
        ("anthropic", "claude-sonnet-4-20250514", set()),
        ("anthropic", "claude-3-7-sonnet-20250219", set()),
        ("gemini", "gemini-3-flash-preview", {"thinking_level", "multimodal_results"}),
        ("gemini", "gemini-4-argon", {"thinking_level", "multimodal_results"}),
        ("gemini", "gemini-2.5-pro", set()),
        ("openai", "gpt-5.5", {"max_completion_tokens", "custom_tools", "namespaces", "openai_fields", "every_effort"}),
    ],
)
def test_a_model_is_written_to_as_its_generation_needs(provider, model, names):
    assert written_as(provider, model) == names
