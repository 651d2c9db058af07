"""A plan is a bounded list of targets in the strategy's order; `chance` is all that varies."""

import itertools
import time
from collections import Counter
from typing import Any

import pytest

from gateway.config.snapshot import Price, ProviderStrategy, RoutingSettings
from gateway.domain.errors import BadRequest, Forbidden, NotFound, Unavailable
from gateway.domain.target import target_id
from gateway.providers.spec import ModelSpec, ProviderSpec
from gateway.routing.affinity import Session, session_of_name
from gateway.routing.catalog import Catalog
from gateway.routing.eligible import Needs
from gateway.routing.offers import TIERS
from gateway.routing.plan import MAX_TARGETS, Plan, lay_plan, make_plan
from gateway.routing.resolve import ProviderModel, Resolution, resolve
from gateway.routing.speed import Speed
from gateway.routing.strategies import ACCOUNT_STRATEGIES
from gateway.routing.view import EMPTY_VIEW, Beliefs, View
from tests.support.catalogs import catalog, combo, connection


def test_a_models_connections_follow_each_other_by_priority() -> None:
    tables = catalog(
        connection("local", "second", priority=2),
        connection("local", "first", priority=1),
        connection("local", "without", priority=0, models=["other-model"]),
        connection("other", "only", models=["x"]),
        combos=[combo("c", "other/x", "local/m")],
    )
    plan = make_plan(resolve("c", tables), tables, 0.0)
    assert [(target.connection.name, target.model, target.combo) for target in plan] == [
        ("only", "x", "c"), ("first", "m", "c"), ("second", "m", "c"),
    ]  # fmt: skip


def test_a_plan_is_bounded() -> None:
    tables = catalog(*(connection(name=f"c{i:02}") for i in range(50)))
    plan = make_plan(resolve("local/m", tables), tables, 0.0)
    assert [target.connection.name for target in plan] == [f"c{i:02}" for i in range(MAX_TARGETS)]


def test_chance_decides_the_order_of_a_random_combo() -> None:
    tables = catalog(connection(), combos=[combo("c", "local/a", "local/b", strategy="random")])
    resolution = resolve("c", tables)
    firsts = {make_plan(resolution, tables, chance)[0].model for chance in (0.1, 0.9)}
    assert firsts == {"a", "b"}


def test_a_connection_that_has_gone_since_leaves_nothing_to_try() -> None:
    with pytest.raises(NotFound) as error:
        make_plan(Resolution((ProviderModel("gone", "m"),)), catalog(connection()), 0.0)
    assert error.value.code == "no_connection"


def names(plan: Plan) -> list[str]:
    return [f"{one.connection.provider}-{one.connection.name}/{one.model}" for one in plan.targets]


def dropped(plan: Plan) -> dict[str, str]:
    return {one.name: one.reason for one in plan.dropped}


def plan_of(name: str, tables: Catalog, chance: float = 0.0, **more: Any) -> Plan:
    return lay_plan(resolve(name, tables), tables, chance, **more)


# -- room for every model ----------------------------------------------------------------------------------------------


def test_many_connections_of_the_first_model_leave_room_for_the_next_ones() -> None:
    tables = catalog(
        *(connection(provider, f"{i:02}") for provider in ("p", "q", "r") for i in range(20)),
        combos=[combo("c", "p/m", "q/m", "r/m")],
    )
    assert Counter(one.connection.provider for one in plan_of("c", tables).targets) == {"p": 6, "q": 1, "r": 1}


def test_of_ten_models_four_have_room() -> None:
    tables = catalog(
        *(connection(f"p{p}", f"{i:02}") for p in range(10) for i in range(20)),
        combos=[combo("c", *(f"p{p}/m" for p in range(10)))],
    )
    counts = Counter(one.connection.provider for one in plan_of("c", tables).targets)
    assert counts == {"p0": 4, "p1": 2, "p2": 1, "p3": 1}


def test_room_that_others_do_not_need_goes_back_to_the_first() -> None:
    tables = catalog(
        *(connection("p", f"{i:02}") for i in range(20)),
        connection("q", "only"),
        connection("r", "only"),
        combos=[combo("c", "p/m", "q/m", "r/m", "q/m", "r/m", "q/m")],
    )
    plan = plan_of("c", tables)
    assert len(plan.targets) == MAX_TARGETS
    assert len({(one.connection.id, one.model) for one in plan.targets}) == MAX_TARGETS, "none twice"


