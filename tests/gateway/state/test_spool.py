"""Records on disk: whole lines, owned by who holds the lock, handed over once."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gateway.state import spool as spool_module
from gateway.state.spool import Spool, SpoolFull, adoptable


def adopted(folder: Path) -> dict[str, list[bytes]]:
    return {path.name: lines for path, lines in adoptable(folder)}


def test_no_file_exists_before_the_first_record(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    spool = Spool(folder, "w")
    spool.release()
    assert not folder.exists()
    assert adopted(folder) == {}
    spool.append(b"{}")
    assert [path.name for path in folder.iterdir()] == ["w-1.ndjson"]
    assert folder.stat().st_mode & 0o77 == 0
    spool.release()


def test_a_file_is_its_owners_until_released(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "w")
    spool.append(b'{"id":"1"}')
    spool.append(b'{"id":"2"}')
    assert adopted(tmp_path) == {}
    spool.release()
    assert adopted(tmp_path) == {"w-1.ndjson": [b'{"id":"1"}', b'{"id":"2"}']}
    spool.append(b'{"id":"3"}')
    assert sorted(path.name for path in tmp_path.iterdir()) == ["w-1.ndjson", "w-2.ndjson"]
    assert adopted(tmp_path) == {"w-1.ndjson": [b'{"id":"1"}', b'{"id":"2"}']}
    spool.release()


def test_only_one_at_a_time_adopts_a_file(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "w")
    spool.append(b"1")
    spool.release()
    for _ in adoptable(tmp_path):
        assert adopted(tmp_path) == {}
    assert adopted(tmp_path) == {"w-1.ndjson": [b"1"]}


def test_a_cut_last_line_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "dead-1.ndjson").write_bytes(b'{"id":"1"}\n\n{"id":"2"}\n{"id":"3')
    (tmp_path / "empty-1.ndjson").write_bytes(b"")
    (tmp_path / "other.txt").write_bytes(b"x\n")
    assert adopted(tmp_path) == {"dead-1.ndjson": [b'{"id":"1"}', b'{"id":"2"}'], "empty-1.ndjson": []}


def test_records_of_a_killed_process_are_there(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from gateway.state.spool import Spool\n"
        "spool = Spool(Path(sys.argv[1]), 'dead')\nspool.append(b'1')\nspool.append(b'2')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=Path(__file__).parents[3]).returncode == -9
    assert adopted(tmp_path) == {"dead-1.ndjson": [b"1", b"2"]}


def test_adopting_while_records_are_written_loses_none(tmp_path: Path) -> None:
    """Another worker may see a file at any moment of its life, and deletes what it has handed over."""
    got: list[bytes] = []
    done = threading.Event()

    def adopt() -> None:
        while True:
            is_last = done.is_set()
            for path, lines in adoptable(tmp_path):
                got.extend(lines)
                path.unlink(missing_ok=True)
            if is_last:
                return

    adopting = threading.Thread(target=adopt)
    adopting.start()
    spool = Spool(tmp_path, "w")
    for i in range(500):
        spool.append(b"%d" % i)
        if i % 3 == 0:
            spool.release()
    spool.release()
    done.set()
    adopting.join(10)
    assert sorted(got) == sorted(b"%d" % i for i in range(500))


def test_long_spools_are_cut_into_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "MAX_FILE_BYTES", 10)
    spool = Spool(tmp_path, "w")
    for i in range(6):
        spool.append(b"1234%d" % i)
    spool.release()
    assert adopted(tmp_path) == {f"w-{i + 1}.ndjson": [b"1234%d" % (2 * i), b"1234%d" % (2 * i + 1)] for i in range(3)}


def test_the_spool_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "MAX_SPOOL_BYTES", 10)
    spool = Spool(tmp_path, "w")
    spool.append(b"123456")
    with pytest.raises(SpoolFull):
        spool.append(b"123456")
    spool.release()
    spool.append(b"123456")
    spool.release()


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError):
        Spool(tmp_path / "file" / "spool", "w").append(b"1")


def test_files_are_closed(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for i in range(20):
        spool = Spool(tmp_path, f"w{i}")
        spool.append(b"1")
        spool.release()
    assert len(adopted(tmp_path)) == 20
    assert len(list(Path("/proc/self/fd").iterdir())) == before
