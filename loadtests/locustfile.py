"""A scenario's users, for locust: what each asks, when, and what they saw; in one process or in many.

    OMNIROUTE_SCENARIO=streaming OMNIROUTE_URL=http://127.0.0.1:20128 OMNIROUTE_KEY=sk-or-… OMNIROUTE_MODEL=demo/story \
        locust -f loadtests/locustfile.py --headless --processes 2

`make load` starts it with everything else (load.py). For how many users a deployment carries and what they see; not for what a
request costs: the client here is slower than the gateway. It must never be pointed at a provider that bills.
"""

import json
import os
import random
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from geventhttpclient.response import HTTPParseError
from locust import FastHttpUser, LoadTestShape, between, constant_pacing, events, runners, task
from locust.contrib.fasthttp import ResponseContextManager
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from loadtests.asking import Question, ask, has_token, is_answer, is_end
from loadtests.load_report import markdown, report
from loadtests.scenario import Arrival, Part, ScenarioError, scenario_of
from loadtests.tally import ANSWERED, FAILED, REFUSED, Tally

WRONG_KEY = "sk-or-nobody-has-this-key-0000000000000000"
WAITS_S = (10.0, 180.0)
"""For a connection, and for each read of an answer."""
DRAIN_S = 60.0
"""How long what is under way at the end may take."""
IDLE_S = 0.2
MODEL = os.environ.get("OMNIROUTE_MODEL", "demo/story")

try:
    SCENARIO = scenario_of(os.environ)
except ScenarioError as error:
    sys.exit(str(error))
if not SCENARIO.stages:
    sys.exit(f"{SCENARIO.name} is not for locust: run it with `python -m loadtests.load {SCENARIO.name}`")


def _keys() -> list[str]:
    """`OMNIROUTE_KEYS` is a file with a key a line, `OMNIROUTE_KEY` one key."""
    if path := os.environ.get("OMNIROUTE_KEYS"):
        return Path(path).read_text().split()
    return [os.environ.get("OMNIROUTE_KEY", "")]


KEYS = _keys()
CODE = re.compile(r'"code": ?"([a-z_]+)"')
runners.HEARTBEAT_LIVENESS = 60  # seconds; three, and a busy machine loses all its workers
runners.WORKER_REPORT_INTERVAL = 1.0  # each report tells how far a worker is; three seconds would be added to every run


class Watch:
    """What the users of this process have seen, and when the run is."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.began = 0.0
        """When the first user asked, 0 before: how long it takes until users are there is not part of the run."""
        self.open = 0
        self.have_asked = 0

    @property
    def counts_from(self) -> float:
        return self.began + SCENARIO.warmup_s

    @property
    def ends(self) -> float:
        """From then on nobody asks anew."""
        return self.began + SCENARIO.seconds

    def is_over(self, users: int) -> bool:
        """Whether the end has come, each user has asked, and nothing is under way."""
        return self.began > 0 and time.time() >= self.ends and self.open == 0 and self.have_asked >= users

    def take(self) -> Tally:
        """What is new since it was last taken."""
        taken, self.tally = self.tally, Tally()
        return taken


class Workers:
    """In the master: what its workers have told."""

    def __init__(self) -> None:
        self.total = Tally()
        self.began: dict[str, float] = {}
        self.ended: set[str] = set()
        """Those who have told that after the end nothing is under way."""

    def hear(self, name: str, told: dict[str, Any]) -> None:
        self.total.add(Tally.decode(told["tally"]))
        if told["began"]:
            self.began[name] = told["began"]
            WATCH.began = min(self.began.values())
        if told["is_over"]:
            self.ended.add(name)


WATCH, WORKERS = Watch(), Workers()


class Asker(FastHttpUser):
    """One user: asks, reads the answer as it comes, waits as the scenario says, and asks again."""

    abstract = True
    host = os.environ.get("OMNIROUTE_URL", "http://127.0.0.1:20128")
    connection_timeout, network_timeout = WAITS_S
    part: ClassVar[Part]
    questions: ClassVar[list[Question]]
    turn = 0
    has_asked = False

    @task
    def ask(self) -> None:
        if self.has_asked and time.time() >= WATCH.ends:
            time.sleep(IDLE_S)
            return
        WATCH.began = WATCH.began or time.time()
        WATCH.have_asked += not self.has_asked
        self.has_asked = True
        question = self.questions[self.turn]
        self.turn = (self.turn + 1) % self.part.turns
        is_wrong = random.random() < SCENARIO.keys.wrong_share
        headers = {
            "Authorization": f"Bearer {WRONG_KEY if is_wrong else random.choice(KEYS)}",
            "Content-Type": "application/json",
            "anthropic-version": "2023-06-01",
        }
        self.began_at, self.began = time.time(), time.perf_counter()
        WATCH.open += 1
        try:
            self._ask(question, headers)
        finally:
            WATCH.open -= 1

    def _ask(self, question: Question, headers: dict[str, str]) -> None:
        with self.client.post(
            question.path, data=question.body, headers=headers, name=self.part.name, catch_response=True, stream=True
        ) as answer:
            answer.request_meta["request_type"] = "headers"
            try:
                problem = self._hear(answer)
            except (OSError, ValueError, HTTPParseError) as error:
                problem = f"{type(error).__name__}: {error}"
            if problem:
                self._failed(problem)
                answer.failure(problem)
            else:
                answer.success()

    def _hear(self, answer: ResponseContextManager) -> str:
        """Read the answer to its end; what is wrong with it, or an empty text."""
        status = answer.status_code
        if status == 200 and self.part.is_streamed:
            return self._hear_stream(answer)
        text = (answer.content or b"").decode("utf-8", "replace") if status else ""
        if status == 200:
            if not is_answer(self.part.dialect, text):
                return "no answer in the body"
            return self._answered()
        if status in SCENARIO.refusals:
            if status in (429, 503) and not answer.headers.get("retry-after"):
                WATCH.tally.without_retry_after += 1
            return self._tell(f"refused {status}", REFUSED)
        if not status:
            return f"no answer: {answer.error}"
        code = CODE.search(text)
        return f"status {status}: {code[1] if code else text[:100]}"

    def _hear_stream(self, answer: ResponseContextManager) -> str:
        has_first = has_ended = False
        number, last, gap = 0, self.began, 0.0
        for data in _events(answer, self.part.dialect):
            now = time.perf_counter()
            number += 1
            if has_first:
                gap = max(gap, now - last)
                has_ended = has_ended or is_end(self.part.dialect, data)
            elif has_token(self.part.dialect, data):
                has_first = True
                self._tell("first token")
            last = now
        if not (has_first and has_ended):
            return f"the stream ended {'without its end' if has_first else 'before its first token'}"
        if self._is_timed():
            WATCH.tally.note(self.part.name, "longest gap", gap)
        if self._is_counted():
            WATCH.tally.count("events", time.time(), number)
        return self._answered()

    def _answered(self) -> str:
        return self._tell("total", ANSWERED)

    def _failed(self, problem: str) -> None:
        self._tell("failed", FAILED)
        if self._is_counted():
            WATCH.tally.fail(problem)

    def _tell(self, measure: str, how: str = "") -> str:
        """Count it, and tell locust's own statistics, which its web page and its HTML report show."""
        took = time.perf_counter() - self.began
        if self._is_timed():
            WATCH.tally.note(self.part.name, measure, took)
        if how and self._is_counted():
            WATCH.tally.count(how, time.time())
        if how != FAILED:  # locust hears of those by itself
            self.environment.events.request.fire(
                request_type=measure,
                name=self.part.name,
                response_time=took * 1000,
                response_length=0,
                exception=None,
                context={},
            )
        return ""

    def _is_timed(self) -> bool:
        """Whether it began after the warm-up."""
        return self.began_at >= WATCH.counts_from

    def _is_counted(self) -> bool:
        """Whether it ends after the warm-up: a rate without what began before it would lack a stream's length of answers."""
        return time.time() >= WATCH.counts_from


