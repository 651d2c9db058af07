"""What children get to see."""

from pathlib import Path

from gateway.config.settings import Settings, load_settings
from gateway.serve.environment import bare_environment, child_environment


def test_a_child_reads_the_same_settings_as_the_supervisor() -> None:
    given = {"PORT": "5", "OMNIROUTE_HOST": "0.0.0.0", "DATA_DIR": "/d", "OMNIROUTE_WORKERS": "3"}
    settings = load_settings(given)
    child = load_settings(child_environment(settings, given, "serve"))
    assert (child.port, child.host, child.data_dir, child.workers) == (5, "0.0.0.0", Path("/d"), 3)
    assert child.run_dir == settings.run_dir


def test_the_role_and_what_was_decided_are_passed_on() -> None:
    settings = Settings(data_dir=Path("/d"), redis_url="unix:///s", api_key_secret="a")
    environment = child_environment(settings, {"REDIS_URL": ""}, "gateway")
    assert environment["OMNIROUTE_ROLE"] == "gateway"
    assert environment["REDIS_URL"] == "unix:///s"
    assert environment["API_KEY_SECRET"] == "a"
    assert environment["PROMETHEUS_MULTIPROC_DIR"] == "/d/run/metrics"
    assert "JWT_SECRET" not in environment


def test_a_bare_environment_holds_no_secret() -> None:
    assert bare_environment({"PATH": "/bin", "API_KEY_SECRET": "a"}) == {"PATH": "/bin"}