# -- what cannot -------------------------------------------------------------------------------------------------------


def able_catalog() -> Catalog:
    specs = [
        ProviderSpec(id="blind", name="b", base_url="https://b.test", models=(ModelSpec("m", 1000, 0, ("tools",)),)),
        ProviderSpec(id="short", name="s", base_url="https://s.test", models=(ModelSpec("m", 500, 0, ("vision",)),)),
    ]
    return catalog(
        connection("blind"), connection("short"), connection("open"),
        specs=specs, combos=[combo("c", "blind/m", "short/m", "open/m"), combo("known", "blind/m", "short/m")],
    )  # fmt: skip


def test_what_is_known_not_to_do_it_is_dropped_before_the_choice() -> None:
    plan = plan_of("c", able_catalog(), needs=Needs(vision=True, tokens=600))
    assert names(plan) == ["open-a/m"]
    assert dropped(plan) == {"blind/m": "vision", "short/m": "context"}


def test_a_request_that_no_target_can_do_is_told_what_they_cannot() -> None:
    with pytest.raises(BadRequest, match="answer by a schema") as caught:
        plan_of("known", able_catalog(), needs=Needs(structured=True))
    assert caught.value.code == "unsupported_by_target"
    with pytest.raises(BadRequest) as caught:
        plan_of("known", able_catalog(), needs=Needs(tokens=2000))
    assert caught.value.code == "context_length_exceeded"


def test_the_keys_models_are_chosen_before_the_plan_is_cut() -> None:
    tables = catalog(
        *(connection("p", f"{i:02}") for i in range(20)), connection("q"), combos=[combo("c", "p/m", "q/m")]
    )
    plan = plan_of("c", tables, allowed=lambda name: name == "q/m")
    assert (names(plan), dropped(plan)) == (["q-a/m"], {"p/m": "not_allowed"})
    with pytest.raises(Forbidden) as caught:
        plan_of("c", tables, allowed=lambda name: False)
    assert caught.value.code == "model_not_allowed"


# -- what rests --------------------------------------------------------------------------------------------------------


def three(**more: Any) -> Catalog:
    return catalog(*(connection("p", name) for name in "abc"), connection("q"), **more)


def test_what_rests_shortly_is_tried_last_and_what_rests_long_is_not() -> None:
    plan = plan_of("p/m", three(), view=Beliefs(rests={"p-a": 2.0, "p-b": 60.0}))
    assert (names(plan), plan.awake) == (["p-c/m", "p-a/m"], 1)
    assert dropped(plan) == {"p/m @b": "resting"}


def test_a_model_rests_at_one_connection_alone() -> None:
    view = Beliefs(rests={target_id("p-a", "m"): 60.0})
    assert names(plan_of("p/m", three(), view=view)) == ["p-b/m", "p-c/m"]
    assert names(plan_of("p/other", three(), view=view))[0] == "p-a/other"


def test_when_all_rest_long_the_caller_learns_when_to_come_back() -> None:
    with pytest.raises(Unavailable) as caught:
        plan_of("q/m", three(), view=Beliefs(rests={"q-a": 42.0}))
    assert (caught.value.code, caught.value.retry_after_s) == ("all_resting", 42.0)


def test_a_model_that_rests_wholly_takes_no_part_in_the_draw() -> None:
    tables = three(combos=[combo("c", ("q/m", 90), ("p/m", 5), ("p/n", 5), strategy="weighted")])
    view = Beliefs(rests={"q-a": 3.0})
    firsts = Counter(plan_of("c", tables, step / 1000, view=view).targets[0].model for step in range(1000))
    assert firsts["m"] == pytest.approx(500, abs=5)
    assert plan_of("c", tables, view=view).targets[-1].connection.provider == "q"


def test_turns_are_even_among_those_that_are_awake() -> None:
    tables, tickets = three(), itertools.count()
    picks = Counter(
        plan_of(
            "p/m", tables, view=Beliefs(rests={"p-b": 60.0}), tickets=lambda cursor, sticky: next(tickets),
            settings=RoutingSettings(account_strategy="round-robin", sticky_limit=1),
        ).targets[0].connection.name
        for _ in range(100)
    )  # fmt: skip
    assert picks == {"a": 50, "c": 50}


# -- connections -------------------------------------------------------------------------------------------------------


