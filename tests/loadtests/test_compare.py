"""Two revisions: the other one's files come and go, and its figures stand beside ours."""

import json
import subprocess

import pytest

from loadtests.compare import as_json, chosen, compared_loads, render, worktree


@pytest.fixture
def repository(tmp_path):
    place = tmp_path / "repository"
    place.mkdir()
    for command in (
        ("init", "--quiet"),
        ("-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "--quiet", "--allow-empty", "-m", "one"),
    ):
        subprocess.run(["git", *command], cwd=place, check=True)
    return place


def worktrees(repository):
    listed = subprocess.run(["git", "worktree", "list"], cwd=repository, capture_output=True, text=True, check=True)
    return len(listed.stdout.splitlines())


def test_the_worktree_is_gone_afterwards_whatever_happened(repository, tmp_path):
    places = []

    def measure():
        with worktree("HEAD", tmp_path, repository) as place:
            places.append(place)
            (place / "left.txt").write_text("behind")
            assert worktrees(repository) == 2
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure()
    assert worktrees(repository) == 1
    assert not places[0].exists()


def test_a_revision_that_cannot_be_checked_out_leaves_nothing(repository, tmp_path):
    with pytest.raises(subprocess.CalledProcessError), worktree("no-such", tmp_path, repository):
        pytest.fail("there is nothing to measure")
    assert worktrees(repository) == 1


def test_a_load_that_does_not_exist_is_refused_by_name():
    with pytest.raises(SystemExit, match="nonsense"):
        chosen(["2KB-64", "nonsense"])
    assert [load.name for load in chosen(["burst-32", "2KB-64"])] == ["burst-32", "2KB-64"]
    assert len({load.name for load in compared_loads()}) == len(compared_loads())


def test_ratios_are_shown_with_spread_and_unsteady_figures_in_brackets():
    ours = [{"bad": 0, "all_us": 80.0 + n, "lat_p50": 500} for n in range(4)]
    theirs = [{"bad": 0, "all_us": 100.0, "lat_p50": 1000} for _ in range(4)]
    text = render({("2KB-64", "product"): (ours, theirs)}, "main", (61_440, 62_464))
    (line,) = (line for line in text.splitlines() if " all_us " in line)
    assert line.split()[3:] == ["82.0", "100.0", "0.815", "0.800-0.830", "less"]
    assert "(lat_p50)" in text
    assert "60.0 MB against 61.0 MB" in text


def test_every_single_measurement_is_kept():
    kept = as_json({("2KB-64", "product"): ([{"bad": 0, "all_us": 1.0}], [{"bad": 0, "all_us": 2.0}])}, "abc")
    assert json.loads(json.dumps(kept))["ratios"]["2KB-64 product"]["all_us"]["middle"] == 0.5
    assert [entry["side"] for entry in kept["measurements"]] == ["tree", "revision"]
