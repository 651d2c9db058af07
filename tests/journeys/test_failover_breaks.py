"""Streams that break in odd places, a provider that flaps, and one that fails wholly beside others that do not: real processes,
callers of four dialects.
"""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.journeys.failover.hear import CALLERS, FINISHED, Heard, ask
from tests.support.fake_dialects.scenarios import TEXT
from tests.support.product import wait_for
from tests.support.real_gateway import KEY, RealGateway, content_of, final_error, running_gateway

pytestmark = pytest.mark.process

SHORT = {"openai_chat": "chat", "openai_responses": "resp", "anthropic_messages": "anth", "gemini": "gem"}
MERELY_TERMINATED = ("openai_chat", "anthropic_messages")
"""Dialects that tell why the answer is over before their last event."""
LIMITS = {"connect_s": 2, "headers_s": 30, "first_event_s": 30, "first_event_reasoning_s": 60, "gap_s": 1}
OPEN_S, OPEN_MAX_S, FAILURES = 0.5, 1.0, 5
"""A tenth and less of what is set by default: the flap is as much shorter."""
SILENT_REQUESTS, GOOD_REQUESTS = 40, 100


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    nodes = {name + more: dialect for dialect, name in SHORT.items() for more in ("", "-flap", "-back", "-failing")}
    with running_gateway(
        tmp_path_factory.mktemp("breaks"), timeouts=LIMITS, early_headers_s=60.0, nodes=nodes
    ) as running:
        config = json.loads(running.config.read_text())
        config["settings"]["resilience"] = {"open_s": OPEN_S, "open_max_s": OPEN_MAX_S, "ramp_s": 0.2, "window_s": 10}
        config["settings"]["retry_budget"] = {"share": 100}
        config["combos"] += [
            {"name": f"{name}-pair", "models": [f"{name}-flap/m1", f"{name}-back/m2"]} for name in SHORT.values()
        ]
        for name in SHORT.values():
            running.fake.plan("text", key=f"sk-node-{name}-flap")
            running.fake.plan("text", key=f"sk-node-{name}-back")
        running.reload(json.dumps(config))
        wait_for(lambda: running.chat("chat-pair").status_code == 200, 10, lambda: running.product.errors)
        yield running


def hear(gateway: RealGateway, caller: str, model: str, provider: str = "") -> Heard:
    """A stream, of a provider of the caller's own dialect if none is named."""
    node = SHORT[provider or caller]
    return ask(gateway.client, caller, f"{node}/{model}", gateway.new_id(), streams=True)


@pytest.mark.parametrize("caller", CALLERS)
def test_a_cut_inside_an_event_that_is_too_long_to_hold_is_still_told(gateway: RealGateway, caller: str) -> None:
    """The beginning of the event is on its way already: the error must not become the rest of its line."""
    heard = hear(gateway, caller, "huge")
    assert (heard.text, heard.code) == ("".join(TEXT[:2]), "upstream_cut")
    assert (heard.is_terminated, heard.after_error) == (False, 0)
    assert len(heard.body) > 1 << 20


@pytest.mark.parametrize("provider", CALLERS)
@pytest.mark.parametrize("caller", CALLERS)
def test_an_error_in_mid_answer_does_not_give_the_credential_away(
    gateway: RealGateway, caller: str, provider: str
) -> None:
    heard = hear(gateway, caller, "quoting", provider)
    assert heard.code
    assert heard.text == "".join(TEXT[:2])
    assert "overloaded while serving ***" in heard.message
    assert f"sk-node-{SHORT[provider]}".encode() not in heard.body


@pytest.mark.parametrize("ending", ["", "~reset", "~stall"])
@pytest.mark.parametrize("provider", MERELY_TERMINATED)
@pytest.mark.parametrize("caller", CALLERS)
def test_an_answer_that_lacks_its_terminator_alone_is_whole(
    gateway: RealGateway, caller: str, provider: str, ending: str
) -> None:
    heard = hear(gateway, caller, f"unterminated{ending}", provider)
    assert (heard.text, heard.finish, heard.code) == ("".join(TEXT), FINISHED[caller], "")
    assert heard.is_terminated
    last = {"openai_chat": b"data: [DONE]", "anthropic_messages": b"event: message_stop"}
    assert heard.body.count(last.get(caller, b"")) == 1 or caller not in last


@pytest.mark.parametrize("ending", ["", "~reset", "~stall"])
@pytest.mark.parametrize("caller", ["openai_responses", "gemini"])
def test_where_the_last_event_tells_that_the_answer_is_whole_its_absence_is_a_cut(
    gateway: RealGateway, caller: str, ending: str
) -> None:
    heard = hear(gateway, caller, f"unterminated{ending}")
    assert (heard.text, heard.finish, heard.code) == ("".join(TEXT), "", "upstream_cut")
    assert not heard.is_terminated


def test_of_several_answers_at_once_one_that_is_over_does_not_make_the_others_whole(gateway: RealGateway) -> None:
    answer = gateway.chat("chat/no-done", stream=True, n=2)
    assert content_of(answer.content).startswith("Hello")
    assert final_error(answer.content)["code"] == "upstream_cut"


