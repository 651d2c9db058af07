"""Writes `docs/failover.md` from the cells: `python -m tests.journeys.failover.document [FILE]`. Same cells, same bytes."""

import sys
from pathlib import Path

from tests.journeys.failover.cells import PAIRS, SCENARIOS, Cell, Expected, Scenario, cells
from tests.journeys.failover.hear import CALLERS

DOCUMENT = Path("docs/failover.md")
LETTERS = {"openai_chat": "C", "openai_responses": "R", "anthropic_messages": "A", "gemini": "G"}
NAMES = {
    "openai_chat": "Chat Completions",
    "openai_responses": "Responses",
    "anthropic_messages": "Messages",
    "gemini": "generateContent",
}
_SAW = {
    "fallback": "fallback's answer",
    "first": "whole answer",
    "cut": "beginning, then error event",
    "cut late": "all its text, then error event",
    "filtered": "200, no text, the filter's word",
    "400 context": "400, the provider's words",
    "400 filter": "400, the provider's words",
    "503 upstream_unavailable": "503 `upstream_unavailable`",
}

_HEAD = """\
# When providers fail

Written by `python -m tests.journeys.failover.document` from `tests/journeys/failover/cells.py`; do not edit.

A combo of two models, and a first target that fails in one of sixteen ways: what the caller sees, in its own dialect. Each
square is tried through the started product (`tests/journeys/test_failover_scenarios.py`), with providers that check requests
as strictly as the real ones; so is what the providers are asked, what rests (`GET /api/resilience`) and the one row in the
ledger (`GET /api/usage/logs`).

The rule behind it: until the first useful byte was sent to the caller, any failure goes to the next target; after it, a failure
ends the stream with the dialect's own error event, never with its terminator, and no other target is asked. An answer that is
not streamed is sent when all of it is there, so it can fail over to its end.

An error *event* is `data: {"error": …}` for Chat Completions and generateContent, `error` and `response.failed` for Responses,
`event: error` for Messages. The official SDKs raise on each ([dialects.md](dialects.md) has the proof). Code `upstream_cut` is a
cut, `upstream_error` or the provider's own an error that the provider told.

## What the caller sees

"""

_MORE = """
Each square was tried with these targets, first and fallback (C = Chat Completions, R = Responses, A = Messages,
G = generateContent):

"""

_LEDGER = """
## What the providers are asked, what rests, what is recorded

The outcome is the word for the first request's attempts, in the row and in `omniroute_attempts_total`. Of the fallback nothing
rests in any of these.

"""

_TAIL = """
How long what fails rests is set in `settings.resilience`; the spans above are its defaults.

## Beyond the table

- **When most of it fails.** The table holds as long as few requests need a second target: `settings.retry_budget` bounds further
  calls, so that an outage is not multiplied. Beyond it the first target's failure is told at once.
- **Nothing else is left.** When every target has failed and one of them has said to come back within 5 s (`Retry-After` and its like), the
  request waits for that one, once, as long as its own deadline and the budget of calls allow. Without another target that spares the
  caller a 429. A combo's `max_retries` has each target that failed in a way that may pass asked again before the next one.
- **A flap.** Five failures open the breaker of a target's model; then one probe at a time in the whole cluster, 5 to 25 s apart.
  Once it works again it gets a rising share, all after 10 s. No request fails meanwhile, as long as there is another target.
- **A missing terminator.** Where an answer has told why it is over (`finish_reason`, `stop_reason`) and only `[DONE]` or
  `message_stop` is missing, be it by a clean end, a reset or silence, the gateway writes it: clients of Messages would wait or fail
  without. Of several answers at once (`n` > 1) nobody knows whether all are over, so that is a cut.
- **An event longer than 1 MiB** passes in pieces within one dialect. When it is cut, a blank line ends the half of it that was sent
  before the error event follows, so that the error is not read as the rest of the line.
- **An event in mid-answer that is no JSON** passes as it came within one dialect, where nothing is checked; between two dialects
  it ends the stream with an error event.
- **A provider's error that quotes the credential** it was asked with has `***` in its place, streamed or not.
- **A refusal inside a 200.** A context overflow or a content filter that is told in the first event of a stream is the caller's
  fault there too: nothing rests.
- **An answer that a filter ends after its first word** is an answer: nothing can be taken back.
- **A provider that fails wholly** is not felt at others: it shares neither a queue nor a pool of connections with them. What all
  share is a worker's bound of 10,000 open calls; `max_concurrency` of a connection keeps one from filling it.
"""


