"""Each caller path means one thing, exactly and on the raw path; what is not listed is not ours."""

import pytest

from gateway.edge.endpoints import canonical, dialect_of_area, find_endpoint, is_caller_area

GEMINI_VERBS = ("generateContent", "streamGenerateContent", "countTokens", "embedContent")


@pytest.mark.parametrize(
    ("path", "template", "dialect", "operation", "argument"),
    [
        ("/v1/models", "/v1/models", "openai_chat", "list_models", ""),
        ("/v1/models/gpt-4o", "/v1/models/{id}", "openai_chat", "get_model", "gpt-4o"),
        ("/v1/models/local/vendor/m", "/v1/models/{id}", "openai_chat", "get_model", "local/vendor/m"),
        ("/v1/models/local%2Fm%20x", "/v1/models/{id}", "openai_chat", "get_model", "local/m x"),
        ("/v1/models/%E4%B8%96", "/v1/models/{id}", "openai_chat", "get_model", "世"),
        ("/v1/models/vendor/m:free", "/v1/models/{id}", "openai_chat", "get_model", "vendor/m:free"),
        ("/v1/chat/completions", "/v1/chat/completions", "openai_chat", "chat", ""),
        ("/v1/messages", "/v1/messages", "anthropic_messages", "chat", ""),
        ("/v1/messages/count_tokens", "/v1/messages/count_tokens", "anthropic_messages", "count_tokens", ""),
        ("/v1/responses", "/v1/responses", "openai_responses", "chat", ""),
        ("/v1/responses/input_tokens", "/v1/responses/input_tokens", "openai_responses", "count_tokens", ""),
        ("/v1/providers/x/messages", "/v1/providers/{provider}/messages", "anthropic_messages", "chat", "x"),
        ("/v1/providers/x/responses", "/v1/providers/{provider}/responses", "openai_responses", "chat", "x"),
        ("/v1/embeddings", "/v1/embeddings", "openai_chat", "later", ""),
        ("/v1/images/generations", "/v1/images/generations", "openai_chat", "later", ""),
        ("/v1/audio/transcriptions", "/v1/audio/transcriptions", "openai_chat", "later", ""),
        ("/v1/audio/speech", "/v1/audio/speech", "openai_chat", "later", ""),
        ("/v1/moderations", "/v1/moderations", "openai_chat", "later", ""),
        ("/v1/rerank", "/v1/rerank", "openai_chat", "later", ""),
        (
            "/v1/providers/local/chat/completions",
            "/v1/providers/{provider}/chat/completions",
            "openai_chat",
            "chat",
            "local",
        ),
        ("/v1/providers/a%20b/embeddings", "/v1/providers/{provider}/embeddings", "openai_chat", "later", "a b"),
        (
            "/v1/providers/x/images/generations",
            "/v1/providers/{provider}/images/generations",
            "openai_chat",
            "later",
            "x",
        ),
        ("/v1beta/models", "/v1beta/models", "gemini", "list_models", ""),
        ("/v1beta/models/gemini-2.5-pro", "/v1beta/models/{model}", "gemini", "get_model", "gemini-2.5-pro"),
        ("/v1/api/chat", "/v1/api/chat", "ollama", "chat", ""),
        ("/api/chat", "/api/chat", "ollama", "chat", ""),
        ("/api/tags", "/api/tags", "ollama", "list_tags", ""),
        ("/api/version", "/api/version", "ollama", "version", ""),
        ("/v1/v1/chat/completions", "/v1/chat/completions", "openai_chat", "chat", ""),
        ("/v1/v1/models/m", "/v1/models/{id}", "openai_chat", "get_model", "m"),
        ("/api/v1/chat/completions", "/v1/chat/completions", "openai_chat", "chat", ""),
        ("/api/v1/models", "/v1/models", "openai_chat", "list_models", ""),
        ("/codex/responses", "/v1/responses", "openai_responses", "chat", ""),
        ("/codex/anything/else", "/v1/responses", "openai_responses", "chat", ""),
        ("/chat/completions", "/v1/chat/completions", "openai_chat", "chat", ""),
        ("/responses", "/v1/responses", "openai_responses", "chat", ""),
        ("/models", "/v1/models", "openai_chat", "list_models", ""),
    ],
)
def test_each_listed_path_means_one_thing(
    path: str, template: str, dialect: str, operation: str, argument: str
) -> None:
    endpoint = find_endpoint(path)
    assert endpoint is not None
    assert (endpoint.template, endpoint.dialect, endpoint.operation, endpoint.argument) == (
        template, dialect, operation, argument,
    )  # fmt: skip


