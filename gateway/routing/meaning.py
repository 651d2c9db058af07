"""What a model's name stands for, as a digest: a kept answer is given again only while its name means the same. Pure."""

from collections.abc import Mapping
from hashlib import blake2b

import msgspec

from gateway.routing.catalog import Catalog
from gateway.routing.resolve import Resolution

_encode = msgspec.msgpack.Encoder().encode


class Meaning(msgspec.Struct, frozen=True):
    """`digest`: of what a name stands for. `combo`: the configuration of the combo that it names, which has its own switches."""

    digest: str
    combo: Mapping[str, object] | None


def meaning_of(resolution: Resolution, catalog: Catalog) -> Meaning:
    """The digest is 16 hex digits, the same on every worker: of all models that may answer, in their order, and where they are asked.

    Which account is asked, and what rests just now, does not count.
    """
    models = (*resolution.models, *resolution.chain)
    places = {}
    for name in {model.provider: None for model in models}:
        accounts = catalog.connections.get(name)
        places[name] = (accounts[0].dialect, dict(accounts[0].paths)) if accounts else None
    combo = resolution.combo
    told = (
        [(one.provider, one.model, one.weight) for one in resolution.models],
        [(one.provider, one.model) for one in resolution.chain],
        combo.strategy if combo is not None else "",
        resolution.is_tiered,
        places,
    )
    return Meaning(blake2b(_encode(told), digest_size=8).hexdigest(), None if combo is None else combo.config)
