"""The image and compose.yaml, which no engine builds or starts here: linted, and held against what the product and the scripts say.

`make image-try` does what building and running the image does; here is what can be said without that.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.__main__ import _parser
from gateway.config import settings
from gateway.serve import drain, supervisor
from tests.support.chart import CHART, REPOSITORY, run

DOCKERFILE = REPOSITORY / "deploy" / "Dockerfile"
COMPOSE = REPOSITORY / "compose.yaml"
KNOWN_VARIABLES = set(re.findall(r'"([A-Z][A-Z_]+)"', Path(settings.__file__).read_text()))
CHECK_COMPOSE = "import sys, compose_spec; compose_spec.PyCompose.from_yaml(sys.stdin.read()).validate()"


def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def ours() -> dict[str, Any]:
    return {name: one for name, one in services().items() if "build" in one}


def test_the_dockerfile_passes_the_linter_and_a_planted_mistake_does_not(tmp_path: Path) -> None:
    assert run("hadolint", str(DOCKERFILE)).stdout == ""
    planted = tmp_path / "Dockerfile"
    planted.write_text(DOCKERFILE.read_text().replace("USER 65532:65532", "USER root\nRUN cd /tmp && sudo true"))
    assert "DL3002" in run("hadolint", str(planted)).stdout


def test_the_base_is_pinned_and_what_runs_is_not_root_and_needs_no_shell() -> None:
    text = DOCKERFILE.read_text()
    assert re.search(r"^ARG PYTHON=python:3\.1[123]-slim@sha256:[0-9a-f]{64}$", text, re.MULTILINE)
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["${PYTHON}"] * 2
    last = text[text.rindex("\nFROM ") :]
    assert "\nRUN " not in last
    assert re.findall(r"^USER (.*)$", last, re.MULTILINE) == ["65532:65532"]
    for word in ("ENTRYPOINT", "CMD"):
        assert json.loads(re.findall(rf"^{word} (.*)$", last, re.MULTILINE)[0])
    variables = set(re.findall(r"^(?:ENV| ) +([A-Z_]+)=", last, re.MULTILINE))
    assert variables - KNOWN_VARIABLES == {"PATH", "PYTHONDONTWRITEBYTECODE"}


def test_image_and_chart_agree_on_user_folder_and_ports() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    text = DOCKERFILE.read_text()
    assert f"USER {values['podSecurityContext']['runAsUser']}:{values['podSecurityContext']['runAsGroup']}" in text
    environment = (CHART / "templates" / "_environment.tpl").read_text()
    assert "DATA_DIR, value: /var/lib/omniroute}" in environment
    assert "DATA_DIR=/var/lib/omniroute" in text
    assert "EXPOSE 20128 20129" in text


def test_everything_that_is_installed_comes_by_hash() -> None:
    script = (REPOSITORY / "deploy" / "image" / "assemble.sh").read_text()
    installs = [line for line in script.splitlines() if " install " in line]
    assert len(installs) == 4
    for line in installs:
        assert "--require-hashes" in line or ("--no-deps" in line and "omniroute-*.whl" in line), line
    assert "npm ci" in script
    assert "npm install" not in script


def check_compose(text: str) -> str:
    """What the specification has against it, as compose reads it: variables filled in, merges resolved."""
    filled = re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", lambda match: match[1] or "given", text)
    done = run("python", "-c", CHECK_COMPOSE, text=yaml.safe_dump(yaml.safe_load(filled)))
    return done.stderr if done.returncode else ""


@pytest.mark.parametrize(
    ("right", "wrong", "named"),
    [
        ("", "", ""),
        ("healthcheck: *ready", "helthcheck: *ready", "helthcheck"),
        ("scale: 3", "scale: three", "scale"),
        ("networks: [stores]", "networks: [storess]", "storess"),
    ],
    ids=["as it is", "unknown field", "wrong type", "unknown network"],
)
def test_compose_is_as_its_specification_says_and_a_planted_mistake_is_not(right: str, wrong: str, named: str) -> None:
    found = check_compose(COMPOSE.read_text().replace(right, wrong) if right else COMPOSE.read_text())
    assert bool(found) == bool(named), found
    assert named in found


def test_compose_passes_the_linter_and_a_planted_mistake_does_not(tmp_path: Path) -> None:
    assert run("compose-lint", "check", str(COMPOSE)).returncode == 0
    planted = tmp_path / "compose.yaml"
    planted.write_text(COMPOSE.read_text().replace("  read_only: true", "  privileged: true"))
    assert run("compose-lint", "check", str(planted)).returncode != 0


def test_the_profiles_hold_what_they_say() -> None:
    by_profile = {
        profile: {name for name, one in services().items() if profile in one["profiles"]}
        for profile in ("single", "scaled")
    }
    assert by_profile == {
        "single": {"single"},
        "scaled": {"edge", "gateway", "admin", "valkey", "cache", "postgres", "prometheus", "grafana"},
    }
    assert services()["gateway"]["scale"] == 3


@pytest.mark.parametrize("name", sorted(ours()))
def test_every_variable_and_command_is_one_that_the_product_has(name: str) -> None:
    one = services()[name]
    assert set(one["environment"]) <= KNOWN_VARIABLES
    assert _parser().parse_args(one["command"]).command == one["command"][0]
    delay, streams = (float(one["environment"].get(key, 0)) for key in ("SHUTDOWN_DELAY_S", "SHUTDOWN_TIMEOUT_S"))
    if name != "admin":
        needed = delay + streams + drain.KILL_AFTER_DEADLINE_S + supervisor._WORKERS_SPARE_S
        assert int(one["stop_grace_period"].removesuffix("s")) > needed


@pytest.mark.parametrize("name", sorted(services()))
def test_no_container_may_do_more_than_it_must(name: str) -> None:
    one = services()[name]
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert one["user"] not in ("root", "0", "0:0")
    assert all(port.startswith("127.0.0.1:") for port in one.get("ports", ()))
    for mount in one.get("volumes", ()):
        source = mount.split(":")[0]
        if source.startswith("."):
            assert (REPOSITORY / source).exists(), source
            assert mount.endswith(":ro")


def test_the_example_names_every_variable_that_compose_asks_for() -> None:
    asked = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE.read_text())) - {"OMNIROUTE_VERSION"}
    example = (REPOSITORY / "deploy" / "compose" / "env.example").read_text()
    assert asked == set(re.findall(r"^([A-Z_]+)=$", example, re.MULTILINE))


def test_the_image_has_the_version_of_the_package() -> None:
    (version,) = set(re.findall(r"OMNIROUTE_VERSION:-([0-9.]+)", COMPOSE.read_text()))
    assert f'version = "{version}"' in (REPOSITORY / "pyproject.toml").read_text()


def test_the_balancer_takes_a_gateway_out_before_it_stops_accepting() -> None:
    text = (REPOSITORY / "deploy" / "compose" / "haproxy.cfg").read_text()
    every, fall = re.findall(r"check inter (\d+)s fastinter \S+ fall (\d+)", text)[0]
    assert "option httpchk GET /readyz" in text
    assert int(every) * int(fall) < float(services()["gateway"]["environment"]["SHUTDOWN_DELAY_S"])
    for side in ("client", "server"):
        assert int(re.findall(rf"timeout {side} (\d+)s", text)[0]) > 600
