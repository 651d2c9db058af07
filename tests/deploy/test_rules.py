"""Rules are right in syntax, each alert fires when it should, and stays silent on a good day."""

import re
from pathlib import Path

from tests.support.product import REPOSITORY
from tests.support.real_prometheus import RULES, promtool

CASES = Path(__file__).parent / "alerts.test.yaml"
ALERTS = re.findall(r"alert: (\S+)", (RULES / "alerts.yaml").read_text())


def test_the_rules_are_rules() -> None:
    done = promtool("check", "rules", *map(str, sorted(RULES.glob("*.yaml"))))
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    cases = tmp_path / "cases.yaml"
    cases.write_text(CASES.read_text().replace("RULES", str(RULES)))
    done = promtool("test", "rules", str(cases))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_rule_that_is_broken_is_found(tmp_path: Path) -> None:
    broken = (RULES / "alerts.yaml").read_text().replace("> 14.4 * 0.001 and", "> 144 * 0.001 and")
    (tmp_path / "alerts.yaml").write_text(broken)
    (tmp_path / "recording.yaml").write_text((RULES / "recording.yaml").read_text())
    cases = tmp_path / "cases.yaml"
    cases.write_text(CASES.read_text().replace("RULES", str(tmp_path)))
    done = promtool("test", "rules", str(cases))
    assert done.returncode != 0
    assert "OmniRouteErrorBudgetBurnFast" in done.stdout + done.stderr


def test_each_alert_is_seen_to_fire() -> None:
    fired = re.findall(r"alertname: (\S+)\n\s+exp_alerts:\n\s+- exp_labels", CASES.read_text())
    assert sorted(ALERTS) == sorted(set(fired))


def test_each_alert_says_how_bad_it_is_and_has_its_paragraph() -> None:
    page = (REPOSITORY / "docs/observability.md").read_text()
    for name in ALERTS:
        assert f"`{name}`" in page, name
    text = (RULES / "alerts.yaml").read_text()
    assert len(re.findall(r"severity: (?:critical|warning|info)}", text)) == len(ALERTS)
