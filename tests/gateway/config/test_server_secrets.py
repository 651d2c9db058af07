"""The server's own secrets: made once, kept private, never made where replicas must share them."""

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.config.envelope import parse_encryption_key
from gateway.config.server_secrets import with_server_secrets
from gateway.config.settings import BadSetting, Settings

NAMES = ("jwt_secret", "api_key_secret", "storage_encryption_key")


def settings_in(folder: Path, **given: str) -> Settings:
    return replace(Settings(data_dir=folder), **given)


def test_secrets_are_made_and_kept_for_the_next_start(tmp_path):
    first = with_server_secrets(settings_in(tmp_path), may_create=True)
    second = with_server_secrets(settings_in(tmp_path), may_create=True)
    assert first == second
    values = {getattr(first, name) for name in NAMES}
    assert len(values) == 3
    assert all(len(value) == 64 for value in values)
    assert len(parse_encryption_key(first.storage_encryption_key)) == 32


def test_the_file_is_for_its_owner_only(tmp_path):
    with_server_secrets(settings_in(tmp_path), may_create=True)
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_given_secret_wins_and_is_not_written(tmp_path):
    settings = with_server_secrets(settings_in(tmp_path, jwt_secret="given-by-environment"), may_create=True)
    assert settings.jwt_secret == "given-by-environment"
    (file,) = tmp_path.iterdir()
    assert set(json.loads(file.read_text())) == {"api_key_secret", "storage_encryption_key"}


def test_a_secret_missed_later_is_added_to_the_kept_ones(tmp_path):
    first = with_server_secrets(settings_in(tmp_path, jwt_secret="given"), may_create=True)
    second = with_server_secrets(settings_in(tmp_path), may_create=True)
    assert second.api_key_secret == first.api_key_secret
    assert second.jwt_secret not in ("", "given")


def test_replicas_must_be_given_all_of_them(tmp_path):
    with pytest.raises(BadSetting, match="API_KEY_SECRET must be set"):
        with_server_secrets(settings_in(tmp_path, storage_encryption_key="00" * 32), may_create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_given_encryption_key_must_be_one(tmp_path):
    given = dict.fromkeys(NAMES, "not-32-bytes")
    with pytest.raises(BadSetting, match="STORAGE_ENCRYPTION_KEY must be 32 bytes") as caught:
        with_server_secrets(settings_in(tmp_path, **given), may_create=False)
    assert "not-32-bytes" not in str(caught.value)


def test_replicas_draw_the_same_secret_for_sessions_when_none_is_given(tmp_path):
    shared = {"storage_encryption_key": "00" * 32, "api_key_secret": "pepper"}
    first = with_server_secrets(settings_in(tmp_path / "first", **shared), may_create=False)
    second = with_server_secrets(settings_in(tmp_path / "second", **shared), may_create=False)
    assert first.jwt_secret == second.jwt_secret != ""


def test_what_is_kept_on_disk_counts_beside_a_shared_database_too(tmp_path):
    made = with_server_secrets(settings_in(tmp_path), may_create=True)
    assert with_server_secrets(settings_in(tmp_path), may_create=False) == made
