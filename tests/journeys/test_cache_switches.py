"""Whose requests the cache answers, and for how long a name's answers are its own: through the started product."""

import copy
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.support.product import wait_for
from tests.support.real_gateway import KEY, NODE_KEY, RealGateway, running_gateway

pytestmark = pytest.mark.process

WANTS_KEY, REFUSES_KEY, NO_LOG_KEY = "sk-or-switch-key-wants", "sk-or-switch-key-refuses", "sk-or-switch-key-no-log"
TEAM_KEYS = ("sk-or-switch-key-team-1", "sk-or-switch-key-team-2")
TAKEN_UP_S = 1.0


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    with running_gateway(tmp_path_factory.mktemp("switches")) as gateway:
        configure(gateway, _furnish)
        yield gateway


@pytest.fixture(autouse=True)
def as_delivered(gateway: RealGateway) -> Iterator[None]:
    yield
    gateway.fake.plan("ok", key=NODE_KEY)
    gateway.admin.post("/api/resilience/reset", json={})


def _furnish(config: dict[str, Any]) -> None:
    config["keys"] += [
        {"name": "wants", "secret": WANTS_KEY, "cache": "on"},
        {"name": "refuses", "secret": REFUSES_KEY, "cache": "off"},
        {"name": "no-log", "secret": NO_LOG_KEY, "no_log": True, "cache": "on", "cache_scope": "team"},
        *({"name": f"team-{at}", "secret": secret, "cache_scope": "team"} for at, secret in enumerate(TEAM_KEYS)),
    ]
    config["combos"] += [
        {"name": "kept", "models": ["local/m1"], "config": {"cache": True}},
        {"name": "fresh", "models": ["local/m1"], "config": {"cache": False}},
        {"name": "moving", "models": ["local/m1"]},
    ]
    config["aliases"].append({"pattern": "nickname", "target": "local/m1"})
    config["fallback_chains"] = [{"name": "one/only-here", "models": ["local/m1"]}]


