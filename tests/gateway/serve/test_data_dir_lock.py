"""The lock on the data dir."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from gateway.serve.data_dir_lock import DataDirInUse, take_data_dir_lock


def test_a_second_taker_is_told_who_holds_it(tmp_path: Path) -> None:
    lock = take_data_dir_lock(tmp_path / "x.lock")
    with pytest.raises(DataDirInUse, match=f"process {os.getpid()}, started 20"):
        take_data_dir_lock(tmp_path / "x.lock", wait_s=0.1)
    lock.release()


def test_a_released_lock_is_taken_while_waiting(tmp_path: Path) -> None:
    lock = take_data_dir_lock(tmp_path / "x.lock")
    naps: list[float] = []

    def release_at_the_third(_seconds: float) -> None:
        naps.append(1)
        if len(naps) == 3:
            lock.release()

    take_data_dir_lock(tmp_path / "x.lock", sleep=release_at_the_third).release()
    assert len(naps) == 3


def test_who_inherited_the_descriptor_keeps_the_lock_and_nobody_inherits_it_by_chance(tmp_path: Path) -> None:
    lock = take_data_dir_lock(tmp_path / "x.lock")
    heir = subprocess.Popen(["sleep", "30"], pass_fds=(lock.descriptor,))
    stranger = subprocess.Popen(["sleep", "30"])
    lock.release()
    with pytest.raises(DataDirInUse):
        take_data_dir_lock(tmp_path / "x.lock", wait_s=0.1)
    heir.kill()
    heir.wait()
    take_data_dir_lock(tmp_path / "x.lock", wait_s=60).release()
    stranger.kill()
    stranger.wait()


def test_waiting_has_a_limit(tmp_path: Path) -> None:
    lock = take_data_dir_lock(tmp_path / "x.lock")
    before = time.monotonic()
    with pytest.raises(DataDirInUse):
        take_data_dir_lock(tmp_path / "x.lock", wait_s=0.3)
    assert 0.3 <= time.monotonic() - before < 20
    lock.release()
