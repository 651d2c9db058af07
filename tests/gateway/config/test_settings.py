"""Process settings from the environment."""

import ipaddress
import os
from pathlib import Path

import pytest

from gateway.config.settings import (
    IGNORED_SEED_VARIABLES,
    REFUSED_LITERALS,
    BadSetting,
    Settings,
    default_workers,
    ignored_variables,
    load_settings,
)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))


def load(tmp_path: Path, **environment: str) -> Settings:
    return load_settings({"DATA_DIR": str(tmp_path), **environment})


def test_an_empty_environment_gives_the_documented_defaults(tmp_path):
    settings = load(tmp_path)
    assert (settings.host, settings.port, settings.metrics_port) == ("127.0.0.1", 20128, 20129)
    assert settings.workers == default_workers()
    assert settings.require_api_key
    assert settings.is_demo_enabled
    assert (settings.trusted_proxies, settings.config_file, settings.api_port) == ((), None, None)
    assert (settings.shutdown_delay_s, settings.shutdown_timeout_s) == (0.0, 60.0)


def test_hostname_is_not_our_variable(tmp_path):
    assert load(tmp_path, HOSTNAME="pod-7").host == "127.0.0.1"


def test_every_variable_reaches_its_setting(tmp_path):
    settings = load(
        tmp_path, PORT="1000", OMNIROUTE_HOST="0.0.0.0", OMNIROUTE_WORKERS="3", OMNIROUTE_TRUSTED_PROXIES="10.0.0.0/8, ::1",
        OMNIROUTE_CONFIG=str(tmp_path / "c.yaml"), SHUTDOWN_DELAY_S="1.5", LOG_LEVEL="DEBUG", OMNIROUTE_DEMO="off",
        REDIS_URL="redis://r", OMNIROUTE_REDIS_BUDGET_MS="250", OMNIROUTE_NO_OPEN="1", API_PORT="7",
    )  # fmt: skip
    assert (settings.port, settings.metrics_port, settings.workers, settings.api_port) == (1000, 1001, 3, 7)
    assert settings.trusted_proxies == (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128"))
    assert (settings.config_file, settings.log_level) == (tmp_path / "c.yaml", "debug")
    assert (settings.shutdown_delay_s, settings.is_demo_enabled, settings.no_open) == (1.5, False, True)
    assert settings.redis_budget_s == 0.25


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "65536"), ("PORT", "-1"), ("PORT", "http"), ("OMNIROUTE_WORKERS", "0"), ("OMNIROUTE_WORKERS", "257"),
        ("OMNIROUTE_REDIS_BUDGET_MS", "0"), ("OMNIROUTE_REDIS_BUDGET_MS", "60001"), ("OMNIROUTE_REDIS_BUDGET_MS", "1.5"),
        ("SHUTDOWN_TIMEOUT_S", "-1"), ("SHUTDOWN_DELAY_S", "nan"), ("SHUTDOWN_DELAY_S", "inf"), ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"), ("REQUIRE_API_KEY", "maybe"), ("OMNIROUTE_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("OMNIROUTE_TRUSTED_PROXIES", "proxy"), ("SEMANTIC_CACHE_MAX_SIZE", "1e9"), ("OMNIROUTE_GRAMMAR_SAMPLE", "1.5"),
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_by_its_name(name, value, tmp_path):
    with pytest.raises(BadSetting, match=f"^{name} must be"):
        load(tmp_path, **{name: value})


@pytest.mark.parametrize("literal", sorted(REFUSED_LITERALS))
def test_published_defaults_are_no_secrets(literal, tmp_path):
    for name in ("JWT_SECRET", "INITIAL_PASSWORD", "API_KEY_SECRET"):
        with pytest.raises(BadSetting, match=f"{name} is a published default") as caught:
            load(tmp_path, **{name: literal})
        assert literal not in str(caught.value)


def test_serving_anybody_off_loopback_needs_two_words(tmp_path):
    with pytest.raises(BadSetting, match="OMNIROUTE_ALLOW_OPEN"):
        load(tmp_path, REQUIRE_API_KEY="false", OMNIROUTE_HOST="0.0.0.0")
    assert not load(
        tmp_path, REQUIRE_API_KEY="false", OMNIROUTE_HOST="0.0.0.0", OMNIROUTE_ALLOW_OPEN="true"
    ).is_loopback
    for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost"):
        assert load(tmp_path, REQUIRE_API_KEY="false", OMNIROUTE_HOST=host).is_loopback