def shares(strategy: str, view: View = EMPTY_VIEW, count: int = 3000, **more: Any) -> Counter[str]:
    tables = catalog(*(connection("p", name, tier=tier) for name, tier in zip("abcd", TIERS, strict=True)), **more)
    settings = RoutingSettings(account_strategy=strategy, sticky_limit=3)  # type: ignore[arg-type]
    tickets = itertools.count()
    return Counter(
        plan_of("p/m", tables, step / count, settings=settings, view=view, tickets=lambda cursor, sticky: next(tickets))
        .targets[0]
        .connection.name
        for step in range(count)
    )


def test_connections_are_shared_as_their_strategy_says() -> None:
    assert shares("fill-first") == {"a": 3000}
    assert shares("round-robin") == {"a": 750, "b": 750, "c": 750, "d": 750}
    assert shares("random") == {name: pytest.approx(750, abs=3) for name in "abcd"}
    assert shares("least-used", Beliefs(used={"p-a": 3, "p-c": 1})).keys() == {"b", "d"}
    assert shares("cost-optimized") == {"d": 3000}  # free, then paid already, cheap, by the token
    speeds = {target_id(f"p-{name}", "m"): Speed(100.0 * (i + 1), 0.0, 0, 0.0) for i, name in enumerate("abcd")}
    p2c = shares("p2c", Beliefs(speeds=speeds))
    assert p2c["a"] > p2c["b"] > p2c["c"] > p2c["d"] == 0
    assert p2c["a"] == pytest.approx(1500, abs=60)


def test_a_combo_may_have_its_own_way_with_connections() -> None:
    tables = three(combos=[combo("c", "p/m", config={"account_strategy": "round-robin", "sticky_limit": 2})])
    tickets = itertools.count()
    firsts = [
        plan_of("c", tables, tickets=lambda cursor, sticky: next(tickets)).targets[0].connection.name for _ in range(7)
    ]
    assert "".join(firsts) == "aabbcca"


def test_a_provider_may_have_its_own_way_with_connections_but_a_combos_counts_more() -> None:
    own = {"p": ProviderStrategy("round-robin", 1), "other": ProviderStrategy("random")}
    settings = RoutingSettings(sticky_limit=5, provider_strategies=own)
    tables = three(combos=[combo("c", "p/m", config={"account_strategy": "fill-first"})])

    def firsts(name: str, settings: RoutingSettings) -> tuple[str, str]:
        tickets = itertools.count()
        plans = [plan_of(name, tables, settings=settings, tickets=lambda *_: next(tickets)) for _ in range(6)]
        return "".join(plan.targets[0].connection.name for plan in plans), plans[0].account_strategy

    assert firsts("p/m", settings) == ("abcabc", "round-robin")
    assert firsts("c", settings) == ("aaaaaa", "fill-first")
    unsaid = RoutingSettings(sticky_limit=2, provider_strategies={"p": ProviderStrategy("round-robin")})
    assert firsts("p/m", unsaid) == ("aabbcc", "round-robin")


def test_a_ticket_is_drawn_for_what_comes_first_alone() -> None:
    asked: list[tuple[str, int]] = []

    def ticket(cursor: str, sticky_limit: int) -> int:
        asked.append((cursor, sticky_limit))
        return 0

    settings = RoutingSettings(account_strategy="round-robin", sticky_limit=5)
    tables = catalog(
        *(connection(provider, name) for provider in "pq" for name in "ab"),
        combos=[combo("c", "p/m", "q/m", strategy="round-robin")],
    )
    plan_of("c", tables, settings=settings, tickets=ticket)
    assert [(cursor.rpartition(":")[0], sticky) for cursor, sticky in asked] == [("combo", 1), ("accounts:p", 5)]


# -- tiers, chains -----------------------------------------------------------------------------------------------------


def tiered(**config: Any) -> Catalog:
    return catalog(
        connection("p", "free", tier="free"), connection("p", "key"), connection("p", "sub", tier="subscription"),
        connection("q", "cheap", tier="cheap"), connection("q", "sub", tier="subscription"),
        combos=[combo("c", "p/m", "q/m", config=config)],
    )  # fmt: skip


def test_tiers_are_walked_from_what_is_paid_already_to_what_is_free() -> None:
    assert names(plan_of("c", tiered(tiers=True))) == ["p-sub/m", "q-sub/m", "p-key/m", "q-cheap/m", "p-free/m"]
    assert names(plan_of("c", tiered(tiers="free, subscription"))) == ["p-free/m", "p-sub/m", "q-sub/m"]


