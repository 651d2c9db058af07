"""What a caller that asks why is told fits where it stands, whatever names are in it."""

import json

from gateway.accounting.explain import MAX_HEADER_BYTES, explained_header, explanation
from gateway.domain.decision import Candidate, Decision, Dropped
from gateway.domain.record import AttemptRecord


def decision(count: int, length: int) -> Decision:
    return Decision(
        "latency",
        "p2c",
        tuple(Candidate(f"p/{'m' * length} @{index}", f"c{index}") for index in range(count)),
        tuple(Dropped(f"q/{'m' * length} @{index}", "resting") for index in range(count)),
        {f"p/{index}": 1.5 for index in range(count)},
    )


def test_it_says_what_was_chosen_among_and_what_came_of_it() -> None:
    attempts = [AttemptRecord("p", "c1", "m", "server_error", 503, 12.5, "busy")]
    told = json.loads(explanation(decision(1, 3), attempts))
    assert told["candidates"] == [{"name": "p/mmm @0", "connection_id": "c0"}]
    assert told["dropped"] == [{"name": "q/mmm @0", "reason": "resting"}]
    assert told["scores"] == {"p/0": 1.5}
    [attempt] = told["attempts"]
    assert (attempt["outcome"], attempt["status"], attempt["duration_ms"], attempt["error"]) == (
        "server_error", 503, 12.5, "busy",
    )  # fmt: skip


def test_a_name_of_any_letters_stays_one_line_of_ascii() -> None:
    name = 'bad\r\nname: ü "x" \U0001f600'
    line = explained_header(Decision("priority", "random", (Candidate(name, "c"),)), [])
    assert all(32 <= byte < 127 for byte in line)
    assert json.loads(line)["candidates"][0]["name"] == name


def test_a_header_stays_within_its_bound_and_says_that_it_was_cut() -> None:
    attempts = [AttemptRecord("p", "c", "m" * 250, "server_error", 503, 1.0, "x" * 300, ("y" * 500,))] * 20
    for count, length in ((8, 100), (32, 300), (1000, 250)):
        line = explained_header(decision(count, length), attempts)
        assert len(line) <= MAX_HEADER_BYTES
        assert json.loads(line)["is_cut"] is True
    assert "is_cut" not in json.loads(explained_header(decision(4, 20), attempts[:2]))
