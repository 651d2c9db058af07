"""401 means checked and wrong, 503 cannot check; what was seen goes on working while Redis is away."""

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis import Redis

from gateway.config.keys import digest_of
from gateway.config.snapshot import KeyEntry, encode_key_entry
from gateway.domain.errors import Unauthorized, Unavailable
from gateway.state import keyring as keyring_module
from gateway.state import keys
from gateway.state.keyring import Keyring
from gateway.state.resp import RespClient
from tests.support.real_valkey import RealValkey

PEPPER = b"pepper"
SECRET = b"sk-of-the-tests"
DIGEST = digest_of(SECRET, PEPPER)


def publish(sync: Redis, secret: bytes = SECRET, *, version: int = 1, epoch: bool = True, **fields: Any) -> None:
    entry = KeyEntry(id="k1", name="ci", version=version, **fields)
    sync.hset(keys.key(digest_of(secret, PEPPER)), mapping={"v": version, "e": encode_key_entry(entry)})
    if epoch:
        sync.set(keys.KEYRING_EPOCH, "1")


def away() -> RespClient:
    return RespClient("unix:///tmp/no-such-server.sock")


async def refusal(ring: Keyring, secret: bytes = SECRET) -> tuple[int, str]:
    with pytest.raises((Unauthorized, Unavailable)) as error:
        await ring.identify(secret)
    return error.value.status, error.value.code


async def test_a_key_is_looked_up_once(valkey: RealValkey, sync: Redis, connect: Any) -> None:
    publish(sync, allowed_models=("local/*",), is_strict=True)
    ring = Keyring(await connect(valkey.url), PEPPER)
    caller = await ring.identify(SECRET)
    assert (caller.key_id, caller.key_name, caller.version, caller.digest) == ("k1", "ci", 1, DIGEST)
    assert (caller.allowed_models, caller.is_strict) == (("local/*",), True)
    sync.flushall()
    assert await ring.identify(SECRET) is caller


async def test_a_wrong_key_is_refused_and_not_asked_for_again_soon(
    valkey: RealValkey, sync: Redis, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(sync, b"another")
    monkeypatch.setattr(keyring_module, "MISS_TTL_S", 0.1)
    ring = Keyring(await connect(valkey.url), PEPPER)
    assert await refusal(ring) == (401, "invalid_api_key")
    publish(sync)
    assert await refusal(ring) == (401, "invalid_api_key")
    await asyncio.sleep(0.12)
    assert (await ring.identify(SECRET)).key_id == "k1"


async def test_a_new_key_counts_as_soon_as_its_news_has_come(valkey: RealValkey, sync: Redis, connect: Any) -> None:
    publish(sync, b"another")
    ring = Keyring(await connect(valkey.url), PEPPER)
    assert await refusal(ring) == (401, "invalid_api_key")
    publish(sync)
    ring.forget(DIGEST)
    assert (await ring.identify(SECRET)).key_id == "k1"


async def test_an_emptied_server_cannot_tell(valkey: RealValkey, sync: Redis, connect: Any) -> None:
    ring = Keyring(await connect(valkey.url), PEPPER)
    assert await refusal(ring) == (503, "cannot_check_key")
    assert ring.misses == {}


async def test_without_redis_an_unknown_key_cannot_be_checked() -> None:
    assert await refusal(Keyring(away(), PEPPER)) == (503, "cannot_check_key")


@pytest.mark.parametrize("is_emptied", [False, True])
async def test_keys_seen_before_go_on_working(
    tmp_path: Path, own_valkey: RealValkey, connect: Any, is_emptied: bool
) -> None:
    with own_valkey.client() as sync:
        publish(sync)
    client = await connect(own_valkey.url)
    ring = Keyring(client, PEPPER, tmp_path)
    await ring.identify(SECRET)
    ring.save()
    saved = (tmp_path / "keys.json").read_bytes()
    assert SECRET not in saved
    assert DIGEST.encode() in saved
    with own_valkey.client() as sync:
        sync.flushall()
    successor = Keyring(client if is_emptied else away(), PEPPER, tmp_path)
    successor.restore()
    assert (await successor.identify(SECRET)).key_id == "k1"
    assert await refusal(successor, b"never seen") == (503, "cannot_check_key")


async def test_a_saved_key_does_not_outlive_its_revocation(
    tmp_path: Path, valkey: RealValkey, sync: Redis, connect: Any
) -> None:
    publish(sync)
    client = await connect(valkey.url)
    ring = Keyring(client, PEPPER, tmp_path)
    await ring.identify(SECRET)
    ring.save()
    sync.delete(keys.key(DIGEST))
    successor = Keyring(client, PEPPER, tmp_path)
    successor.restore()
    assert await refusal(successor) == (401, "invalid_api_key")


async def test_a_revoked_key_is_not_restored_after_its_news(
    tmp_path: Path, valkey: RealValkey, sync: Redis, connect: Any
) -> None:
    publish(sync)
    ring = Keyring(await connect(valkey.url), PEPPER, tmp_path)
    await ring.identify(SECRET)
    ring.save()
    ring.forget(DIGEST)
    ring.save()
    assert msgspec.json.decode((tmp_path / "keys.json").read_bytes()) == {}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"d":{}}', b"\xff"])