def _events(answer: ResponseContextManager, dialect: str) -> Iterator[str]:
    # Event by event: a read of N bytes would wait until N bytes have come, and hide when the first token did.
    separator = b"\r\n\r\n" if dialect == "gemini" else b"\n\n"
    while event := answer.stream.readline(sep=separator):
        for line in bytes(event).split(b"\n"):
            if line.startswith(b"data:"):
                yield line[5:].strip().decode("utf-8", "replace")


def _wait(arrival: Arrival) -> Any:
    match arrival.kind:
        case "think":
            return between(*arrival.seconds)
        case "pace":
            return constant_pacing(arrival.seconds[0])
    return lambda _user: random.expovariate(1 / arrival.seconds[0])


def _user_class(part: Part) -> type[Asker]:
    members = {
        "part": part,
        "questions": [ask(part, MODEL, turn) for turn in range(part.turns)],
        "weight": part.weight,
        "wait_time": _wait(SCENARIO.arrival),
        "__module__": __name__,
    }
    return type("".join(word.capitalize() for word in part.name.replace(",", " ").split()), (Asker,), members)


globals().update({one.__name__: one for one in map(_user_class, SCENARIO.mix)})  # where locust looks for them


class Stages(LoadTestShape):
    """The stages of the scenario, one after another; then nobody asks anew, and what is under way may end."""

    def tick(self) -> tuple[int, float] | None:
        now = time.time()
        left = now - WATCH.began if WATCH.began else 0.0
        for stage in SCENARIO.stages:
            if left < stage.seconds:
                return stage.users, stage.spawn_per_s
            left -= stage.seconds
        if self._is_quiet() or now > WATCH.ends + DRAIN_S:
            return None
        return SCENARIO.stages[-1].users, SCENARIO.stages[-1].spawn_per_s

    def _is_quiet(self) -> bool:
        if isinstance(self.runner, MasterRunner):
            return len(WORKERS.ended) >= self.runner.worker_count
        return WATCH.is_over(self.get_current_user_count())


@events.init.add_listener
def know_runner(environment: Environment, **_: Any) -> None:
    """What a worker tells its master each second."""

    def tell_master(data: dict[str, Any], **_: Any) -> None:
        is_over = WATCH.is_over(environment.runner.user_count if environment.runner else 0)
        data["load"] = {"began": WATCH.began, "is_over": is_over, "tally": WATCH.take().encode()}

    environment.events.report_to_master.add_listener(tell_master)


@events.worker_report.add_listener
def hear_worker(client_id: str, data: dict[str, Any], **_: Any) -> None:
    if "load" in data:
        WORKERS.hear(client_id, data["load"])


@events.quitting.add_listener
def write_report(environment: Environment, **_: Any) -> None:
    """Print the report, and write it to `OMNIROUTE_LOAD_REPORT` as JSON."""
    runner = environment.runner
    if isinstance(runner, WorkerRunner) or not WATCH.began:
        return
    is_master = isinstance(runner, MasterRunner)
    tally = WORKERS.total if is_master else WATCH.take()
    about = {
        "url": Asker.host,
        "model": MODEL,
        "keys": len(KEYS),
        "processes": len(WORKERS.began) if is_master else 1,
    }
    found = report(SCENARIO, tally, WATCH.began, min(WATCH.ends, time.time()), about)
    print(markdown(found))
    if path := os.environ.get("OMNIROUTE_LOAD_REPORT"):
        Path(path).write_text(json.dumps(found, indent=1))
    if found["missed"]:
        environment.process_exit_code = 1
