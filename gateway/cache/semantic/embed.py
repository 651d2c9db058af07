"""Vectors of texts from a provider: `POST …/embeddings` through the gateway's own transports, within a budget of time.

A provider that fails or is late several times in a row is left alone for a while, so that it costs requests no time.
"""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from gateway.cache.semantic.vectors import Vector, packed
from gateway.domain.target import Connection, Target
from gateway.upstream.seam import Cancelled, Transport, UpstreamCall, UpstreamFault, UpstreamRequest

MAX_OPEN = 32
"""Calls at once; more questions are not asked."""

FAILURES_TO_REST, REST_S = 3, 5.0
MAX_ANSWER_BYTES = 1024 * 1024


class _Item(msgspec.Struct, frozen=True):
    embedding: list[float]


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int = 0


class _Answer(msgspec.Struct, frozen=True):
    data: list[_Item]
    usage: _Usage | None = None


_decode = msgspec.json.Decoder(_Answer).decode
_encode = msgspec.json.Encoder().encode


class Embedded(msgspec.Struct, frozen=True):
    """What came of one text. `vector` None: `failure` says why (`late`, `failed`, `resting`, `busy`, `no_target`).

    `tokens` are the provider's count of the text; `target` is None when nobody was asked. `took_s` in seconds.
    """

    vector: Vector | None = None
    failure: str = ""
    target: Target | None = None
    tokens: int = 0
    took_s: float = 0.0
    status: int = 0


class Embedder:
    """`targets_of` resolves a model's name; `clock` gives seconds of a clock that never goes back."""

    def __init__(
        self,
        transport_of: Callable[[Connection], Transport],
        targets_of: Callable[[str], Sequence[Target]],
        clock: Callable[[], float],
    ) -> None:
        self._transport_of = transport_of
        self._targets_of = targets_of
        self._clock = clock
        self._failures = 0
        self._rests_until = 0.0
        self.open_calls = 0

    async def embed(self, text: str, name: str, budget_s: float) -> Embedded:
        """The vector of a text by the model of that name. Raises nothing but the caller's own cancellation."""
        began = self._clock()
        if began < self._rests_until:
            return Embedded(failure="resting")
        if self.open_calls >= MAX_OPEN:
            return Embedded(failure="busy")
        targets = [target for target in self._targets_of(name) if _url(target.connection)]
        if not targets:
            return Embedded(failure="no_target")
        target = targets[self._failures % len(targets)]
        self.open_calls += 1
        try:
            embedded = await self._ask(text, target, budget_s)
        finally:
            self.open_calls -= 1
        self._judge(embedded.failure)
        return msgspec.structs.replace(embedded, target=target, took_s=self._clock() - began)

    def _judge(self, failure: str) -> None:
        if not failure:
            self._failures = 0
            return
        self._failures += 1
        if self._failures >= FAILURES_TO_REST:
            self._rests_until = self._clock() + REST_S

    async def _ask(self, text: str, target: Target, budget_s: float) -> Embedded:
        call: UpstreamCall | None = None
        try:
            async with asyncio.timeout(budget_s):
                call = await self._transport_of(target.connection).start(_request(text, target, budget_s))
                await call.head()
                body = await call.read_to_end(MAX_ANSWER_BYTES)
        except TimeoutError:
            return Embedded(failure="late")
        except (UpstreamFault, Cancelled):
            return Embedded(failure="failed")
        finally:
            if call is not None and not call.is_over:
                call.cancel()
        return _read(call.status, body)


def _request(text: str, target: Target, budget_s: float) -> UpstreamRequest:
    body = _encode({"model": target.model, "input": text, "encoding_format": "float"})
    return UpstreamRequest(
        target.connection, _url(target.connection), (b"Content-Type: application/json",), body, budget_s
    )


def _url(connection: Connection) -> str:
    """Where its embeddings are; empty when it has none."""
    return connection.paths.get("embeddings", "")


def _read(status: int, body: bytes) -> Embedded:
    if status != 200:
        return Embedded(failure="failed", status=status)
    try:
        answer = _decode(body)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return Embedded(failure="failed", status=status)
    vector = packed(answer.data[0].embedding) if len(answer.data) == 1 else None
    tokens = answer.usage.prompt_tokens if answer.usage is not None else 0
    return Embedded(vector, "" if vector is not None else "failed", tokens=max(0, tokens), status=status)
