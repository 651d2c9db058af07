"""The questions that have a kept answer, by scope: in the cache store for all workers, and what this one has read of it.

A scope is a stream in the store, trimmed to its bound; a worker reads what is new in it at each question. What is lost
there, or here, is found no more: a miss.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable

import hiredis
import msgspec

from gateway.cache.semantic.question import Question
from gateway.cache.semantic.reading import Reading, read
from gateway.cache.semantic.vectors import Vector, nearest, unpacked
from gateway.state import keys
from gateway.state.resp import RespClient, StateAway
from gateway.telemetry.metrics import Metrics

MAX_UNSENT = 1000
"""Commands on their way to the store; beyond it no more questions are told."""

MAX_SCOPES, MAX_QUESTIONS = 256, 4096
"""That a worker remembers; the scope used longest ago goes first."""


class _Line(msgspec.Struct, frozen=True, array_like=True):
    """A question as the store holds it. `answer` is the key of its answer."""

    answer: str
    text: str
    vector: bytes
    norm: float


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Line).decode


class Known:
    """One question with a kept answer. It is read by the guard when it is near for the first time."""

    __slots__ = ("_reading", "answer", "text", "vector")

    def __init__(self, answer: str, text: str, vector: Vector) -> None:
        self.answer = answer
        self.text = text
        self.vector = vector
        self._reading: Reading | bool | None = False

    @property
    def reading(self) -> Reading | None:
        if self._reading is False:
            self._reading = read(self.text)
        return self._reading if isinstance(self._reading, Reading) else None


class _Scope:
    __slots__ = ("known", "last_id")

    def __init__(self, most: int) -> None:
        self.known: deque[Known] = deque(maxlen=most)
        self.last_id = ""


class Index:
    """`redis` is the cache store's connection, None = there is none. `generation` changes when all is to be forgotten."""

    def __init__(self, redis: RespClient | None, metrics: Metrics, generation: Callable[[], str]) -> None:
        self._redis = redis
        self._metrics = metrics
        self._generation = generation
        self._scopes: OrderedDict[tuple[str, str], _Scope] = OrderedDict()
        self.questions = 0
        self.unsent = 0

    def __len__(self) -> int:
        return self.questions

    async def refresh(self, scope: str, most: int) -> None:
        """Read what is new in a scope, at most `most` questions. Raises nothing."""
        if self._redis is None:
            return
        generation = self._generation()
        held = self._held(generation, scope, most)
        key = keys.questions(generation, scope)
        try:
            if held.last_id:
                new = await self._redis.call("XRANGE", key, f"({held.last_id}", "+", "COUNT", most)
            else:
                new = await self._redis.call("XREVRANGE", key, "+", "-", "COUNT", most)
                new = new[::-1] if isinstance(new, list) else new
        except (StateAway, hiredis.ReplyError):
            self._metrics.cache_failures.add(("questions",))
            return
        if isinstance(new, list):
            self._take(held, new)

    def near(self, question: Question, vector: Vector, most: int) -> list[tuple[float, Known]]:
        """(cosine, question) of the nearest ones in its scope, nearest first."""
        held = self._scopes.get((self._generation(), question.scope))
        if held is None:
            return []
        known = list(held.known)
        return [(cosine, known[at]) for cosine, at in nearest(vector, [one.vector for one in known], most)]

    def add(self, question: Question, vector: Vector, answer: str, *, most: int, ttl_s: float) -> None:
        """Tell all workers that this question has an answer. Waits for nothing."""
        if self._redis is None or self.unsent >= MAX_UNSENT:
            return
        key = keys.questions(self._generation(), question.scope)
        line = _encode(_Line(answer, question.text, vector.data, vector.norm))
        try:
            for command in (
                ("XADD", key, "MAXLEN", most, "*", "q", line),
                ("PEXPIRE", key, max(1, int(ttl_s * 1000))),
            ):
                sent = self._redis.send(*command)
                self.unsent += 1
                sent.add_done_callback(self._arrived)
        except StateAway:
            self._metrics.cache_failures.add(("questions",))

    def forget(self, question: Question, known: Known) -> None:
        """Its answer is gone."""
        held = self._scopes.get((self._generation(), question.scope))
        if held is not None and known in held.known:
            held.known.remove(known)
            self.questions -= 1

    def _arrived(self, sent: "asyncio.Future[object]") -> None:
        self.unsent -= 1
        if sent.cancelled() or sent.exception() is not None or isinstance(sent.result(), hiredis.ReplyError):
            self._metrics.cache_failures.add(("questions",))

    def _held(self, generation: str, scope: str, most: int) -> _Scope:
        name = (generation, scope)
        held = self._scopes.get(name)
        if held is None or held.known.maxlen != most:
            if held is not None:
                self.questions -= len(held.known)
            held = self._scopes[name] = _Scope(most)
        self._scopes.move_to_end(name)
        while len(self._scopes) > MAX_SCOPES or (self.questions > MAX_QUESTIONS and len(self._scopes) > 1):
            _, gone = self._scopes.popitem(last=False)
            self.questions -= len(gone.known)
        return held

    def _take(self, held: _Scope, new: list[object]) -> None:
        answers = {one.answer: one for one in held.known} if new else {}
        for item in new:
            known = _known(item)
            if known is None:
                continue
            held.last_id = known[0]
            again = answers.pop(known[1].answer, None)
            if again is not None:  # two workers asked the same at once, or the answer had to be given anew
                held.known.remove(again)
                self.questions -= 1
            self.questions += 1 if len(held.known) < (held.known.maxlen or 0) else 0
            held.known.append(known[1])
            answers[known[1].answer] = known[1]


def _known(item: object) -> tuple[str, Known] | None:
    """(id, question) of an entry of a stream; None for what another version may have written."""
    if not isinstance(item, list) or len(item) != 2 or not isinstance(item[1], list) or len(item[1]) != 2:
        return None
    try:
        line = _decode(item[1][1])
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
    return item[0].decode(), Known(line.answer, line.text, unpacked(line.vector, line.norm))
