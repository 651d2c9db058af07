"""A model's name, as a caller sent it, to the provider models it stands for.

In order: combo; `prefix/model` (only the first segment is the prefix); exact alias; wildcard alias (longest
literal part); a bare name that exactly one connected provider offers; `auto/tiered`; `combo/model` for a combo that
takes any model. Else 404 with near names.

`provider/*` as the target of an alias, or in a combo or chain, stands for the model that was asked for, at that provider.
"""

import difflib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from gateway.config.snapshot import Combo
from gateway.domain.errors import BadRequest, Forbidden, GatewayError, NotFound
from gateway.routing.catalog import Catalog, Chain
from gateway.routing.patterns import is_pattern

MAX_DEPTH = 5
MAX_CANDIDATE_NAMES = 5_000
MAX_MODELS = 1_000
"""Of one combo, nested ones laid out."""
MAX_CHAINED = 20
"""Models of a combo whose own fallback chains are looked for."""
TIERED = "auto/tiered"
"""Any connected model, tier by tier; `auto/tiered/<model>` is that model at whoever offers it."""


@dataclass(frozen=True, slots=True)
class ProviderModel:
    """A model at a provider, and the combo entry it came from (`weight` is its equal share of that entry's)."""

    provider: str
    model: str
    combo: str = ""
    weight: float = 0.0


@dataclass(frozen=True, slots=True)
class Resolution:
    """All that a name stands for, in the order written. `combo` is the outermost combo, if the name is one.

    `chain` is what fallback chains add, to be tried when nothing else is left. `is_tiered`: tier by tier.
    """

    models: tuple[ProviderModel, ...]
    combo: Combo | None = None
    chain: tuple[ProviderModel, ...] = ()
    is_tiered: bool = False


def resolve(name: str, catalog: Catalog) -> Resolution:
    """Raises NotFound (with near names), BadRequest (ambiguous), Forbidden (a disabled combo)."""
    try:
        found = _resolve(name, catalog)
    except _Unknown as error:
        raise unknown_model(error.name, catalog) from error
    chain = _chain(name, found.models, catalog) if catalog.chains else ()
    return replace(found, chain=chain) if chain else found


def _resolve(asked: str, catalog: Catalog) -> Resolution:
    name, wanted = _follow_aliases(asked, catalog, _bare(asked, catalog))
    combo = catalog.combos.get(name)
    if combo is not None:
        return Resolution(_flatten(combo, catalog, (), {}, "" if name == asked else wanted), combo)
    if not _has_prefix(name, catalog) and name not in catalog.offers:
        if name == TIERED or name.startswith(TIERED + "/"):
            return Resolution(_tiered(name[len(TIERED) + 1 :], catalog), is_tiered=True)
        head, rest = _combo_before(name, catalog)
        if head is not None:
            return Resolution(_flatten(head, catalog, (), {}, rest), head)
    return Resolution((_resolve_single(name, catalog),))


def resolve_at(provider: str, name: str, catalog: Catalog) -> Resolution:
    """The same for a path that pins the provider: the prefix may be left out, a foreign one is refused."""
    provider_id = catalog.prefixes.get(provider)
    if provider_id is None:
        raise BadRequest(f"there is no provider {provider!r}", code="unknown_provider")
    prefix, slash, rest = name.partition("/")
    owner = catalog.prefixes.get(prefix) if slash else None
    if owner is not None and owner != provider_id and not _is_listed(catalog, provider_id, name):
        raise BadRequest(f"model {name!r} belongs to {prefix!r}, not to {provider!r}", code="provider_mismatch")
    try:
        return Resolution((_at(provider_id, rest if owner == provider_id else name, catalog),))
    except _Unknown as error:
        raise unknown_model(error.name, catalog) from error