def test_what_is_known_to_cost_nothing_is_of_the_tier_free_where_others_pay_by_the_token() -> None:
    tables = catalog(
        connection("p", "token"),
        connection("p", "plan", tier="subscription"),
        combos=[combo("c", "p/dear", "p/gift", "p/nobody-knows", config={"tiers": "subscription,free"})],
        prices=[Price("p/gift", 0.0, 0.0), Price("p/dear", 0.0, 2.0)],
    )
    plan = plan_of("c", tables)
    assert [(one.connection.name, one.model) for one in plan.targets] == [
        ("plan", "dear"), ("plan", "gift"), ("plan", "nobody-knows"), ("token", "gift"),
    ]  # fmt: skip


def test_a_tier_whose_budget_is_spent_is_passed_over() -> None:
    plan = plan_of("c", tiered(tiers=True), view=Beliefs(spent_tiers={"subscription", "cheap"}))
    assert names(plan) == ["p-key/m", "p-free/m"]
    assert dropped(plan) == {"p/m": "tier_spent", "q/m": "tier_spent"}
    assert len(names(plan_of("c", tiered(), view=Beliefs(spent_tiers=set(TIERS))))) == 5, (
        "only where tiers are asked for"
    )
    with pytest.raises(Unavailable) as caught:
        plan_of("c", tiered(tiers=True), view=Beliefs(spent_tiers=set(TIERS)))
    assert caught.value.code == "tiers_spent"


def test_auto_tiered_walks_all_there_is() -> None:
    tables = catalog(
        connection("p", "key", models=["m"]),
        connection("q", "free", models=["n"], tier="free"),
        connection("r", "sub", models=["o"], tier="subscription"),
    )
    assert names(plan_of("auto/tiered", tables)) == ["r-sub/o", "p-key/m", "q-free/n"]


def test_chains_come_after_all_that_the_name_stands_for() -> None:
    tables = three(combos=[combo("c", "p/m", "p/n", strategy="random")], chains={"c": ["q/z", "p/z"]})
    for chance in (0.1, 0.9):
        tried = [one.model for one in plan_of("c", tables, chance).targets]
        assert tried.index("z") > max(tried.index("m"), tried.index("n"))
        assert "z" in tried[-3:]
    alone = plan_of("c", tables, view=Beliefs(rests={"p-a": 60.0, "p-b": 60.0, "p-c": 60.0}))
    assert names(alone) == ["q-a/z"]


# -- conversations -----------------------------------------------------------------------------------------------------

RANDOM = RoutingSettings(account_strategy="random")
SESSION = session_of_name("key", "one conversation")


def test_a_conversation_keeps_its_connection_until_that_rests() -> None:
    tables = three()
    homes = {plan_of("p/m", tables, step / 50, settings=RANDOM, session=SESSION).targets[0] for step in range(50)}
    assert len(homes) == 1
    home = homes.pop().connection
    moved = plan_of("p/m", tables, settings=RANDOM, session=SESSION, view=Beliefs(rests={home.id: 1.0}))
    assert moved.targets[0].connection is not home
    assert moved.targets[-1].connection is home


def test_a_conversation_is_weighed_once() -> None:
    tables = three(combos=[combo("c", ("p/m", 70), ("q/m", 30), strategy="weighted")])
    sessions = [session_of_name("key", str(step)) for step in range(2000)]
    firsts = [{plan_of("c", tables, chance, session=one).targets[0].model + plan_of("c", tables, chance, session=one)
               .targets[0].connection.provider for chance in (0.1, 0.5, 0.9)} for one in sessions]  # fmt: skip
    assert all(len(one) == 1 for one in firsts)
    assert Counter(one.pop() for one in firsts)["mp"] / 2000 == pytest.approx(0.7, abs=0.04)


@pytest.mark.parametrize(
    ("strategy", "config", "is_named", "keeps"),
    [
        ("random", {}, True, True),
        ("random", {}, False, False),
        ("random", {"affinity": True}, False, True),
        ("random", {"affinity": False}, True, False),
        ("round-robin", {}, True, False),
        ("round-robin", {"affinity": True}, True, True),
    ],
)
def test_a_conversation_is_kept_where_that_is_wanted(
    strategy: str, config: dict[str, bool], is_named: bool, keeps: bool
) -> None:
    tables = three(combos=[combo("c", "p/m", "p/n", "q/m", strategy=strategy, config=config)])
    session = Session(SESSION.key, is_named)
    tickets = itertools.count()
    plans = [
        plan_of("c", tables, step / 30, settings=RANDOM, session=session, tickets=lambda cursor, sticky: next(tickets))
        for step in range(30)
    ]
    assert {one.has_affinity for one in plans} == {keeps}
    assert (len({names(one)[0] for one in plans}) == 1) is keeps


