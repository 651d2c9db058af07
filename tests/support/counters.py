"""What the counters of keys hold, unpacked: their shapes are told by `gateway.state.keys`."""

import struct
from dataclasses import dataclass

from redis import Redis


@dataclass(frozen=True)
class Counted:
    """Of `key_limits`: the window's sums, what is in each of its seconds, open requests by worker."""

    requests: int
    tokens: int
    latest: int
    seconds: dict[int, tuple[int, int]]
    open: int
    by_worker: dict[str, int]


@dataclass(frozen=True)
class Money:
    """Of `key_money`: nano-dollars spent, held, and kept of workers that did not renew."""

    spent: int
    held: int
    kept: int
    by_worker: dict[str, int]
    dead: dict[str, int]


def counted(sync: Redis, name: str) -> Counted:
    """What is counted of a key. Its sums must be those of its parts, unless the next `take` will add them up anew."""
    fields: dict[bytes, bytes] = sync.hgetall(name)
    requests, tokens, latest, now_requests, now_tokens, _, held, until = _numbers(fields.get(b"x", bytes(64)))
    seconds = {int(field): _pair(value) for field, value in fields.items() if field.isdigit()}
    if latest:
        seconds[latest] = (now_requests, now_tokens)
    by_worker = _of(fields, b"c:")
    assert [requests, tokens] == [sum(one[i] for one in seconds.values()) for i in (0, 1)]
    assert not until or held == sum(by_worker.values())
    return Counted(requests, tokens, latest, seconds, sum(by_worker.values()), by_worker)


def money(sync: Redis, name: str) -> Money:
    """What is counted of a key's money. Its sums must be those of its parts."""
    fields: dict[bytes, bytes] = sync.hgetall(name)
    by_worker, dead = _of(fields, b"c:"), _of(fields, b"d:")
    held, until, kept = _numbers(fields.get(b"x", bytes(24)))
    assert not until or (held, kept) == (sum(by_worker.values()), sum(dead.values()))
    return Money(int(fields.get(b"spent", 0)), sum(by_worker.values()), kept, by_worker, dead)


def live(fields: dict[bytes, bytes], now: float) -> int:
    """What workers hold that have renewed in time, of the fields of either."""
    pairs = [_pair(value) for field, value in fields.items() if field.startswith(b"c:")]
    return sum(count for count, until in pairs if until > now)


def counts_of(*amounts: tuple[str, int, int]) -> dict[str, bytes]:
    """Fields that say so much of each worker: its name, its count, until when."""
    return {f"c:{worker}": struct.pack("<dd", count, until) for worker, count, until in amounts}


def _of(fields: dict[bytes, bytes], mark: bytes) -> dict[str, int]:
    return {field[2:].decode(): _pair(value)[0] for field, value in fields.items() if field.startswith(mark)}


def _pair(value: bytes) -> tuple[int, int]:
    first, second = _numbers(value)
    return first, second


def _numbers(value: bytes) -> list[int]:
    return [int(number) for number in struct.unpack(f"<{len(value) // 8}d", value)]
