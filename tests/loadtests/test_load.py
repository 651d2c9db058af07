"""Every scenario of locust runs distributed against the real product, and the C client finds what becomes of too much."""

import argparse
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from loadtests import load
from loadtests.load_report import markdown
from loadtests.overload import overload_markdown, run_overload
from loadtests.scenario import SCENARIOS, Bounds, Keys, Overload, load_scenario, short

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not (shutil.which("gcc") and shutil.which("make")), reason="gcc and make build the provider's stand-in"),
]  # fmt: skip
needs_locust = pytest.mark.skipif(not load.LOCUST.exists(), reason="`make test` installs locust into .venv-load")
OF_LOCUST = ("agents", "chat-mix", "key-storm", "streaming")
KEYS = Keys(count=2, rpm=1)
NEVER_REFUSES = Bounds(0, 0.0)
USERS, SECONDS = 8, 2.0


@pytest.fixture(scope="module")
def where():
    """The real product with the stand-in behind it, one for all; two keys of one request a minute beside the one that has any number."""
    scenario = replace(load_scenario("key-storm"), keys=KEYS, bounds=NEVER_REFUSES)
    options = argparse.Namespace(workers=1)
    kept = {name: os.environ.pop(name) for name in ("OMNIROUTE_URL",) if name in os.environ}
    with load.somewhere(scenario, options) as found:
        yield found
    os.environ.update(kept)


@pytest.fixture(scope="module")
def reports(where, tmp_path_factory):
    """All four at once: each waits more than it works."""
    folder = tmp_path_factory.mktemp("load")

    def run(name):
        # A machine may be so busy that a trip to Valkey passes its 50 ms: a key that is new gets 503 then.
        text = (SCENARIOS / f"{name}.toml").read_text().replace("refusals = [401, 429]\n", "")
        path = folder / f"{name}.toml"
        path.write_text(f"refusals = [401, 429, 503]\n{text}")
        options = argparse.Namespace(
            scenario=str(path), users=USERS, seconds=SECONDS, processes=2, out=folder, locust=load.LOCUST
        )
        keys = where.keys if name == "key-storm" else (load.KEY,)
        scenario = short(load_scenario(name), USERS, SECONDS)
        return load.run_locust(scenario, replace(where, keys=keys), options)

    with ThreadPoolExecutor(len(OF_LOCUST)) as pool:
        return dict(zip(OF_LOCUST, pool.map(run, OF_LOCUST), strict=True))


@needs_locust
@pytest.mark.parametrize("name", OF_LOCUST)
def test_the_users_of_two_processes_are_all_answered(reports, name):
    found = reports[name]
    assert found["about"]["processes"] == 2
    assert found["answered"] > 0
    assert found["failed"] == 0, found["reasons"]
    assert found["all"]["total"]["count"] == found["answered"]
    assert markdown(found)


@needs_locust
@pytest.mark.parametrize("name", ["agents", "chat-mix", "streaming"])
def test_the_first_token_of_a_stream_is_told_apart_from_its_end(reports, name):
    every = reports[name]["all"]
    first_ms = min(part.answer.first_ms for part in load_scenario(name).mix)
    assert first_ms <= every["first token"]["p50"] < every["total"]["p99"]
    assert every["first token"]["count"] >= every["longest gap"]["count"] > 0


@needs_locust
def test_a_storm_of_keys_is_refused_by_limit_and_by_key_and_told_when_to_come_again(reports):
    found = reports["key-storm"]
    assert found["all"]["refused 429"]["count"] > 0
    assert found["without_retry_after"] == 0


def test_too_much_is_offered_and_what_becomes_of_it_is_told(where):
    asked = Overload(connections=(4, 8), find_s=0.6, factor=3.0, seconds=0.6, most_connections=300, warmup_s=0.2)
    scenario = replace(load_scenario("overload"), overload=asked)
    found = run_overload(scenario, where.running.port, load.KEY, where.model, {})
    assert found["offered"] == pytest.approx(3 * found["capacity"])
    assert found["capacity"] == max(step["goodput"] for step in found["steps"]) > 0
    assert found["answered"] > 0
    assert found["requests"] == found["answered"] + found["refused"] + found["failed"]
    assert "% of capacity" in overload_markdown(found)