# -- why ---------------------------------------------------------------------------------------------------------------


def test_a_plan_says_why() -> None:
    tables = three(
        combos=[combo("c", "p/m", "q/m", "p/n", strategy="cost-optimized")],
        prices=[Price("p/m", 5.0, 5.0), Price("q/m", 1.0, 1.0)],
    )
    plan = plan_of("c", tables, view=Beliefs(rests={"p-b": 60.0}))
    assert (plan.strategy, plan.account_strategy) == ("cost-optimized", "fill-first")
    assert dict(plan.scores) == {"p/m": 5.0, "q/m": 1.0}
    assert [one.model for one in plan.targets][:2] == ["m", "m"]
    decision = plan.decision()
    assert [one.name for one in decision.candidates][:2] == ["q/m @a", "p/m @a"]
    assert decision.candidates[0].combo == "c"
    assert [(one.name, one.reason) for one in decision.dropped] == [("p/m @b", "resting"), ("p/n @b", "resting")]
    assert decision.scores == {"p/m": 5.0, "q/m": 1.0}


def test_a_target_whose_rest_is_short_is_shown_as_resting() -> None:
    tables = catalog(connection("p", "a"), connection("p", "b"))
    decision = plan_of("p/m", tables, view=Beliefs(rests={"p-a": 2.0})).decision()
    assert [(one.name, one.rests) for one in decision.candidates] == [("p/m @b", False), ("p/m @a", True)]


def test_nowhere_to_go_is_explained_too() -> None:
    tables = catalog(connection("p", "a"), connection("p", "b"))
    with pytest.raises(Unavailable) as error:
        plan_of("p/m", tables, view=Beliefs(rests={"p-a": 60.0, "p-b": 60.0}))
    assert error.value.decision is not None
    assert error.value.decision.candidates == ()
    assert [one.reason for one in error.value.decision.dropped] == ["resting", "resting"]


def test_broken_combos_are_harmless() -> None:
    tables = three(
        combos=[
            combo("circle", "circle", "p/m"), combo("unknown", "nobody/x", "p/m", "nothing"),
            combo("odd", ("p/m", -1), ("q/m", 0), strategy="weighted",
                  config={"account_strategy": "no-such", "tiers": "nothing", "sticky_limit": -3, "affinity": "x"}),
            combo("strange", "p/m", "q/m", strategy="no-such"),
        ],
    )  # fmt: skip
    for name in ("circle", "unknown", "odd", "strange"):
        assert plan_of(name, tables).targets


# -- cost --------------------------------------------------------------------------------------------------------------


def test_a_plan_costs_the_same_with_ten_connections_as_with_ten_thousand() -> None:
    def cost(count: int, strategy: str) -> float:
        models = frozenset(f"m{i}" for i in range(500))
        tables = catalog(*(connection("p", f"{i:05}", models=models) for i in range(count)))
        resolutions = [resolve(f"p/m{i}", tables) for i in range(500)]
        settings = RoutingSettings(account_strategy=strategy)  # type: ignore[arg-type]
        best = float("inf")
        for _ in range(4):
            started = time.process_time()
            for resolution in resolutions:
                lay_plan(resolution, tables, 0.7, settings=settings)
            best = min(best, time.process_time() - started)
        return best / 500

    for strategy in ACCOUNT_STRATEGIES:
        few, many = cost(10, strategy), cost(10_000, strategy)
        assert many < 4 * few + 30e-6, strategy


def test_a_combo_says_how_often_a_failed_target_is_asked_again() -> None:
    for config, retries in (({}, 0), ({"max_retries": 2}, 2), ({"max_retries": 10**9}, 10), ({"max_retries": "x"}, 0)):
        assert plan_of("c", three(combos=[combo("c", "p/m", config=config)])).max_retries == retries


def test_a_combo_says_after_which_refusals_it_goes_on() -> None:
    def after(**config: Any) -> frozenset[str]:
        return plan_of("c", three(combos=[combo("c", "p/m", config=config)])).goes_on_after

    assert after() == frozenset()
    assert after(context_length_fallback=True, content_policy_fallback=False) == {"context_length"}
    assert after(content_policy_fallback=True) == {"content_policy"}
