"""What is printed when the product is ready."""

import json
import shlex

from gateway.config.settings import Settings
from gateway.serve.banner import AdminReady, admin_announcement, banner, dashboard_url, demo_call, gateway_url

FIRST = AdminReady(password="the-password", key="the-key")


def test_the_first_start_shows_password_key_and_a_call_with_that_key() -> None:
    text = banner(Settings(), FIRST)
    assert "the-password" in text
    assert '"Authorization: Bearer the-key"' in text


def test_later_starts_say_how_to_get_new_ones() -> None:
    text = banner(Settings(), AdminReady())
    assert "omniroute reset-password" in text
    assert "YOUR_KEY" in text


def test_a_refused_config_file_is_named() -> None:
    assert "line 3: nodes" in banner(Settings(), AdminReady(config_error="line 3: nodes[0]: missing"))


def test_an_admin_replica_prints_no_secret_but_says_how_to_get_a_password() -> None:
    text = admin_announcement("http://127.0.0.1:1", FIRST)
    assert "the-password" not in text
    assert "the-key" not in text
    assert "omniroute reset-password" in text
    assert "reset-password" not in admin_announcement("http://127.0.0.1:1", AdminReady())


def test_no_call_is_shown_when_the_demo_is_off() -> None:
    assert "curl" not in banner(Settings(is_demo_enabled=False), FIRST)


def test_the_call_is_one_that_a_shell_reads_as_meant() -> None:
    words = shlex.split(demo_call("http://127.0.0.1:1", "a'b"))
    assert "Authorization: Bearer a'b" in words
    assert json.loads(words[-1])["model"] == "demo/story"


def test_urls_are_ones_this_machine_can_open() -> None:
    assert gateway_url(Settings(host="0.0.0.0", port=5)) == "http://127.0.0.1:5"
    assert gateway_url(Settings(host="::", port=5)) == "http://[::1]:5"
    assert gateway_url(Settings(port=5, api_port=6)) == "http://127.0.0.1:6"
    assert dashboard_url(Settings(port=5, dashboard_port=7)) == "http://127.0.0.1:7"


def test_its_secrets_stay_out_of_repr() -> None:
    assert "the-" not in repr(FIRST)
