"""A request or an answer in another dialect, by the gateway's own codecs, as targets and callers would get it. Asks nobody."""

import msgspec

from gateway.dialects.codec import IN_BODY, UNREADABLE, Arrival, BrokenAnswer, Destination, Origin, Stamp, Unsupported
from gateway.dialects.envelope import Envelopes
from gateway.dialects.registry import CALLERS, GRAMMARS, PROVIDERS
from gateway.dialects.translation import Translation
from gateway.domain.dialect import CallerDialect, ProviderDialect
from gateway.domain.errors import GatewayError

SHOWN_MODEL = "model"
"""Where nobody named one: Gemini's requests hold none."""
_REQUEST_ID = "translator"


class Untranslatable(Exception):
    """What was given is not what it is said to be, or cannot be said in the other dialect. The text is for who asked."""


class Translated(msgspec.Struct, frozen=True):
    """`notes` are what could not be said, `names` tool names that differ on the wire, wire to caller's own.

    `path` is where a request goes, below the provider's base URL. `passed_on`: both speak one dialect, so bytes pass.
    `violations`: what a stream breaks of the order that the dialect's official SDK needs.
    """

    text: str
    path: str = ""
    notes: tuple[str, ...] = ()
    names: dict[str, str] = {}
    passed_on: bool = False
    violations: tuple[str, ...] = ()


def translate_request(
    text: str, source: CallerDialect, target: ProviderDialect, model: str, *, is_stream: bool
) -> Translated:
    """As a target that speaks `target` is asked; `model` is its name there. `is_stream` is for Gemini, whose path says it.

    Raises Untranslatable.
    """
    body, caller, provider = _bytes(text), CALLERS[source], PROVIDERS[target]
    arrival = Arrival(model=model or SHOWN_MODEL, is_stream=is_stream) if source == "gemini" else IN_BODY
    try:
        head = caller.read_head(body, arrival)
        name = model or head.model or SHOWN_MODEL
        path = provider.path(name, head.is_stream)
        if source == target:
            passed = provider.pass_on(body, head, name, asks_usage=True, drop_fields=())
            return Translated(passed.decode("utf-8", "replace"), path, passed_on=True)
        request = caller.decode_request(body, arrival, Envelopes(b""))
        encoded = provider.encode_request(request, Destination(model=name))
    except Unsupported as error:
        raise Untranslatable(error.message) from error
    except GatewayError as error:
        raise Untranslatable(error.message) from error
    except UNREADABLE as error:
        raise Untranslatable(f"not a request of this dialect: {error}") from error
    return Translated(
        encoded.body.decode("utf-8", "replace"),
        path,
        tuple(dict.fromkeys(request.notes + encoded.notes)),
        {wire: tool.name for wire, tool in encoded.names.items()},
    )


def translate_answer(text: str, source: ProviderDialect, target: CallerDialect, model: str) -> Translated:
    """As a caller of `target` would get the answer, whole or a stream, of a provider that speaks `source`. Raises Untranslatable."""
    if source == target:
        return Translated(text, passed_on=True)
    body, caller, provider = _bytes(text), CALLERS[target], PROVIDERS[source]
    is_stream = not text.lstrip().startswith(("{", "["))
    stamp = Stamp(
        request_id=_REQUEST_ID,
        created_at=0,
        model=model or SHOWN_MODEL,
        envelopes=Envelopes(b""),
        arrival=Arrival(model=model or SHOWN_MODEL, is_stream=is_stream) if target == "gemini" else IN_BODY,
        answered_in=source,
    )
    origin = Origin("", _REQUEST_ID)
    if not is_stream:
        try:
            return Translated(caller.encode_response(provider.decode_response(body, origin), stamp).decode())
        except (BrokenAnswer, *UNREADABLE) as error:
            raise Untranslatable(f"not an answer of this dialect: {error}") from error
        except (Unsupported, GatewayError) as error:
            raise Untranslatable(error.message) from error
    grammar = GRAMMARS.get(target)
    stream = Translation(
        provider.make_decoder(origin), caller.make_encoder(stamp), {}, 0, grammar() if grammar is not None else None
    )
    written = stream.feed(body) + stream.take_rest()
    if not written:
        raise Untranslatable("nothing in it is an event of this dialect")
    return Translated(written.decode("utf-8", "replace"), violations=tuple(stream.violations()))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
