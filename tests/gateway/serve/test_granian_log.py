"""granian's messages in our format."""

import json
import logging

import pytest

from gateway.serve.granian_log import LineHandler, granian_log_config


def record(level: int, text: str) -> logging.LogRecord:
    return logging.LogRecord("_granian", level, "f", 1, text, (), None)


def test_json_lines_hold_level_event_and_time(capfd: pytest.CaptureFixture[str]) -> None:
    LineHandler("json").emit(record(logging.ERROR, "worker-1 ended"))
    line = json.loads(capfd.readouterr().err)
    assert line["event"] == "worker-1 ended"
    assert line["level"] == "error"
    assert line["timestamp"].endswith("Z")


def test_console_lines_are_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    LineHandler("console").emit(record(logging.WARNING, "worker-1 ended"))
    printed = capfd.readouterr().err
    assert "worker-1 ended" in printed
    assert printed.count("\n") == 1


def test_routine_news_are_left_out() -> None:
    assert granian_log_config("json")["handlers"]["lines"]["level"] == "WARNING"
