"""The response cache of a worker: finds the answer of a request, and keeps the ones that are given.

Looked for in the worker's own memory first, then in the cache store. Whatever goes wrong is a miss.
"""

from collections.abc import Callable, Mapping

from gateway.cache.asked import Asked
from gateway.cache.canonical import signature
from gateway.cache.entry import NOTHING, Entry, Recall
from gateway.cache.front import Front
from gateway.cache.policy import is_repeatable, is_wanted, telling, tenant_of
from gateway.cache.semantic.tier import Meant, SemanticTier
from gateway.cache.signed import Signed
from gateway.cache.store import CacheStore
from gateway.dialects.codec import BrokenAnswer, Origin
from gateway.dialects.registry import PROVIDERS
from gateway.domain.caching import CacheSettings
from gateway.domain.caller import Caller
from gateway.domain.errors import GatewayError
from gateway.domain.events import Finished
from gateway.relay.exchange import Exchange
from gateway.telemetry.metrics import Metrics

MAX_JUDGED_BYTES = 64 * 1024
"""Of an answer that must be decoded to tell how it ended; more took up to 80 ms a MB of the loop's time, so it is not kept."""

_GOOD_ENDS = frozenset({"stop", "stop_sequence", "length", "tool_calls"})
_SUSPICIOUS = (b"content_filter", b':"refusal"', b': "refusal"', b"pause_turn", b"incomplete")
"""One of these stands in every answer of OpenAI's and Anthropic's dialects that ended for another reason."""


class ResponseCache:
    """`wall` gives unix seconds."""

    def __init__(
        self,
        store: CacheStore,
        front: Front,
        metrics: Metrics,
        wall: Callable[[], float],
        semantic: SemanticTier | None = None,
    ) -> None:
        self.store = store
        self.semantic = semantic
        self.front = front
        self.signed = Signed()
        self._metrics = metrics
        self._wall = wall
        self.untold: dict[str, int] = {}
        """Counted since `tasks/follow_cache.py` told the others: look-ups by where the answer was, and answers kept."""

    async def recall(
        self,
        exchange: Exchange,
        caller: Caller,
        settings: CacheSettings,
        *,
        pinned_provider: str = "",
        combo: Mapping[str, object] | None = None,
        meaning: str = "",
    ) -> Recall:
        """The answer of the request, or where its answer belongs, or nothing. Raises nothing."""
        key = self.key_of(exchange, caller, settings, pinned_provider=pinned_provider, combo=combo, meaning=meaning)
        if not key:
            return NOTHING
        self.front.max_bytes = settings.front_bytes
        entry = self.front.get(key)
        where = "front"
        if entry is None:
            where = "store"
            entry = await self.store.get(key)
            if entry is not None:
                self.front.put(key, entry)
        if entry is None:
            self._count_lookup("miss")
            if settings.semantic.mode == "off" or self.semantic is None:
                return Recall(key)
            return Recall(key, meant=_asked(exchange, caller, pinned_provider, meaning))
        self._count_lookup(where)
        return Recall(key, entry, "hit")

    def key_of(
        self,
        exchange: Exchange,
        caller: Caller,
        settings: CacheSettings,
        *,
        pinned_provider: str = "",
        combo: Mapping[str, object] | None = None,
        meaning: str = "",
    ) -> str:
        """The signature of a request that may be answered from the cache; empty for any other. Raises nothing."""
        head, arrival, body = exchange.head, exchange.arrival, exchange.body
        if not (head.is_cold or settings.any_temperature):
            return ""
        if caller.is_no_log or not is_wanted(settings, caller.cache, combo):
            return ""
        told = telling(exchange.headers)
        if told is None:
            return ""
        dialect, where = exchange.caller.dialect, (pinned_provider, meaning, arrival.model, arrival.is_stream)
        asking = (settings.any_temperature, tenant_of(caller), dialect, where, told, body)
        known = self.signed.get(asking)
        if known is None:
            known = _signature(exchange, caller, settings, pinned_provider, meaning)
            self.signed.put(asking, known, len(body))
        return known

    async def recall_meant(self, asked: Asked, settings: CacheSettings) -> tuple[Meant | None, Entry | None]:
        """The kept answer to the same question in other words, with what was looked for. Raises nothing."""
        if self.semantic is None:
            return None, None
        meant = await self.semantic.look(asked, settings.semantic)
        if meant is None or not meant.answer:
            return meant, None
        entry = self.front.get(meant.answer)
        if entry is None:
            entry = await self.store.get(meant.answer)
            if entry is not None:
                self.front.put(meant.answer, entry)
        self.semantic.confirm(meant, is_there=entry is not None)
        if entry is not None:
            self._count_lookup("shadow" if meant.is_shadow else "semantic")
        return meant, None if meant.is_shadow else entry

    def keep(self, key: str, entry: Entry, meant: Meant | None = None) -> None:
        """Keep a good answer that came to its end. Others are told apart here, by why they ended.

        `meant`: the question was looked for by meaning too, and is known by it from now on.
        """
        if not _ended_well(entry):
            return
        if meant is not None and self.semantic is not None:
            self.semantic.learn(meant, key, entry.expires_at - self._wall())
        self.front.put(key, entry)
        kept = self.store.put(key, entry)
        self.untold["kept"] = self.untold.get("kept", 0) + 1
        self._metrics.cache_answers.add(("kept" if kept else "not_kept",))

    def _count_lookup(self, found: str) -> None:
        self._metrics.cache_lookups.add((found,))
        self.untold[found] = self.untold.get(found, 0) + 1

    def forget_all(self, generation: str) -> None:
        """Another generation counts from now on: nothing that was kept is found again."""
        if generation != self.store.generation:
            self.store.generation = generation
            self.front.clear()
            self.signed.clear()
            self.untold.clear()


def _signature(exchange: Exchange, caller: Caller, settings: CacheSettings, pinned_provider: str, meaning: str) -> str:
    try:
        request = exchange.request()
    except GatewayError:  # a provider may take what cannot be read here
        return ""
    if not is_repeatable(request, settings):
        return ""
    return signature(_asked(exchange, caller, pinned_provider, meaning)) or ""


def _asked(exchange: Exchange, caller: Caller, pinned_provider: str, meaning: str) -> Asked:
    return Asked(
        tenant_of(caller),
        exchange.caller.dialect,
        pinned_provider,
        exchange.body,
        exchange.headers,
        exchange.request(),
        meaning,
    )


def _ended_well(entry: Entry) -> bool:
    """Why an answer ended is known only to who decodes it, which most need not be."""
    if entry.dialect != "gemini" and not any(word in entry.body for word in _SUSPICIOUS):
        return True
    if len(entry.body) > MAX_JUDGED_BYTES:
        return False
    codec, origin = PROVIDERS[entry.dialect], Origin(entry.provider, "")
    try:
        if not entry.is_stream:
            return codec.decode_response(entry.body, origin).finish in _GOOD_ENDS
        decoder = codec.make_decoder(origin)
        events = decoder.feed(entry.body) + decoder.end()
    except BrokenAnswer:
        return False
    return bool(events) and isinstance(events[-1], Finished) and events[-1].finish in _GOOD_ENDS
