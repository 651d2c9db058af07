"""The scenarios of fail-over as data: how the first target fails, and what the caller, the providers, the table of rests and
the ledger must show of it. `docs/failover.md` shows them and `test_failover_scenarios.py` proves them, cell by cell.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tests.journeys.failover.hear import CALLERS


@dataclass(frozen=True, slots=True)
class Rests:
    """What of the first target rests afterwards, and for how many seconds at least and at most."""

    kind: str
    least_s: float
    most_s: float
    scope: str = "connection"


@dataclass(frozen=True, slots=True)
class Expected:
    """`saw`, request by request: `fallback` and `first` (a whole answer of theirs), `filtered`, `cut` (the beginning, then an error),
    `cut late` (all of the text, then an error), or `STATUS CODE` (refused). `outcomes` are those of the first request's attempts; calls are counted over all requests."""

    saw: tuple[str, ...]
    outcomes: tuple[str, ...]
    first_calls: int = 1
    fallback_calls: int = 1
    rests: Rests | None = None
    error: str = ""
    """In the ledger; the code of a refusal where it is empty."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """`first` is what the first target does, call by call (the last one for good), `then` what the fallback does.

    `streamed` and `whole` are None where the scenario cannot be. `by_first` holds what differs for some dialects of
    the first target, `told` what the table says in words.
    """

    name: str
    title: str
    first: tuple[str, ...]
    streamed: Expected | None
    whole: Expected | None
    told: str
    then: str = "text"
    config: dict[str, bool] = field(default_factory=dict)
    is_prefilled: bool = False
    fallback_only: str = ""
    by_first: dict[str, Expected] = field(default_factory=dict)


def _fallback(outcome: str, rests: Rests | None = None) -> Expected:
    return Expected(("fallback",), (outcome, "committed"), rests=rests)


_HINTED = Expected(
    ("fallback", "fallback"), ("rate_limited", "committed"), fallback_calls=2, rests=Rests("cooldown", 20, 30)
)
_UNHINTED = _fallback("rate_limited", Rests("cooldown", 0, 1.5))
_ONCE = Expected(("fallback", "first"), ("server_error", "committed"), first_calls=2)
_LASTING = Expected(
    ("fallback",) * 7,
    ("server_error", "committed"),
    first_calls=5,
    fallback_calls=7,
    rests=Rests("breaker", 1, 7.5, scope="connection_model"),
)
_CUT = Expected(("cut",), ("committed",), fallback_calls=0, error="stream_reset")
_CUT_LATE = replace(_CUT, saw=("cut late",))
_WHOLE = Expected(("first",), ("committed",), fallback_calls=0)
_REFUSED_CONTEXT = Expected(("400 context",), ("context_length",), fallback_calls=0, error="context_length_exceeded")
_BLOCKED = Expected(("filtered",), ("committed",), fallback_calls=0)
_REFUSED_FILTER = Expected(("400 filter",), ("content_policy",), fallback_calls=0, error="content_policy_violation")

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "429-hint", "429 with Retry-After", ("refuse:429:retry-after=30",), _HINTED, _HINTED,
        "the fallback's answer; the connection rests for exactly as long as it asked, and is not called meanwhile",
    ),
    Scenario(
        "429", "429 without Retry-After", ("refuse:429",), _UNHINTED, _UNHINTED,
        "the fallback's answer; the connection rests for a second, longer each time",
    ),
    Scenario(
        "one-500", "one 500", ("refuse:500", "text"), _ONCE, _ONCE,
        "the fallback's answer; the next request goes to the first target again",
    ),
    Scenario(
        "lasting-503", "lasting 503", ("refuse:503",), _LASTING, _LASTING,
        "the fallback's answers; after five failures the first target's model is not called any more",
    ),
    Scenario(
        "reset", "connection reset", ("dropped",), _fallback("cut"), _fallback("cut"),
        "the fallback's answer",
    ),
    Scenario(
        "silence", "silence", ("silent",), _fallback("silent"), _fallback("silent"),
        "the fallback's answer after `headers_s`; the silent target is not asked again",
    ),
    Scenario(
        "slow-first", "slow first token", ("late",), _fallback("silent"), None,
        "the fallback's answer after `first_event_s`",
    ),
    Scenario(
        "empty", "good end without an answer", ("empty",), _fallback("empty_answer"), _fallback("empty_answer"),
        "the fallback's answer; never an empty one",
    ),
    Scenario(
        "cut", "cut in mid-answer", ("broken-off:2",), _CUT, _fallback("cut"),
        "streamed: what had come, then the dialect's error event, no terminator and no other target; whole: the fallback's answer",
    ),
    Scenario(
        "ended", "clean end in mid-answer", ("ended-off:2",), _CUT, _fallback("broken_answer"),
        "as when it is cut",
    ),
    Scenario(
        "stall", "stall in mid-answer", ("stalled:2",),
        Expected(("cut",), ("committed",), fallback_calls=0, error="stream_gap_timeout"), _fallback("silent"),
        "after `gap_s` as when it is cut",
    ),
    Scenario(
        "bad-event", "bad chunk: no JSON before the first word", ("garbled:0",),
        _fallback("error_in_200"), _fallback("broken_answer"),
        "the fallback's answer",
    ),
    Scenario(
        "bad-framing", "bad chunk: broken framing in mid-answer", ("misframed:2",),
        Expected(("cut",), ("committed",), fallback_calls=0, error="stream_protocol"), None,
        "as when it is cut",
    ),
    Scenario(
        "unterminated", "missing terminator", ("unterminated",), _WHOLE, None,
        "the whole answer, with the terminator put in its place; where the last event is what tells that the answer is whole"
        " (Responses, generateContent): as when it is cut",
        by_first=dict.fromkeys(("openai_responses", "gemini"), _CUT_LATE),
    ),
    Scenario(
        "context", "context overflow", ("words:context",), _REFUSED_CONTEXT, _REFUSED_CONTEXT,
        "the provider's own 400; nobody else is asked and nothing rests",
    ),
    Scenario(
        "context-on", "context overflow, combo with `context_length_fallback`", ("words:context",),
        _fallback("context_length"), _fallback("context_length"),
        "the fallback's answer; the same model is not tried at another connection",
        config={"context_length_fallback": True},
    ),
    Scenario(
        "filter", "content filter", ("words:filter",), _REFUSED_FILTER, _REFUSED_FILTER,
        "the provider's own 400; nobody else is asked and nothing rests",
    ),
    Scenario(
        "filter-on", "content filter, combo with `content_policy_fallback`", ("words:filter",),
        _fallback("content_policy"), _fallback("content_policy"),
        "the fallback's answer; the same model is not tried at another connection",
        config={"content_policy_fallback": True},
    ),
    Scenario(
        "blocked", "content filter: an answer of nothing but its word", ("blocked",), _BLOCKED, _BLOCKED,
        "what the provider said: 200, no text, the filter's word",
    ),
    Scenario(
        "blocked-on", "content filter: its word alone, combo with `content_policy_fallback`", ("blocked",),
        _fallback("content_policy"), _fallback("content_policy"),
        "the fallback's answer; the last target's word is passed on",
        config={"content_policy_fallback": True},
    ),
    Scenario(
        "prefill", "fallback that refuses a prefill", ("refuse:503",),
        *[Expected(("503 upstream_unavailable",), ("server_error", "unsupported"))] * 2,
        "the first target's error, which is the cause: trying again later helps; what the fallback cannot do is listed and"
        " counts against nobody",
        then="words:prefill", is_prefilled=True, fallback_only="anthropic_messages",
    ),
    Scenario(
        "accounting", "accounting of the model that answered", ("refuse:500",),
        *[_fallback("server_error")] * 2,
        "the fallback's answer; one row with its provider, model, tokens, cached tokens and price",
        then="cached-usage",
    ),
)  # fmt: skip

PAIRS: dict[str, tuple[tuple[str, str], ...]] = {
    "openai_chat": (
        ("openai_chat", "openai_chat"),
        ("openai_chat", "anthropic_messages"),
        ("gemini", "openai_responses"),
    ),
    "openai_responses": (
        ("openai_responses", "openai_responses"),
        ("openai_responses", "gemini"),
        ("openai_chat", "anthropic_messages"),
    ),
    "anthropic_messages": (
        ("anthropic_messages", "anthropic_messages"),
        ("anthropic_messages", "openai_chat"),
        ("openai_responses", "anthropic_messages"),
    ),
    "gemini": (("gemini", "gemini"), ("gemini", "anthropic_messages"), ("openai_responses", "gemini")),
}
"""By caller, the dialects of the first target and of the fallback: both its own, then each of them another."""


@dataclass(frozen=True, slots=True)
class Cell:
    scenario: Scenario
    caller: str
    first: str
    fallback: str
    streams: bool

    @property
    def id(self) -> str:
        how = "stream" if self.streams else "whole"
        return f"{self.scenario.name}:{self.caller}:{self.first}-{self.fallback}:{how}"

    @property
    def expected(self) -> Expected:
        expected = self.scenario.streamed if self.streams else self.scenario.whole
        assert expected is not None
        return self.scenario.by_first.get(self.first, expected)


def cells() -> Iterator[Cell]:
    for scenario in SCENARIOS:
        for caller in CALLERS:
            for first, fallback in PAIRS[caller]:
                if scenario.fallback_only not in ("", fallback):
                    continue
                for streams in (True, False):
                    if (scenario.streamed if streams else scenario.whole) is not None:
                        yield Cell(scenario, caller, first, fallback, streams)
