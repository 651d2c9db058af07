"""What workers tell each other of targets, and what it amounts to for somebody who only listens. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from gateway.domain.target import target_id
from gateway.routing.speed import Speed, measured, with_open


class Told(msgspec.Struct, array_like=True, frozen=True):
    """News of one target: `open` requests of the teller now, `uses` since it told last, the slowest since (None: none).

    Ages in ms, when it is told.
    """

    connection_id: str
    provider: str
    model: str
    open: int
    uses: int
    ttft_ms: float | None
    ttft_age_ms: int
    per_token_ms: float | None
    per_token_age_ms: int


class Telling(msgspec.Struct, array_like=True, frozen=True):
    """One message. `number` counts those of the worker; a gap means that some were lost."""

    number: int
    targets: list[Told]


encode_telling = msgspec.msgpack.encode
decode_telling = msgspec.msgpack.Decoder(Telling).decode


class Overheard(NamedTuple):
    """What can be known of targets from what workers told lately: speeds by `target_id`, uses as `View` asks for them."""

    speeds: dict[str, Speed]
    uses: dict[str, int]
    model_uses: dict[tuple[str, str], int]


def overheard(heard: Iterable[tuple[float, str, bytes]], now: float) -> Overheard:
    """`heard`: (age in s, worker, message), oldest first; `now` is an instant of the clock that the speeds are for. What cannot be read tells nothing."""
    found = Overheard({}, {}, {})
    open_by_worker: dict[tuple[str, str], int] = {}
    for age_s, worker, message in heard:
        try:
            telling = decode_telling(message)
        except msgspec.DecodeError:
            continue
        at = now - age_s
        for told in telling.targets:
            name, model = target_id(told.connection_id, told.model), (told.provider, told.model)
            known, count = (worker, name), max(0, told.open)
            speed = with_open(found.speeds.get(name), count - open_by_worker.get(known, 0))
            open_by_worker[known] = count
            if told.ttft_ms is not None:
                speed = measured(speed, told.ttft_ms, None, at - told.ttft_age_ms / 1000)
            if told.per_token_ms is not None:
                speed = measured(speed, None, told.per_token_ms, at - told.per_token_age_ms / 1000)
            found.speeds[name] = speed
            found.uses[told.connection_id] = found.uses.get(told.connection_id, 0) + told.uses
            found.model_uses[model] = found.model_uses.get(model, 0) + told.uses
    return found