def document() -> str:
    """The whole page as Markdown."""
    return _HEAD + _seen() + _MORE + _pairs() + _LEDGER + _recorded() + _TAIL


def _seen() -> str:
    rows = ["| the first target | " + " | ".join(NAMES[caller] for caller in CALLERS) + " |\n|---|" + "---|" * 4 + "\n"]
    for scenario in SCENARIOS:
        squares = (_square(scenario, caller) for caller in CALLERS)
        rows.append(f"| {scenario.title} | " + " | ".join(squares) + " |\n")
    return "".join(rows)


def _square(scenario: Scenario, caller: str) -> str:
    """What is seen, streamed and not, from which first targets where that makes a difference."""
    ways = {streams: _way(scenario, caller, streams=streams) for streams in (True, False)}
    if ways[True] == ways[False] or not ways[False]:
        return ways[True] + (" (streamed only)" if not ways[False] else "")
    return f"streamed: {ways[True]}; whole: {ways[False]}"


def _way(scenario: Scenario, caller: str, *, streams: bool) -> str:
    seen: dict[str, list[str]] = {}
    for cell in cells():
        if (cell.scenario, cell.caller, cell.streams) == (scenario, caller, streams):
            letters = seen.setdefault(_told(cell), [])
            letters += [LETTERS[cell.first]] if LETTERS[cell.first] not in letters else []
    if len(seen) < 2:
        return "".join(seen)
    return "; ".join(f"from {' and '.join(letters)}: {told}" for told, letters in seen.items())


def _told(cell: Cell) -> str:
    saws = list(dict.fromkeys(cell.expected.saw))
    if saws == ["fallback", "first"]:
        return "fallback's answer, then the first's"
    told = _SAW[saws[0]]
    if saws[0].startswith("400") and cell.caller != cell.first:
        told = f"400 `{cell.expected.error}`"
    return told


def _pairs() -> str:
    rows = ["| caller | targets |\n|---|---|\n"]
    for caller in CALLERS:
        told = ", ".join(f"{LETTERS[first]} then {LETTERS[fallback]}" for first, fallback in PAIRS[caller])
        rows.append(f"| {NAMES[caller]} | {told} |\n")
    return "".join(rows)


def _recorded() -> str:
    rows = [
        "| the first target | outcome | requests, calls to first and fallback | rests | in short |\n|---|---|---|---|---|\n"
    ]
    for scenario in SCENARIOS:
        both = [one for one in (scenario.streamed, scenario.whole) if one is not None]
        outcomes = list(dict.fromkeys(" → ".join(one.outcomes) for one in both))
        calls = list(dict.fromkeys(f"{len(one.saw)}, {one.first_calls} and {one.fallback_calls}" for one in both))
        rows.append(
            f"| {scenario.title} | {' or '.join(f'`{one}`' for one in outcomes)} | {' or '.join(calls)} |"
            f" {_rests(both[0])} | {scenario.told} |\n"
        )
    return "".join(rows)


def _rests(expected: Expected) -> str:
    if expected.rests is None:
        return "nothing"
    if expected.rests.kind == "breaker":
        return "breaker of the model there, 5 s"
    return "connection, 30 s" if expected.rests.most_s > 10 else "connection, about 1 s"


if __name__ == "__main__":
    (Path(sys.argv[1]) if len(sys.argv) > 1 else DOCUMENT).write_text(document())