class _Unknown(NotFound):
    """No such model. Near names are looked for only where a caller will read them: a search takes milliseconds."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the model {name!r} does not exist here", code="model_not_found", param="model")
        self.name = name


def _follow_aliases(name: str, catalog: Catalog, wanted: str) -> tuple[str, str]:
    """The name of a combo, `prefix/model` or a bare model that `name` leads to, and the model id that `*` stands for."""
    for _ in range(MAX_DEPTH + 1):
        if name in catalog.combos or _has_prefix(name, catalog):
            return name, wanted
        pattern, target = name, catalog.exact_aliases.get(name)
        if target is None:
            pattern, target = next(
                ((alias.pattern, alias.target) for alias in catalog.wildcard_aliases if alias.matches.fullmatch(name)),
                ("", None),
            )
        if target is None:
            return name, wanted
        if pattern.endswith("/*") and not is_pattern(pattern[:-1]):
            wanted = name[len(pattern) - 1 :]
        name = _filled(target, wanted)
    raise NotFound(f"the alias {name!r} leads in a circle", code="model_not_found", param="model")


def _filled(name: str, wanted: str) -> str:
    """`provider/*` with the model that was asked for. Raises _Unknown when that is not known."""
    if not name.endswith("/*"):
        return name
    if not wanted:
        raise _Unknown(name)
    return name[:-1] + wanted


def _bare(name: str, catalog: Catalog) -> str:
    """A model's id without the provider's prefix."""
    return name.partition("/")[2] if _has_prefix(name, catalog) else name


def _combo_before(name: str, catalog: Catalog) -> tuple[Combo | None, str]:
    """The combo of `combo/model`, if it has a place for any model, and the model."""
    at = name.find("/")
    while at > 0:
        combo = catalog.combos.get(name[:at])
        if combo is not None and name[at + 1 :] and any(entry.model.endswith("/*") for entry in combo.models):
            return combo, name[at + 1 :]
        at = name.find("/", at + 1)
    return None, ""


def _tiered(model: str, catalog: Catalog) -> tuple[ProviderModel, ...]:
    """A model at all who offer it; without one, the first model of each connected provider."""
    if model:
        found = tuple(ProviderModel(provider, model) for provider in catalog.offers.get(model, ()))
        if not found:
            raise _Unknown(model)
        return found[:MAX_MODELS]
    if not catalog.mains:
        raise NotFound("no connection is set up", code="no_connection", param="model")
    return tuple(ProviderModel(provider, main) for provider, main in catalog.mains[:MAX_MODELS])


def _chain(name: str, models: tuple[ProviderModel, ...], catalog: Catalog) -> tuple[ProviderModel, ...]:
    """What the chains of a name, or of its models, add. A chain's model that cannot be resolved now is passed over."""
    written = {provider: prefix for prefix, provider in catalog.prefixes.items()}
    wanted_of = {name: models[0].model}
    for model in models[:MAX_CHAINED]:
        for prefix in (f"{model.provider}/", f"{written.get(model.provider, model.provider)}/", ""):
            wanted_of.setdefault(prefix + model.model, model.model)
    known: _Known = {}
    found: dict[tuple[str, str], ProviderModel] = {}
    for chain in catalog.chains:
        wanted = _wanted_by(chain, wanted_of)
        if wanted is None:
            continue
        for entry in chain.models:
            with suppress(NotFound, BadRequest, Forbidden):
                for one in _entry(entry, catalog, (), known, wanted):
                    found.setdefault((one.provider, one.model), one)
    own = {(model.provider, model.model) for model in models}
    return tuple(one for place, one in found.items() if place not in own)[:MAX_MODELS]


def _wanted_by(chain: Chain, wanted_of: Mapping[str, str]) -> str | None:
    """The model id that goes with the first name that a chain is for."""
    pattern = chain.matches
    if pattern is None:
        return wanted_of.get(chain.name)
    return next((wanted for name, wanted in wanted_of.items() if pattern.fullmatch(name)), None)


def _has_prefix(name: str, catalog: Catalog) -> bool:
    prefix, _, rest = name.partition("/")
    return bool(rest) and prefix in catalog.prefixes