@pytest.mark.parametrize("verb", GEMINI_VERBS)
@pytest.mark.parametrize(
    ("path", "version", "model"),
    [
        ("/v1beta/models/gemini-2.5-pro", "v1beta", "gemini-2.5-pro"),
        ("/v1beta/models/local/vendor/m", "v1beta", "local/vendor/m"),
        ("/v1beta/models/local%2Fm", "v1beta", "local/m"),
        ("/v1/models/gemini-2.5-pro", "v1", "gemini-2.5-pro"),
        ("/v1beta/local/gemini-2.5-pro", "v1beta", "local/gemini-2.5-pro"),
        ("/v1beta/models/router/vendor/m:free", "v1beta", "router/vendor/m:free"),
        ("/v1beta/models/local%2Fm%3Afree", "v1beta", "local/m:free"),
        ("/v1/v1/models/m", "v1", "m"),
    ],
)
def test_gemini_paths_carry_the_model_and_the_verb(path: str, version: str, model: str, verb: str) -> None:
    for colon in (":", "%3A", "%3a"):
        endpoint = find_endpoint(f"{path}{colon}{verb}")
        assert endpoint is not None
        assert (endpoint.template, endpoint.dialect, endpoint.argument) == (
            f"/{version}/models/{{model}}:{verb}", "gemini", model,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/models", ("GET",)), ("/v1/models/m", ("GET",)), ("/v1/chat/completions", ("POST",)),
        ("/v1/messages", ("POST",)), ("/api/tags", ("GET",)), ("/v1beta/models/m", ("GET",)),
        ("/v1beta/models/m:generateContent", ("POST",)), ("/v1/providers/p/chat/completions", ("POST",)),
    ],
)  # fmt: skip
def test_each_path_knows_its_methods(path: str, methods: tuple[str, ...]) -> None:
    endpoint = find_endpoint(path)
    assert endpoint is not None
    assert endpoint.methods == methods


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions/", "/v1/chat//completions", "/v1/Chat/completions", "/v1%2Fchat/completions",
        "/v1/chat/%63ompletions", "/v1/../api/keys", "/v1/providers//chat/completions",
        "/v1/providers/a/b/chat/completions", "/v1/providers/p/models", "/v1/unknown", "/v1/models/", "/v2/models", "/v1beta/unknown",
        "/v1beta/models/", "/v1beta/models/m:unknownVerb/x/", "/",
    ],
)  # fmt: skip
def test_near_misses_are_no_chat(path: str) -> None:
    endpoint = find_endpoint(path)
    assert endpoint is None or endpoint.operation in ("get_model", "later")


@pytest.mark.parametrize(
    ("path", "is_ours"),
    [
        ("/v1/unknown", True), ("/v1beta/unknown", True), ("/v1", True), ("/v1beta", True), ("/v1/../api/keys", True),
        ("/v1/v1/unknown", True), ("/api/v1/unknown", True), ("/v1x", False), ("/v1betax/y", False), ("/api/keys", False),
        ("/", False), ("/dashboard/keys", False), ("/V1/models", False), ("/api/v1", False),
    ],
)  # fmt: skip
def test_what_lies_under_the_api_is_never_relayed(path: str, is_ours: bool) -> None:
    assert is_caller_area(path) is is_ours


@pytest.mark.parametrize(
    "path", ["/api/keys", "/api/auth/login", "/dashboard/", "/", "/_next/x", "/metrics", "/api/chats"]
)
def test_admin_paths_are_no_endpoints(path: str) -> None:
    assert find_endpoint(path) is None


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/v1/x", "openai_chat"),
        ("/v1beta/x", "gemini"),
        ("/v1/messages/x", "anthropic_messages"),
        ("/v1/v1/messages/y", "anthropic_messages"),
    ],
)
def test_unknown_paths_fail_in_their_areas_dialect(path: str, dialect: str) -> None:
    assert dialect_of_area(path) == dialect


def test_an_alias_leads_to_a_listed_path() -> None:
    assert canonical("/v1") == "/v1/models"
    assert canonical("/dashboard") == "/dashboard"
