"""Who a key belongs to: looked up in Redis once, then held here, bounded, with the misses too.

401 means "checked and wrong", 503 "cannot check". While Redis is away, keys this worker (or one before it, through
the last-good file) has seen go on working. `take` compares versions, so a stale entry never outlives one request.
"""

import ipaddress
import time
from pathlib import Path

import msgspec
from msgspec import structs

from gateway.config.addresses import network_of
from gateway.config.keys import Digester
from gateway.config.snapshot import KeyEntry, decode_key_entry
from gateway.domain.caller import ANONYMOUS, Caller, Door
from gateway.domain.errors import Unauthorized, Unavailable
from gateway.state import keys
from gateway.state.resp import RespClient, StateAway

MAX_CALLERS = 50_000
MAX_MISSES = 20_000
MISS_TTL_S = 5.0
MAX_SAVED = 10_000

_decode_saved = msgspec.json.Decoder(dict[str, KeyEntry]).decode


class Keyring:
    """Bounded local view of the keys in Redis. `callers` and `misses` are its two caches."""

    def __init__(
        self, redis: RespClient, pepper: bytes, lastgood: Path | None = None, *, stores_bodies: bool = False
    ) -> None:
        """`stores_bodies`: of keys that do not say it themselves."""
        self._redis = redis
        self._digest = Digester(pepper)
        self._path = lastgood / "keys.json" if lastgood else None
        self.callers: dict[str, Caller] = {}
        self.misses: dict[str, float] = {}
        self._entries: dict[str, KeyEntry] = {}
        self._stores_bodies = stores_bodies
        self.anonymous = structs.replace(ANONYMOUS, stores_bodies=stores_bodies)
        self._unsaved = False
        self._restored: dict[str, KeyEntry] = {}

    async def identify(self, secret: bytes) -> Caller:
        """The caller with this key. Raises Unauthorized (checked and wrong) or Unavailable (cannot check)."""
        digest = self._digest(secret)
        caller = self.callers.get(digest)
        if caller is None:
            if self.misses.get(digest, 0.0) > time.monotonic():
                raise _wrong_key()
            caller = await self._look_up(digest)
        return _unexpired(caller)

    async def refresh(self, caller: Caller) -> Caller:
        """Read the key again after `take` said that it changed. Raises as `identify`."""
        self.forget(caller.digest)
        return _unexpired(await self._look_up(caller.digest))

    def learn(self, digest: str, entry: KeyEntry) -> Caller:
        """Keep an entry that Redis gave."""
        caller = caller_of(digest, entry, stores_bodies=self._stores_bodies)
        if len(self.callers) >= MAX_CALLERS:
            oldest = next(iter(self.callers))
            del self.callers[oldest]
            self._entries.pop(oldest, None)
        self.callers[digest] = caller
        self._entries[digest] = entry
        self.misses.pop(digest, None)
        self._unsaved = True
        return caller

    def forget(self, digest: str) -> None:
        """Drop what is known of a key: it changed, came or went."""
        self.misses.pop(digest, None)
        self._restored.pop(digest, None)
        if self.callers.pop(digest, None) is not None:
            self._entries.pop(digest, None)
            self._unsaved = True

    async def _look_up(self, digest: str) -> Caller:
        try:
            blob, epoch = await _read(self._redis, digest)
        except StateAway as error:
            if (saved := self._restored.get(digest)) is not None:
                return self.learn(digest, saved)
            raise Unavailable("the key cannot be checked now: shared state is away", code="cannot_check_key") from error
        if blob is not None:
            return self.learn(digest, decode_key_entry(blob))
        if epoch is None:
            if (saved := self._restored.get(digest)) is not None:
                return self.learn(digest, saved)
            raise Unavailable("the key cannot be checked now: keys are being loaded", code="cannot_check_key")
        if len(self.misses) >= MAX_MISSES:
            del self.misses[next(iter(self.misses))]
        self.misses[digest] = time.monotonic() + MISS_TTL_S
        raise _wrong_key()

    def restore(self) -> None:
        """Read the last-good file; it counts only while Redis cannot tell."""
        if self._path is None or not self._path.exists():
            return
        try:
            self._restored = _decode_saved(self._path.read_bytes())
        except (OSError, msgspec.DecodeError, msgspec.ValidationError):
            self._restored = {}

    def save(self) -> None:
        """Write the keys seen to the last-good file, if any is new. Digests and permissions only, no secret."""
        if self._path is None or not self._unsaved:
            return
        self._unsaved = False
        newest = dict(list({**self._restored, **self._entries}.items())[-MAX_SAVED:])
        temporary = self._path.with_suffix(f".{id(self):x}.new")
        temporary.write_bytes(msgspec.json.encode(newest))
        temporary.replace(self._path)


def caller_of(digest: str, entry: KeyEntry, *, stores_bodies: bool = False) -> Caller:
    """The caller that an entry of the keyring makes; `stores_bodies` if the entry does not say it. Pure."""
    return Caller(
        key_id=entry.id,
        key_name=entry.name,
        digest=digest,
        version=entry.version,
        allowed_models=entry.allowed_models,
        expires_at=entry.expires_at,
        is_strict=entry.is_strict,
        rpm=entry.rpm,
        concurrency=entry.concurrency,
        tpm=entry.tpm,
        budget_nano_usd=entry.budget_nano_usd,
        budget_period=entry.budget_period,
        priority=entry.priority,
        is_no_log=entry.is_no_log,
        stores_bodies=not entry.is_no_log
        and (entry.store_bodies == "on" or (not entry.store_bodies and stores_bodies)),
        cache_scope=entry.cache_scope,
        cache=entry.cache,
        single_flight=entry.single_flight,
        unshaped=entry.unshaped,
        providers=frozenset(entry.allowed_providers),
        door=_door(entry),
        counted_as=entry.counted_as,
        warn_nano_usd=entry.warn_nano_usd,
        second_budget_nano_usd=entry.second_budget_nano_usd,
        second_budget_period=entry.second_budget_period,
        second_warn_nano_usd=entry.second_warn_nano_usd,
    )


def _door(entry: KeyEntry) -> Door | None:
    if not entry.allowed_endpoints and not entry.allowed_ips:
        return None
    # Checked before it was published; an entry that is no network matches nobody rather than everybody.
    networks = tuple(network for text in entry.allowed_ips if (network := network_of(text)) is not None)
    return Door(entry.allowed_endpoints, networks or ((_NOWHERE,) if entry.allowed_ips else ()))


_NOWHERE = ipaddress.ip_network("0.0.0.0/32")
"""No caller comes from there."""


async def _read(redis: RespClient, digest: str) -> tuple[bytes | None, object]:
    entry = redis.send("HGET", keys.key(digest), "e")
    entry.add_done_callback(lambda done: done.cancelled() or done.exception())
    epoch = await redis.call("GET", keys.KEYRING_EPOCH)
    blob = entry.result() if entry.done() else None  # answers come in order: the first is there with the second
    if isinstance(blob, Exception):
        raise StateAway(str(blob))
    assert blob is None or isinstance(blob, bytes)
    return blob, epoch


def _wrong_key() -> Unauthorized:
    return Unauthorized("this API key is not valid here: it is unknown, or has been revoked")


def _unexpired(caller: Caller) -> Caller:
    if caller.expires_at and caller.expires_at < time.time():
        raise Unauthorized("this API key has expired", code="expired_api_key")
    return caller