def configure(gateway: RealGateway, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the config file, and wait until every worker obeys it."""
    config = json.loads(gateway.config.read_text())
    before = copy.deepcopy(config)
    change(config)
    assert config != before
    revision = gateway.health()["publishedRevision"]
    gateway.reload(json.dumps(config))
    wait_for(lambda: gateway.health()["publishedRevision"] > revision, 10, lambda: str(gateway.health()["config"]))
    gateway.wait_taken_up()


def set_cache(gateway: RealGateway, **cache: Any) -> None:
    answer = gateway.admin.patch("/api/settings", json={"cache": cache})
    assert answer.status_code == 200, answer.text
    gateway.wait_taken_up()


@pytest.fixture
def opt_in(gateway: RealGateway) -> Iterator[None]:
    set_cache(gateway, mode="opt-in")
    yield
    set_cache(gateway, mode="on")


def ask(gateway: RealGateway, text: str, *, key: str = KEY, model: str = "local/m1", **fields: Any) -> httpx.Response:
    messages = [{"role": "user", "content": text}]
    return gateway.chat(model, key=key, messages=messages, **{"temperature": 0, **fields})


def found(answer: httpx.Response) -> str:
    """`HIT`, `MISS`, or nothing for a request that the cache had no part in."""
    assert answer.status_code == 200, answer.text
    return answer.headers.get("x-omniroute-cache", "")


def twice(gateway: RealGateway, text: str, **how: Any) -> str:
    ask(gateway, text, **how)
    return found(ask(gateway, text, **how))


def test_as_delivered_only_a_request_that_writes_temperature_0_is_answered_from_the_cache(gateway: RealGateway) -> None:
    assert gateway.admin.get("/api/settings").json()["cache"]["mode"] == "on"
    assert twice(gateway, "as delivered") == "HIT"
    assert twice(gateway, "as delivered, written otherwise", temperature=-0.0) == "HIT"
    for unsaid in ({"temperature": None}, {"temperature": 0.01}, {"temperature": 1}):
        assert twice(gateway, "as delivered", **unsaid) == ""


def test_only_who_asks_for_it_is_answered_from_a_cache_that_is_opt_in(gateway: RealGateway, opt_in: None) -> None:
    assert twice(gateway, "opt-in") == ""
    assert twice(gateway, "opt-in", key=WANTS_KEY) == "HIT"
    assert twice(gateway, "opt-in", model="kept") == "HIT"
    assert twice(gateway, "opt-in", model="kept", key=REFUSES_KEY) == ""


def test_a_key_and_a_combo_can_do_without_the_cache_and_the_keys_word_counts_first(gateway: RealGateway) -> None:
    assert twice(gateway, "done without", key=REFUSES_KEY) == ""
    assert twice(gateway, "done without", model="fresh") == ""
    assert twice(gateway, "done without", model="fresh", key=WANTS_KEY) == "HIT"


def test_keys_of_one_scope_share_answers_and_nobody_else_has_a_part_in_them(gateway: RealGateway) -> None:
    assert found(ask(gateway, "of the team", key=TEAM_KEYS[0])) == "MISS"
    assert found(ask(gateway, "of the team", key=TEAM_KEYS[1])) == "HIT"
    assert found(ask(gateway, "of the team", key=KEY)) == "MISS"


def test_a_key_that_is_not_logged_neither_gets_kept_answers_nor_leaves_any(gateway: RealGateway) -> None:
    assert twice(gateway, "of the team, logged", key=TEAM_KEYS[0]) == "HIT"
    mark = gateway.mark
    assert found(ask(gateway, "of the team, logged", key=NO_LOG_KEY)) == ""
    assert twice(gateway, "of the team, not logged", key=NO_LOG_KEY) == ""
    assert len(gateway.seen(mark)) == 3
    assert found(ask(gateway, "of the team, not logged", key=TEAM_KEYS[0])) == "MISS"


REQUEST: dict[str, Any] = {
    "model": "local/m1", "temperature": 0, "max_tokens": 50, "seed": 7,
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What of it?"}],
    "tools": [{"type": "function", "function": {
        "name": "look", "description": "Look.", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}}],
    "tool_choice": "auto",
    "response_format": {"type": "json_schema", "json_schema": {"name": "shape", "schema": {"type": "object"}}},
}  # fmt: skip
_CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "model": lambda body: body.update(model="local/m2"),
    "system": lambda body: body["messages"][0].update(content="Be brief!"),
    "turn": lambda body: body["messages"][1].update(content="What of it??"),
    "turns": lambda body: body["messages"].append({"role": "user", "content": "Well?"}),
    "tool-name": lambda body: body["tools"][0]["function"].update(name="look2"),
    "tool-description": lambda body: body["tools"][0]["function"].update(description="Look!"),
    "tool-schema": lambda body: body["tools"][0]["function"]["parameters"]["properties"]["at"].update(type="integer"),
    "no-tools": lambda body: [body.pop(name) for name in ("tools", "tool_choice")],
    "tool-choice": lambda body: body.update(tool_choice="none"),
    "schema": lambda body: body["response_format"]["json_schema"]["schema"].update(additionalProperties=False),
    "max-tokens": lambda body: body.update(max_tokens=51),
    "seed": lambda body: body.update(seed=8),
    "top-p": lambda body: body.update(top_p=0.5),
    "stop": lambda body: body.update(stop=["END"]),
    "unknown": lambda body: body.update(nobody_knows=1),
}  # fmt: skip


@pytest.mark.parametrize("name", _CHANGES)
def test_any_change_of_a_request_and_any_other_key_is_a_miss(gateway: RealGateway, name: str) -> None:
    original = {**REQUEST, "user": name}  # each with answers of its own
    changed = copy.deepcopy(original)
    _CHANGES[name](changed)

    def sent(body: dict[str, Any], key: str) -> str:
        return found(gateway.chat(key=key, **body))

    assert [sent(original, KEY), sent(original, KEY)] == ["MISS", "HIT"]
    assert sent(changed, KEY) == "MISS"
    assert [sent(original, WANTS_KEY), sent(changed, WANTS_KEY)] == ["MISS", "MISS"]
    assert [sent(original, KEY), sent(changed, KEY)] == ["HIT", "HIT"]


def _move_combo(config: dict[str, Any]) -> None:
    config["combos"][-1]["models"] = ["local/m2"]


def _move_alias(config: dict[str, Any]) -> None:
    config["aliases"][-1]["target"] = "local/m2"


def _lengthen_chain(config: dict[str, Any]) -> None:
    config["fallback_chains"][0]["models"].append("local/m2")


@pytest.mark.parametrize(
    ("name", "change"),
    [("moving", _move_combo), ("nickname", _move_alias), ("one/only-here", _lengthen_chain)],
    ids=["combo", "alias", "chain"],
)
def test_a_name_that_comes_to_stand_for_something_else_gives_no_answer_of_before(
    gateway: RealGateway, name: str, change: Callable[[dict[str, Any]], None]
) -> None:
    if name == "one/only-here":
        configure(gateway, lambda config: config["connections"][3]["models"].append("only-here"))
    assert twice(gateway, "what the name stands for", model=name) == "HIT"
    assert twice(gateway, "what the name stands for", model="local/m1") == "HIT"
    configure(gateway, change)
    assert found(ask(gateway, "what the name stands for", model=name)) == "MISS"
    assert found(ask(gateway, "what the name stands for", model=name)) == "HIT"
    assert found(ask(gateway, "what the name stands for", model="local/m1")) == "HIT", "it stands for what it stood for"


def test_a_kept_answer_is_given_while_nobody_could_be_asked(gateway: RealGateway) -> None:
    rules = gateway.admin.patch("/api/resilience", json={"rules": {"local": {"auth_s": 60, "auth_max_s": 60}}})
    assert rules.status_code == 200, rules.text
    gateway.wait_taken_up()
    assert twice(gateway, "before it rested") == "HIT"
    gateway.fake.plan("status:401", key=NODE_KEY)
    wait_for(lambda: ask(gateway, "something else").status_code == 503, 10)
    time.sleep(TAKEN_UP_S)  # the other worker knows it too
    request_id, mark = gateway.new_id(), gateway.mark
    kept = ask(gateway, "before it rested", headers={"x-request-id": request_id, "x-omniroute-explain": "true"})
    assert (found(kept), kept.headers["x-omniroute-attempts"]) == ("HIT", "0")
    assert ask(gateway, "before it rested", temperature=0.5).status_code == 503
    assert ask(gateway, "before it rested", stream=True).status_code == 200
    assert ask(gateway, "never asked").status_code == 503
    assert gateway.seen(mark) == []
    row = gateway.row(request_id)
    assert (row["cache"], row["status"], row["cost_nano_usd"]) == ("hit", 200, 0)


def test_the_health_page_tells_how_the_cache_store_is_and_is_well_without_it(gateway: RealGateway) -> None:
    wait_for(lambda: gateway.health()["cacheStore"]["up"], 10)
    assert gateway.health()["cacheStore"]["maxBytes"] == 64 * 1024 * 1024
    status = gateway.health()["status"]
    dead = gateway.product.kill("cache")
    wait_for(lambda: gateway.product.child("cache") not in (0, dead), 10)
    assert gateway.health()["status"] == status
