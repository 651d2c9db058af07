"""Scenarios of load are data: those that are there can be read, and a mistake in one is told with its place."""

import pytest

from loadtests.scenario import DIALECTS, ScenarioError, load_scenario, names, scenario_of

GOOD = """
says = "x"
[[stages]]
seconds = 10
users = 5
[[mix]]
name = "chat"
"""


def written(folder, text):
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


def test_there_is_a_scenario_for_each_of_the_five_ways_of_load():
    assert names() == ["agents", "chat-mix", "key-storm", "overload", "overload-room", "overload-streams", "streaming"]


@pytest.mark.parametrize("name", names())
def test_every_scenario_can_be_read_and_judges_something(name):
    scenario = load_scenario(name)
    assert scenario.says
    assert scenario.thresholds.failed_share <= 0.01
    assert (scenario.overload is None) == bool(scenario.stages)


def test_the_scenarios_together_speak_every_dialect():
    assert {part.dialect for name in names() for part in load_scenario(name).mix} == set(DIALECTS)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD.replace("users = 5", "user = 5"), "scenario.stages[0].user: there is no such field"),
        (GOOD.replace("users = 5", 'users = "five"'), "scenario.stages[0].users: int is wanted"),
        (GOOD.replace("users = 5", "users = true"), "scenario.stages[0].users: int is wanted"),
        (GOOD.replace("users = 5", "users = -5"), "a number from 0 on"),
        (GOOD.replace("users = 5", "users = 0"), "above 0"),
        (GOOD.replace("seconds = 10", ""), "scenario.stages[0].seconds: is missing"),
        (GOOD.replace('name = "chat"', ""), "scenario.mix[0].name: is missing"),
        (GOOD + 'dialect = "morse"', "scenario.mix[0].dialect: one of openai_chat"),
        (GOOD + "turns = 3", "a conversation needs tools"),
        (GOOD + '[[mix]]\nname = "chat"', "two are named alike"),
        (GOOD + '[arrival]\nkind = "pace"\nseconds = [1.0, 2.0]', "arrival.seconds"),
        (GOOD + "[keys]\nwrong_share = 0.5", "401 belongs to refusals"),
        ("warmup_s = 10\n" + GOOD, "warmup_s"),
        ('says = "x"\n[[mix]]\nname = "a"', "stages: a run needs at least one"),
        ("says = ", "Invalid value"),
    ],
    ids=[
        "unknown", "text", "truth", "negative", "nobody", "no seconds", "no name", "dialect", "turns", "alike", "arrival", "wrong keys",
        "warm-up", "no stages", "no toml",
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(tmp_path, text, told):
    with pytest.raises(ScenarioError, match="mine") as caught:
        load_scenario(written(tmp_path, text))
    assert told in str(caught.value)


def test_an_unknown_name_is_answered_with_those_there_are():
    with pytest.raises(ScenarioError, match="there is no scenario nothing; there are agents, chat-mix"):
        load_scenario("nothing")


def test_a_scenario_is_tried_with_fewer_users_and_streams_no_longer_than_the_try():
    tried = scenario_of({"OMNIROUTE_SCENARIO": "streaming", "OMNIROUTE_LOAD_USERS": "3", "OMNIROUTE_LOAD_SECONDS": "2"})
    assert [(stage.users, stage.seconds) for stage in tried.stages] == [(3, 2.0)]
    assert all(part.answer.events * part.answer.gap_ms <= 2000 for part in tried.mix)
    assert [part.name for part in tried.mix] == [part.name for part in load_scenario("streaming").mix]


@pytest.mark.parametrize(
    ("more", "stage"),
    [({"OMNIROUTE_LOAD_USERS": "3"}, (3, 60.0)), ({"OMNIROUTE_LOAD_USERS": "", "OMNIROUTE_LOAD_SECONDS": "20"}, (120, 20.0))],
    ids=["users alone", "seconds alone"],
)  # fmt: skip
def test_what_a_try_does_not_say_is_the_scenarios(more, stage):
    tried = scenario_of({"OMNIROUTE_SCENARIO": "streaming", **more})
    assert [(one.users, one.seconds) for one in tried.stages] == [stage]


@pytest.mark.parametrize("seconds", ["a", "-1"])
def test_a_try_that_is_no_number_is_refused(seconds):
    with pytest.raises(ScenarioError, match=r"are numbers|above 0"):
        scenario_of({"OMNIROUTE_SCENARIO": "streaming", "OMNIROUTE_LOAD_SECONDS": seconds})


def test_overload_is_tried_for_as_long_as_is_said():
    tried = scenario_of({"OMNIROUTE_SCENARIO": "overload", "OMNIROUTE_LOAD_SECONDS": "3"})
    assert tried.overload.seconds == 3.0
    assert tried.stages == ()
