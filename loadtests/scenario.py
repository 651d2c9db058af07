"""Scenarios of load: TOML in `loadtests/scenarios/`, read into frozen structs that forbid unknown fields.

Of the standard library alone: locust's environment, which has nothing of ours, reads them too.
"""

import dataclasses
import math
import tomllib
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

SCENARIOS = Path(__file__).parent / "scenarios"
DIALECTS = ("openai_chat", "openai_responses", "anthropic_messages", "gemini")

Dialect = Literal["openai_chat", "openai_responses", "anthropic_messages", "gemini"]
Struct = TypeVar("Struct")


class ScenarioError(ValueError):
    """A scenario cannot be read; the message names the file, the field and what is wrong."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """When a user asks next. `think`: so many seconds after an answer, between the two of `seconds`; `pace`: every `seconds[0]`, however
    long answers take; `poisson`: after an answer by chance, `seconds[0]` on average."""

    kind: Literal["think", "pace", "poisson"] = "think"
    seconds: tuple[float, ...] = (0.5, 2.0)


@dataclass(frozen=True, slots=True)
class Stage:
    """`users` at once for `seconds`, reached at `spawn_per_s`."""

    seconds: float
    users: int
    spawn_per_s: float = 50.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the stand-in of a provider answers: a stream of `events` of `bytes` each, `gap_ms` apart, the first after `first_ms`; or,
    where nothing is streamed, `whole_bytes` after `first_ms`. With `is_tool_call` the events are pieces of a tool call's arguments."""

    events: int = 40
    gap_ms: float = 20.0
    bytes: int = 220
    first_ms: float = 50.0
    whole_bytes: int = 1024
    is_tool_call: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of user. `turns` above 1 is a conversation with tools: each turn carries the calls and results of those before."""

    name: str
    weight: int = 1
    dialect: Dialect = "openai_chat"
    is_streamed: bool = True
    prompt_bytes: int = 2048
    turns: int = 1
    tools: int = 0
    tool_result_bytes: int = 2048
    answer: Answer = field(default_factory=Answer)


@dataclass(frozen=True, slots=True)
class Keys:
    """Gateway keys of the users: `count` good ones, each used by chance, held to `rpm` requests a minute (0 = any number);
    `wrong_share` of the requests show a key that nobody has."""

    count: int = 1
    rpm: int = 0
    wrong_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Overload:
    """By `loadc`: the most that is answered with each of `connections` at once is the capacity; then `factor` times as many requests a
    second come for `seconds`, over at most `most_connections`, whatever is answered."""

    connections: tuple[int, ...] = (64, 256)
    find_s: float = 4.0
    factor: float = 3.0
    seconds: float = 15.0
    most_connections: int = 4000
    warmup_s: float = 1.5
    """Of each step; not counted."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a worker of the product refuses with 503 (`settings.waiting`), where it is started here; 0 = never."""

    max_open: int = 10_000
    max_lag_s: float = 0.5


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What a run must keep; 0 of a time = not judged."""

    failed_share: float = 0.001
    first_token_p99_ms: float = 0.0
    total_p99_ms: float = 0.0
    refused_p99_ms: float = 0.0
    goodput_share: float = 0.0
    """Overload alone: answers a second of those at capacity."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One load test. `refusals` are the statuses that are part of it; any other that is not 2xx has failed."""

    name: str
    says: str
    mix: tuple[Part, ...]
    stages: tuple[Stage, ...] = ()
    arrival: Arrival = field(default_factory=Arrival)
    keys: Keys = field(default_factory=Keys)
    warmup_s: float = 0.0
    """Of what begins earlier no time is taken; what ends earlier is not counted."""
    refusals: tuple[int, ...] = ()
    overload: Overload | None = None
    bounds: Bounds = field(default_factory=Bounds)
    thresholds: Thresholds = field(default_factory=Thresholds)

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)


def names() -> list[str]:
    """The scenarios that there are."""
    return sorted(path.stem for path in SCENARIOS.glob("*.toml"))


def load_scenario(name: str) -> Scenario:
    """By its name, or by the path of a file. Raises ScenarioError."""
    path = Path(name) if name.endswith(".toml") else SCENARIOS / f"{name}.toml"
    try:
        data = tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        raise ScenarioError(f"there is no scenario {name}; there are {', '.join(names())}") from error
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{path}: {error}") from error
    try:
        return check(_struct(Scenario, {"name": path.stem, **data}, "scenario"))
    except ScenarioError as error:
        raise ScenarioError(f"{path}: {error}") from error