def test_environment_wins_over_data_dir_wins_over_working_dir(tmp_path):
    (tmp_path / ".env").write_text("PORT=2000\nLOG_LEVEL=error\n")
    Path(".env").write_text("PORT=3000\nLOG_LEVEL=warning\nBASE_URL=https://here\n")
    settings = load(tmp_path, LOG_LEVEL="debug")
    assert (settings.port, settings.log_level, settings.base_url) == (2000, "debug", "https://here")


def test_command_line_options_win_over_all(tmp_path):
    environment = {"DATA_DIR": str(tmp_path), "PORT": "2000"}
    assert load_settings(environment, {"PORT": "4000"}).port == 4000


def test_somebody_elses_dotenv_in_the_working_dir_is_not_read(tmp_path, monkeypatch):
    Path(".env").write_text("PORT=3000\n")
    stranger = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: stranger)
    assert load(tmp_path).port == 20128


def test_paths_hang_together_under_the_data_dir(tmp_path):
    settings = load(tmp_path)
    for path in (settings.admin_socket, settings.metrics_dir, settings.spool_dir, settings.lastgood_dir):
        assert path.is_relative_to(tmp_path)


def test_variables_without_meaning_here_are_named():
    environment = dict.fromkeys((*IGNORED_SEED_VARIABLES, "PORT"), "x")
    assert set(ignored_variables(environment)) == set(IGNORED_SEED_VARIABLES) - {"HOSTNAME"}


def test_workers_are_between_one_and_eight():
    assert 1 <= default_workers() <= 8


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, "http://collector:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/"}, "http://collector:4318/v1/traces"),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://c/x", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://d"},
            "https://c/x",
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "true"}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, ""),
        ({"OTEL_SERVICE_NAME": "gateway"}, ""),
    ],
)
def test_traces_are_off_until_there_is_somebody_to_send_them_to(given: dict[str, str], url: str) -> None:
    assert load_settings(given).trace_url == url


@pytest.mark.parametrize(
    "given",
    [
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        {"OTEL_EXPORTER_OTLP_HEADERS": "s3cret-c4n4ry"},
        {"OTEL_TRACES_SAMPLER_ARG": "2"},
        {"OTEL_TRACES_SAMPLER": "jaeger_remote"},
    ],
)
def test_what_traces_cannot_use_is_refused_without_saying_a_secret(given: dict[str, str]) -> None:
    with pytest.raises(BadSetting) as refused:
        load_settings(given)
    assert "OTEL_" in str(refused.value)
    assert "c4n4ry" not in str(refused.value)


def test_headers_for_a_collector_are_read_and_never_shown() -> None:
    settings = load_settings({"OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Basic%20c4n4ry,x-team=a"})
    assert settings.trace_headers == (("Authorization", "Basic c4n4ry"), ("x-team", "a"))
    assert "c4n4ry" not in repr(settings)


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("redis://valkey:6379/0", "redis://:p%2Fw%40%3F@valkey:6379/0"),
        ("rediss://me@valkey/0", "rediss://me:p%2Fw%40%3F@valkey/0"),
        ("redis://me:other@valkey/0", "redis://me:other@valkey/0"),
        ("redis+sentinel://a:1,b:2/shared/0", "redis+sentinel://:p%2Fw%40%3F@a:1,b:2/shared/0?sentinel_password=s%26s"),
        ("redis+sentinel://a/shared?sentinel_password=x", "redis+sentinel://:p%2Fw%40%3F@a/shared?sentinel_password=x"),
        ("", ""),
    ],
)
def test_a_password_that_is_given_apart_goes_into_its_url(url: str, whole: str) -> None:
    given = {"REDIS_URL": url, "REDIS_PASSWORD": "p/w@?", "REDIS_SENTINEL_PASSWORD": "s&s"}
    assert load_settings(given).redis_url == whole
    assert load_settings(given | {"REDIS_URL": whole}).redis_url == whole, "a child is given what its parent made"


def test_the_databases_password_may_be_given_apart_too() -> None:
    given = {"DATABASE_URL": "postgresql://me@db/omni?sslmode=require", "DATABASE_PASSWORD": "a b"}
    assert load_settings(given).database_url == "postgresql://me:a%20b@db/omni?sslmode=require"


@pytest.mark.parametrize(
    ("sampler", "argument", "ratio"),
    [
        ("", "", 1.0), ("", "0.25", 0.25), ("parentbased_traceidratio", "0.5", 0.5), ("always_off", "", 0.0),
        ("parentbased_always_on", "0.5", 1.0),
    ],
)  # fmt: skip
def test_samplers_are_opentelemetrys(sampler: str, argument: str, ratio: float) -> None:
    settings = load_settings({"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument})
    assert settings.trace_ratio == ratio