async def test_a_broken_file_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "keys.json").write_bytes(content)
    ring = Keyring(away(), PEPPER, tmp_path)
    ring.restore()
    assert await refusal(ring) == (503, "cannot_check_key")


async def test_a_changed_key_is_read_again(valkey: RealValkey, sync: Redis, connect: Any) -> None:
    publish(sync)
    ring = Keyring(await connect(valkey.url), PEPPER)
    old = await ring.identify(SECRET)
    publish(sync, version=2, allowed_models=("local/m1",))
    new = await ring.refresh(old)
    assert (new.version, new.allowed_models) == (2, ("local/m1",))
    assert await ring.identify(SECRET) is new
    sync.delete(keys.key(DIGEST))
    with pytest.raises(Unauthorized):
        await ring.refresh(new)
    assert await refusal(ring) == (401, "invalid_api_key")


async def test_an_expired_key_is_told_so_cached_or_not(valkey: RealValkey, sync: Redis, connect: Any) -> None:
    publish(sync, expires_at=time.time() + 0.2)
    ring = Keyring(await connect(valkey.url), PEPPER)
    await ring.identify(SECRET)
    await asyncio.sleep(0.25)
    assert await refusal(ring) == (401, "expired_api_key")
    assert await refusal(Keyring(await connect(valkey.url), PEPPER)) == (401, "expired_api_key")


async def test_the_caches_are_bounded(
    valkey: RealValkey, sync: Redis, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring_module, "MAX_CALLERS", 3)
    monkeypatch.setattr(keyring_module, "MAX_MISSES", 3)
    ring = Keyring(await connect(valkey.url), PEPPER)
    for i in range(6):
        publish(sync, b"good%d" % i)
        await ring.identify(b"good%d" % i)
        await refusal(ring, b"bad%d" % i)
    assert (len(ring.callers), len(ring._entries), len(ring.misses)) == (3, 3, 3)


async def test_many_at_once_are_all_answered(valkey: RealValkey, sync: Redis, connect: Any) -> None:
    for i in range(200):
        publish(sync, b"key%d" % i)
    ring = Keyring(await connect(valkey.url, budget_s=5.0), PEPPER)
    asked = [ring.identify(b"key%d" % i) if i % 2 else refusal(ring, b"bad%d" % i) for i in range(200)]
    answers = await asyncio.gather(*asked)
    assert [isinstance(answer, tuple) for answer in answers] == [i % 2 == 0 for i in range(200)]


async def test_a_callers_class_is_its_keys(valkey: RealValkey, sync: Redis, connect: Any) -> None:
    publish(sync, priority="batch")
    assert (await Keyring(await connect(valkey.url), PEPPER).identify(SECRET)).priority == "batch"
