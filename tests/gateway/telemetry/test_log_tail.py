"""The newest lines are held, bounded in number and size, and pass on as they are."""

from typing import Any

import orjson

from gateway.telemetry.log_tail import MAX_HELD, MAX_LINE_BYTES, LogTail


def noted(tail: LogTail, **event: Any) -> Any:
    return tail.note(None, "info", event)


def test_lines_pass_on_unchanged_and_are_taken_once_oldest_first() -> None:
    tail = LogTail()
    assert noted(tail, event="first", who="w") == {"event": "first", "who": "w"}
    noted(tail, event="second", by={1: "one"})
    assert [orjson.loads(line)["event"] for line in tail.take(1)] == ["first"]
    assert [orjson.loads(line) for line in tail.take(10)] == [{"event": "second", "by": {"1": "one"}}]
    assert tail.take(10) == []


def test_what_is_held_is_bounded() -> None:
    tail = LogTail()
    for number in range(MAX_HELD + 5):
        noted(tail, event=f"e{number}")
    assert len(tail) == MAX_HELD
    assert orjson.loads(tail.take(1)[0])["event"] == "e5"


def test_a_long_line_is_cut_and_says_so() -> None:
    tail = LogTail()
    noted(tail, event="long", level="error", text="é" * 100_000)
    (line,) = tail.take(1)
    assert len(line) <= 2 * MAX_LINE_BYTES
    found = orjson.loads(line)
    assert (found["event"], found["level"]) == ("long", "error")
    assert found["cut"]
