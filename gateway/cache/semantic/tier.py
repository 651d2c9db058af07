"""The second tier of the response cache: after a miss by signature, an answer to the same question in other words.

A vector finds what may be meant, the guard decides. In shadow mode what would have been a hit is counted and logged, by
hashes and figures, and the live answer is given. Whatever is late, away or unknown is a miss.
"""

import asyncio

import msgspec
import structlog

from gateway.cache.asked import Asked
from gateway.cache.semantic.embed import Embedded, Embedder
from gateway.cache.semantic.guard import difference
from gateway.cache.semantic.index import Index, Known
from gateway.cache.semantic.question import Question, question_of
from gateway.cache.semantic.vectors import Vector
from gateway.domain.caching import SemanticSettings
from gateway.telemetry.metrics import Metrics

_log = structlog.get_logger()

CANDIDATES = 4
"""So many of the nearest questions are shown to the guard."""


class Meant(msgspec.Struct, frozen=True):
    """A question that was looked for. `answer`: the key of an answer to it, empty = none was found.

    With `is_shadow` the answer must not be given. `embedded` is what its vector cost, `most` how many questions a scope holds.
    """

    question: Question
    vector: Vector
    embedded: Embedded
    most: int
    answer: str = ""
    cosine: float = 0.0
    is_shadow: bool = False
    known: Known | None = None


class SemanticTier:
    """Looks for questions and remembers those that got an answer."""

    def __init__(self, index: Index, embedder: Embedder, metrics: Metrics) -> None:
        self.index = index
        self.embedder = embedder
        self._metrics = metrics

    async def look(self, asked: Asked, settings: SemanticSettings) -> Meant | None:
        """None for a request that is no question of this tier, or whose vector could not be had. Raises nothing."""
        question = question_of(asked, settings.embeddings)
        if question is None:
            self._count("not_asked")
            return None
        embedded, _ = await asyncio.gather(
            self.embedder.embed(question.text, settings.embeddings, settings.budget_ms / 1000),
            self.index.refresh(question.scope, settings.entries_per_scope),
        )
        self._count_embedding(embedded)
        if embedded.vector is None:
            self._count(embedded.failure)
            return None
        return self._decided(question, embedded, embedded.vector, settings)

    def learn(self, meant: Meant, answer: str, ttl_s: float) -> None:
        """The question has an answer now, kept under that key."""
        self.index.add(meant.question, meant.vector, answer, most=meant.most, ttl_s=ttl_s)

    def confirm(self, meant: Meant, *, is_there: bool) -> None:
        """Whether the answer that was found is still kept: only then it was a hit."""
        if not is_there:
            self._count("answer_gone")
            if meant.known is not None:
                self.index.forget(meant.question, meant.known)
            return
        self._count("shadow_hit" if meant.is_shadow else "hit")
        if meant.is_shadow:
            _log.info(
                "semantic_would_hit", scope=meant.question.scope, answer=meant.answer, cosine=round(meant.cosine, 4)
            )

    def _decided(self, question: Question, embedded: Embedded, vector: Vector, settings: SemanticSettings) -> Meant:
        is_shadow = settings.mode == "shadow"
        why = "none_near"
        for cosine, known in self.index.near(question, vector, CANDIDATES):
            if cosine < settings.min_similarity:
                break
            reason = difference(question.reading, known.reading)
            if not reason:
                most = settings.entries_per_scope
                return Meant(question, vector, embedded, most, known.answer, cosine, is_shadow, known)
            if why == "none_near":
                why = reason
                if is_shadow:
                    scope, answer = question.scope, known.answer
                    _log.info("semantic_near_miss", scope=scope, answer=answer, cosine=round(cosine, 4), reason=reason)
        self._count(why)
        return Meant(question, vector, embedded, settings.entries_per_scope)

    def _count(self, result: str) -> None:
        self._metrics.semantic_lookups.add((result,))

    def _count_embedding(self, embedded: Embedded) -> None:
        if embedded.target is not None:
            provider = embedded.target.connection.provider
            self._metrics.semantic_embeddings.add((provider, embedded.failure or "ok"))
            if embedded.tokens:
                self._metrics.tokens.add((provider, "embedding"), embedded.tokens)
