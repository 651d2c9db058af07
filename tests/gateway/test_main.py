"""The command line."""

from pathlib import Path

import pytest

from gateway.__main__ import main


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out.strip()


def test_a_good_config_file_is_ok(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        "version: 1\nnodes:\n  - {id: a, prefix: a, dialect: openai_chat, base_url: 'https://a.example/v1'}\n"
    )
    assert main(["check-config", str(file)]) == 0
    assert capsys.readouterr().out.startswith("OK 1 nodes")


def test_every_problem_of_a_config_file_stands_on_its_own_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("version: 1\nnodes:\n  - {id: a}\n")
    assert main(["check-config", str(file)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 1
    assert all(line.startswith(f"{file}: ") for line in lines)


@pytest.mark.parametrize("arguments", [[], ["serve"], ["--no-open"], ["gateway"], ["admin"], ["reset-password"]])
def test_a_bad_setting_is_one_clear_line_and_exit_code_2(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PORT", "abc")
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "d"))
    assert main(arguments) == 2
    assert capsys.readouterr().err == "omniroute: PORT must be a whole number from 0 to 65535, not 'abc'\n"
    assert not (tmp_path / "d").exists()


def test_an_option_wins_over_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMNIROUTE_WORKERS", "2")
    assert main(["serve", "--workers", "9999"]) == 2
    assert "OMNIROUTE_WORKERS" in capsys.readouterr().err


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(SystemExit) as end:
        main(["serve", "--frobnicate"])
    assert end.value.code == 2