def scenario_of(variables: Mapping[str, str]) -> Scenario:
    """The scenario that `OMNIROUTE_SCENARIO` names, at `OMNIROUTE_LOAD_USERS` for `OMNIROUTE_LOAD_SECONDS` where one is given."""
    scenario = load_scenario(variables.get("OMNIROUTE_SCENARIO", "chat-mix"))
    users, seconds = (variables.get(f"OMNIROUTE_LOAD_{name}", "") for name in ("USERS", "SECONDS"))
    if not (users or seconds):
        return scenario
    try:
        return check(short(scenario, int(users or 0), float(seconds or 0)))
    except ValueError as error:
        raise ScenarioError(f"OMNIROUTE_LOAD_USERS and OMNIROUTE_LOAD_SECONDS are numbers: {error}") from error


def check(scenario: Scenario) -> Scenario:
    """What types cannot say. Raises ScenarioError."""
    named = [part.name for part in scenario.mix]
    between = len(scenario.arrival.seconds)
    wrong = {
        "mix: at least one kind of user is needed": not scenario.mix,
        f"mix: two are named alike: {named}": len(set(named)) != len(named),
        "stages: a run needs at least one": not scenario.stages and scenario.overload is None,
        "stages: seconds, users and spawn_per_s are above 0": any(
            min(stage.seconds, stage.users, stage.spawn_per_s) <= 0 for stage in scenario.stages
        ),
        "arrival.seconds: two for think, one for the others": between != (2 if scenario.arrival.kind == "think" else 1),
        "mix: weight and turns are at least 1": any(min(part.weight, part.turns) < 1 for part in scenario.mix),
        "mix: a conversation needs tools": any(part.turns > 1 and not part.tools for part in scenario.mix),
        "keys.count: at least 1": scenario.keys.count < 1,
        "keys.wrong_share: 0 to 1": not 0 <= scenario.keys.wrong_share <= 1,
        "keys.wrong_share: 401 belongs to refusals then": scenario.keys.wrong_share > 0
        and 401 not in scenario.refusals,
        "warmup_s: shorter than the stages": bool(scenario.stages) and scenario.warmup_s >= scenario.seconds,
        "overload.factor: above 1": scenario.overload is not None and scenario.overload.factor <= 1,
    }
    for problem, is_so in wrong.items():
        if is_so:
            raise ScenarioError(problem)
    return scenario


def short(scenario: Scenario, users: int, seconds: float) -> Scenario:
    """The same kinds of users, at one stage without a warm-up, their streams no longer than it: to try a scenario. 0 = as the scenario
    has it, of users the most."""
    if scenario.overload is not None:
        return dataclasses.replace(
            scenario, overload=dataclasses.replace(scenario.overload, seconds=seconds or scenario.overload.seconds)
        )
    users = users or max((stage.users for stage in scenario.stages), default=0)
    seconds = seconds or scenario.seconds
    mix = tuple(dataclasses.replace(part, answer=_within(part.answer, seconds)) for part in scenario.mix)
    return dataclasses.replace(scenario, mix=mix, stages=(Stage(seconds, users, float(users)),), warmup_s=0.0)


def _within(answer: Answer, seconds: float) -> Answer:
    most = int(seconds * 1000 / answer.gap_ms) if answer.gap_ms else answer.events
    return dataclasses.replace(answer, events=max(2, min(answer.events, most)))


def _struct(kind: type[Struct], data: Any, where: str) -> Struct:
    if not isinstance(data, dict):
        raise ScenarioError(f"{where}: a table is wanted")
    fields = {one.name: one for one in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in data:
        if name not in fields:
            raise ScenarioError(f"{where}.{name}: there is no such field; there are {', '.join(fields)}")
    values = {name: _value(fields[name].type, given, f"{where}.{name}") for name, given in data.items()}
    for name, one in fields.items():
        if name not in values and one.default is one.default_factory is dataclasses.MISSING:
            raise ScenarioError(f"{where}.{name}: is missing")
    return kind(**values)


def _value(kind: Any, given: Any, where: str) -> Any:
    if get_origin(kind) is types.UnionType:
        kind = get_args(kind)[0]
    if get_origin(kind) is Literal:
        if given not in get_args(kind):
            raise ScenarioError(f"{where}: one of {', '.join(get_args(kind))}, not {given!r}")
        return given
    if get_origin(kind) is tuple:
        if not isinstance(given, list):
            raise ScenarioError(f"{where}: a list is wanted")
        return tuple(_value(get_args(kind)[0], one, f"{where}[{place}]") for place, one in enumerate(given))
    if dataclasses.is_dataclass(kind):
        return _struct(kind, given, where)  # type: ignore[type-var]
    if kind is float and isinstance(given, int) and not isinstance(given, bool):
        given = float(given)
    if type(given) is not kind:
        raise ScenarioError(f"{where}: {kind.__name__} is wanted, not {given!r}")
    if isinstance(given, int | float) and (given < 0 or not math.isfinite(given)):
        raise ScenarioError(f"{where}: a number from 0 on is wanted, not {given}")
    return given
