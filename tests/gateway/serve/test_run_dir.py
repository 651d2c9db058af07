"""Where a run keeps its sockets and notices."""

import os
from pathlib import Path

import pytest

from gateway.config.settings import BadSetting, Settings
from gateway.serve.run_dir import empty_run_dir, make_data_dir, make_private, open_bounded_log, with_usable_run_dir


def test_the_run_dir_is_in_the_data_dir_when_sockets_fit_there() -> None:
    assert with_usable_run_dir(Settings(data_dir=Path("/d")), "serve").run_dir == Path("/d/run")


def test_roles_may_share_a_data_dir_but_never_a_run_dir() -> None:
    settings = Settings(data_dir=Path("/d"))
    assert len({with_usable_run_dir(settings, role).run_dir for role in ("serve", "gateway", "admin")}) == 3


def test_a_deep_data_dir_always_finds_the_same_short_run_dir() -> None:
    settings = Settings(data_dir=Path("/" + "deep/" * 30))
    chosen = with_usable_run_dir(settings, "serve").run_dir
    assert len(str(chosen)) < 60
    assert chosen == with_usable_run_dir(settings, "serve").run_dir
    assert chosen != with_usable_run_dir(Settings(data_dir=Path("/" + "deeq/" * 30)), "serve").run_dir


def test_a_new_data_dir_is_for_us_alone_and_an_old_one_stays_as_it_is(tmp_path: Path) -> None:
    make_data_dir(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume").chmod(0o775)
    make_data_dir(tmp_path / "volume")
    assert (tmp_path / "volume").stat().st_mode & 0o777 == 0o775


def test_a_file_in_place_of_the_data_dir_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadSetting, match=r"cannot use .*file as the data dir"):
        make_data_dir(tmp_path / "file")


def test_a_link_in_place_of_a_private_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadSetting, match="not a folder of ours"):
        make_private(tmp_path / "link")


def test_a_private_folder_is_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o755)
    make_private(tmp_path / "run")
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700


def test_a_run_begins_without_the_notice_and_figures_of_the_last(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    settings.metrics_dir.mkdir(parents=True)
    (settings.metrics_dir / "counter_1.db").write_bytes(b"x")
    (settings.run_dir / "draining").write_text("{}")
    empty_run_dir(settings)
    assert [path.name for path in settings.run_dir.rglob("*")] == ["metrics"]


def test_a_log_that_grew_large_is_begun_anew(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * 100)
    os.close(open_bounded_log(log))
    assert log.stat().st_size == 100
    log.write_bytes(b"x" * 2_000_000)
    os.close(open_bounded_log(log))
    assert log.stat().st_size == 0
