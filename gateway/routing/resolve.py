"""A model's name, as a caller sent it, to the provider models it stands for.

In order: combo; `prefix/model` (only the first segment is the prefix); exact alias; wildcard alias (longest
literal part); a bare name that exactly one connected provider offers. Else 404 with near names.
"""

import difflib
from dataclasses import dataclass

from gateway.config.snapshot import Combo
from gateway.domain.errors import BadRequest, Forbidden, GatewayError, NotFound
from gateway.routing.catalog import Catalog

MAX_DEPTH = 5
MAX_CANDIDATE_NAMES = 5_000
MAX_MODELS = 1_000
"""Of one combo, nested ones laid out."""


@dataclass(frozen=True, slots=True)
class ProviderModel:
    """A model at a provider, and the combo entry it came from (`weight` is its equal share of that entry's)."""

    provider: str
    model: str
    combo: str = ""
    weight: float = 0.0


@dataclass(frozen=True, slots=True)
class Resolution:
    """All that a name stands for, in the order written. `combo` is the outermost combo, if the name is one."""

    models: tuple[ProviderModel, ...]
    combo: Combo | None = None


def resolve(name: str, catalog: Catalog) -> Resolution:
    """Raises NotFound (with near names), BadRequest (ambiguous), Forbidden (a disabled combo)."""
    try:
        name = _follow_aliases(name, catalog)
        combo = catalog.combos.get(name)
        if combo is None:
            return Resolution((_resolve_single(name, catalog),))
        return Resolution(_flatten(combo, catalog, (), {}), combo)
    except _Unknown as error:
        raise unknown_model(error.name, catalog) from error


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


def _follow_aliases(name: str, catalog: Catalog) -> str:
    """The name of a combo, `prefix/model` or a bare model that `name` leads to."""
    for _ in range(MAX_DEPTH + 1):
        if name in catalog.combos or _has_prefix(name, catalog):
            return name
        target = catalog.exact_aliases.get(name) or next(
            (alias.target for alias in catalog.wildcard_aliases if alias.matches.fullmatch(name)), None
        )
        if target is None:
            return name
        name = target
    raise NotFound(f"the alias {name!r} leads in a circle", code="model_not_found", param="model")


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


_Known = dict[str, tuple[ProviderModel, ...] | GatewayError]
"""Combos of one request that have been laid out, or why they could not be."""


def _flatten(combo: Combo, catalog: Catalog, outer: tuple[str, ...], known: _Known) -> tuple[ProviderModel, ...]:
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
            found = _entry(entry.model, catalog, (*outer, combo.name), known)
        except (NotFound, BadRequest, Forbidden) as error:
            failure = failure or error
            continue
        share = entry.weight / len(found)
        models += [ProviderModel(one.provider, one.model, combo.name, share) for one in found]
        if len(models) >= MAX_MODELS:
            break
    if not models:
        raise failure or NotFound(f"the combo {combo.name!r} has no models", code="model_not_found", param="model")
    return tuple(models[:MAX_MODELS])


def _entry(name: str, catalog: Catalog, outer: tuple[str, ...], known: _Known) -> tuple[ProviderModel, ...]:
    name = _follow_aliases(name, catalog)
    inner = catalog.combos.get(name)
    if inner is None:
        return (_resolve_single(name, catalog),)
    if name not in known:
        try:
            known[name] = _flatten(inner, catalog, outer, known)
        except (NotFound, BadRequest, Forbidden) as error:
            known[name] = error
    found = known[name]
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
