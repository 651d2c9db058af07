"""The response cache of a worker: finds the answer of a request, and keeps the ones that are given.

Looked for in the worker's own memory first, then in the cache store. Whatever goes wrong is a miss.
"""

from collections.abc import Callable, Mapping

from gateway.cache.asked import Asked
from gateway.cache.canonical import signature, signature_of
from gateway.cache.entry import NOTHING, Entry, Recall
from gateway.cache.front import Front
from gateway.cache.plain import core_of_chat
from gateway.cache.policy import BETAS, is_repeatable, is_wanted, telling, tenant_of
from gateway.cache.semantic.tier import Meant, SemanticTier
from gateway.cache.signed import Asking, Signed
from gateway.cache.store import CacheStore
from gateway.dialects.codec import BrokenAnswer, Origin
from gateway.dialects.registry import PROVIDERS
from gateway.domain.caching import CacheSettings
from gateway.domain.caller import Caller
from gateway.domain.dialect import ProviderDialect
from gateway.domain.errors import GatewayError
from gateway.domain.events import Finished
from gateway.relay.exchange import Exchange
from gateway.telemetry.metrics import Metrics

MAX_JUDGED_BYTES = 64 * 1024
"""Of an answer that must be decoded to tell how it ended; more took up to 80 ms a MB of the loop's time, so it is not kept."""

_GOOD_ENDS = frozenset({"stop", "stop_sequence", "length", "tool_calls"})

_GOOD_WORDS: Mapping[ProviderDialect, tuple[tuple[bytes, bytes], frozenset[bytes]]] = {
    "openai_chat": (
        (b'"finish_reason":"', b'"finish_reason": "'),
        frozenset({b"stop", b"length", b"tool_calls", b"function_call"}),
    ),
    "anthropic_messages": (
        (b'"stop_reason":"', b'"stop_reason": "'),
        frozenset({b"end_turn", b"stop_sequence", b"max_tokens", b"tool_use"}),
    ),
}
"""How an answer says why it is over (in a text the quotes would be escaped), and the usual words for a good end."""


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

    def recall(
        self,
        exchange: Exchange,
        caller: Caller,
        settings: CacheSettings,
        *,
        pinned_provider: str = "",
        combo: Mapping[str, object] | None = None,
        meaning: str = "",
    ) -> Recall:
        """The answer of the request, or where its answer belongs, or a look into the store, or nothing. Raises nothing."""
        asking = _asking(exchange, caller, settings, pinned_provider, combo, meaning)
        key = "" if asking is None else self._key_of(asking, exchange, caller, settings)
        if asking is None or not key:
            return NOTHING
        self.front.max_bytes = settings.front_bytes
        entry = self.front.get(key)
        if entry is not None:
            self._count_lookup("front")
            self.signed.put(asking, key, len(exchange.body))  # who is asked twice may be asked a third time
            return Recall(key, entry, "hit")
        is_meant = settings.semantic.mode != "off" and self.semantic is not None
        meant = _asked(exchange, caller, pinned_provider, meaning) if is_meant else None
        look = self.store.look(key)
        if look is None:
            self._count_lookup("miss")
        return Recall(key, meant=meant, look=look)

    async def found(self, recall: Recall) -> Recall:
        """What the look of it finds. Raises nothing."""
        assert recall.look is not None
        entry = await self.store.found(recall.key, recall.look)
        if entry is None:
            self._count_lookup("miss")
            return Recall(recall.key, meant=recall.meant)
        self.front.put(recall.key, entry)
        self._count_lookup("store")
        return Recall(recall.key, entry, "hit")

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
        asking = _asking(exchange, caller, settings, pinned_provider, combo, meaning)
        return "" if asking is None else self._key_of(asking, exchange, caller, settings)

    def _key_of(self, asking: Asking, exchange: Exchange, caller: Caller, settings: CacheSettings) -> str:
        known = self.signed.get(asking)
        if known is not None:
            return known
        _, tenant, dialect, (pinned_provider, meaning, *_), told, body = asking
        if dialect == "openai_chat" and not (told and any(name in BETAS for name, _ in told)):
            core = core_of_chat(body)
            if core is not None:
                return signature_of(tenant, pinned_provider, meaning, core)
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


def _asking(
    exchange: Exchange,
    caller: Caller,
    settings: CacheSettings,
    pinned_provider: str,
    combo: Mapping[str, object] | None,
    meaning: str,
) -> Asking | None:
    """All that the signature is made of; None for a request that the cache has no part in."""
    head, arrival = exchange.head, exchange.arrival
    if not (head.is_cold or settings.any_temperature):
        return None
    if caller.is_no_log or not is_wanted(settings, caller.cache, combo):
        return None
    told = telling(exchange.headers)
    if told is None:
        return None
    where = (pinned_provider, meaning, arrival.model, arrival.is_stream)
    return (settings.any_temperature, tenant_of(caller), exchange.caller.dialect, where, told, exchange.body)


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


def _says_well(entry: Entry) -> bool:
    """Whether the last word about its end, as it stands in its bytes, is a good one. If not, it must be decoded to be sure."""
    body, said = entry.body, _GOOD_WORDS.get(entry.dialect)
    if said is None:
        return entry.dialect == "openai_responses" and not (
            b"incomplete" in body or b"content_filter" in body or b':"refusal"' in body or b': "refusal"' in body
        )
    (close, spaced), words = said
    name, at = close, body.rfind(close)
    if at < 0:
        name, at = spaced, body.rfind(spaced)
    start = at + len(name)
    return at >= 0 and body[start : body.find(b'"', start)] in words


def _ended_well(entry: Entry) -> bool:
    """Why an answer ended is known only to who decodes it, which most need not be."""
    if _says_well(entry):
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