def _resolve_single(name: str, catalog: Catalog) -> ProviderModel:
    if _has_prefix(name, catalog):
        prefix, _, rest = name.partition("/")
        return _at(catalog.prefixes[prefix], rest, catalog)
    offers = catalog.offers.get(name, ())
    if len(offers) > 1:
        choices = ", ".join(f"{provider}/{name}" for provider in offers)
        raise BadRequest(
            f"several providers offer {name!r}: name one of {choices}", code="ambiguous_model", param="model"
        )
    if not offers:
        raise _Unknown(name)
    return _at(offers[0], name, catalog)


def _at(provider: str, model: str, catalog: Catalog) -> ProviderModel:
    accounts = catalog.connections.get(provider)
    if not accounts:
        raise NotFound(f"no connection to {provider!r} is set up", code="no_connection", param="model")
    if not any(not account.models or model in account.models for account in accounts):
        raise _Unknown(f"{provider}/{model}")
    return ProviderModel(provider, model)


_Known = dict[tuple[str, str], tuple[ProviderModel, ...] | GatewayError]
"""Combos of one request that have been laid out, by name and wanted model, or why they could not be."""


def _flatten(
    combo: Combo, catalog: Catalog, outer: tuple[str, ...], known: _Known, wanted: str
) -> tuple[ProviderModel, ...]:
    """Nested combos in place, depth first. A target that cannot be resolved now is passed over if others are left.

    `outer` are the combos around this one; `known` has what was found before, so that each is laid out once.
    """
    if not combo.is_active:
        raise Forbidden(f"the combo {combo.name!r} is switched off", code="combo_disabled")
    if combo.name in outer:
        raise NotFound(f"the combo {combo.name!r} holds itself", code="model_not_found", param="model")
    if len(outer) >= MAX_DEPTH:
        raise NotFound(
            f"the combo {combo.name!r} is nested deeper than {MAX_DEPTH}", code="model_not_found", param="model"
        )
    models: list[ProviderModel] = []
    failure: Exception | None = None
    for entry in combo.models:
        try:
            found = _entry(entry.model, catalog, (*outer, combo.name), known, wanted)
        except (NotFound, BadRequest, Forbidden) as error:
            failure = failure or error
            continue
        share = max(0.0, entry.weight) / len(found)
        models += [ProviderModel(one.provider, one.model, combo.name, share) for one in found]
        if len(models) >= MAX_MODELS:
            break
    if not models:
        raise failure or NotFound(f"the combo {combo.name!r} has no models", code="model_not_found", param="model")
    return tuple(models[:MAX_MODELS])


def _entry(
    name: str, catalog: Catalog, outer: tuple[str, ...], known: _Known, wanted: str
) -> tuple[ProviderModel, ...]:
    name, wanted = _follow_aliases(_filled(name, wanted), catalog, wanted)
    inner = catalog.combos.get(name)
    if inner is None:
        return (_resolve_single(name, catalog),)
    if (name, wanted) not in known:
        try:
            known[name, wanted] = _flatten(inner, catalog, outer, known, wanted)
        except (NotFound, BadRequest, Forbidden) as error:
            known[name, wanted] = error
    found = known[name, wanted]
    if isinstance(found, GatewayError):
        raise found
    return found


def unknown_model(name: str, catalog: Catalog) -> NotFound:
    """A 404 that names what the caller may have meant."""
    known = [listed for listed, _ in catalog.listed[:MAX_CANDIDATE_NAMES]]
    near = difflib.get_close_matches(name[:200], known, n=3, cutoff=0.5)
    bare = name.rpartition("/")[2][:200]
    near += [listed for listed in known if bare and listed.rpartition("/")[2] == bare and listed not in near][:2]
    hint = f"; did you mean {', '.join(near)}?" if near else "; GET /v1/models lists what there is"
    return NotFound(f"the model {name!r} does not exist here{hint}", code="model_not_found", param="model")


def _is_listed(catalog: Catalog, provider: str, name: str) -> bool:
    """A provider that resells offers ids with a vendor before the slash: no foreign prefix, then."""
    return any(
        name in account.models for account in catalog.connections.get(provider, ())
    ) or provider in catalog.offers.get(name, ())