class Asker:
    """One caller that asks again and again on its own connection."""

    def __init__(self, gateway: RealGateway, caller: str) -> None:
        self.heard: list[Heard] = []
        self._gateway = gateway
        self._caller = caller
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with httpx.Client(base_url=self._gateway.url, headers={"authorization": f"Bearer {KEY}"}, timeout=30) as client:
            while not self._is_over.is_set():
                name = f"{SHORT[self._caller]}-pair"
                self.heard.append(ask(client, self._caller, name, self._gateway.new_id(), streams=True))
                time.sleep(0.02)

    def stop(self) -> None:
        self._is_over.set()
        self._thread.join(30)


def test_a_provider_that_flaps_costs_no_request_gets_few_and_is_used_again(gateway: RealGateway) -> None:
    fake, mark = gateway.fake, gateway.mark
    askers = {caller: Asker(gateway, caller) for caller in CALLERS}
    keys = {caller: f"sk-node-{name}-flap" for caller, name in SHORT.items()}

    def asked(caller: str) -> int:
        return sum(_key(record.headers) == keys[caller] for record in gateway.seen(mark))

    try:
        wait_for(lambda: all(asked(caller) >= 3 for caller in CALLERS), 20)
        for key in keys.values():
            fake.plan("refuse:503", key=key)
        before = {caller: asked(caller) for caller in CALLERS}
        began = time.monotonic()
        wait_for(lambda: all(_rests_again(gateway, name) for name in SHORT.values()), 30)
        lasted_s = time.monotonic() - began
        for caller in CALLERS:
            most = FAILURES + lasted_s / OPEN_S + 2
            assert asked(caller) - before[caller] <= most, "five open the breaker, then one probe at a time"
        for key in keys.values():
            fake.plan("text", key=key)
        for caller in CALLERS:
            wait_for(lambda c=caller: _answered_by_first(askers[c].heard[-5:], SHORT[c]), 30)
    finally:
        for asker in askers.values():
            asker.stop()
    for asker in askers.values():
        assert len(asker.heard) > 10
        assert {(heard.status, heard.text, heard.code) for heard in asker.heard} == {(200, "".join(TEXT), "")}


def _key(headers: list[tuple[str, str]]) -> str:
    found = {name.lower(): value for name, value in headers}
    return found.get("authorization", "")[7:] or found.get("x-api-key") or found.get("x-goog-api-key", "")


def _rests_again(gateway: RealGateway, name: str) -> bool:
    """A probe has failed: the breaker opened a second time at least."""
    connections = gateway.admin.get("/api/providers").json()["connections"]
    mine = next(one["id"] for one in connections if one["name"] == f"{name}-flap")
    breakers = gateway.admin.get("/api/resilience").json()["breakers"]
    return any(one["name"] == f"{mine}/m1" and one["failures"] >= 3 for one in breakers)


def _answered_by_first(heard: list[Heard], name: str) -> bool:
    return len(heard) == 5 and all(one.headers["x-omniroute-provider"] == f"{name}-flap" for one in heard)


@pytest.mark.parametrize("caller", CALLERS)
def test_a_provider_that_fails_wholly_is_not_felt_at_the_others(gateway: RealGateway, caller: str) -> None:
    """Forty requests hang at one provider for longer than the test lasts, others fail at once, and those that go elsewhere
    are served by one attempt each, at the first asking, without waiting for any of them.
    """
    name, mark = SHORT[caller], gateway.mark
    hanging = [gateway.raw_chat("chat/silent", stream=True) for _ in range(SILENT_REQUESTS)]
    try:
        wait_for(lambda: _open_at(gateway, mark, "silent") == SILENT_REQUESTS, 10)
        with ThreadPoolExecutor(4) as pool:
            failing = pool.submit(lambda: [gateway.chat("chat-failing/refuse~500").status_code for _ in range(8)])
            good = list(
                pool.map(
                    lambda _: ask(gateway.client, caller, f"{name}-back/good", gateway.new_id(), streams=True),
                    range(GOOD_REQUESTS),
                )
            )
            assert set(failing.result()) <= {502, 503}
        assert {(heard.status, heard.text, heard.code) for heard in good} == {(200, "".join(TEXT), "")}
        assert {heard.headers["x-omniroute-attempts"] for heard in good} == {"1"}
        served = [record for record in gateway.seen(mark) if _key(record.headers) == f"sk-node-{name}-back"]
        assert len(served) == GOOD_REQUESTS
        assert _open_at(gateway, mark, "silent") == SILENT_REQUESTS, "nobody waited for these to end"
    finally:
        for sock in hanging:
            sock.close()
    wait_for(lambda: _open_at(gateway, mark, "silent") == 0, 10)


def _open_at(gateway: RealGateway, mark: int, behaviour: str) -> int:
    return sum(
        record.behaviour == behaviour and record.finished_at is None and record.closed_at is None
        for record in gateway.seen(mark)
    )
