"""Rules of the config file that need more than one value, or knowledge of providers and hosts. Pure.

Each rule looks at items that have their shape already and notes problems with line and path. Secrets, and values
that may hold one (`api_key`, `secret`, `proxy`), are never quoted.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter
from typing import Generic, TypeVar
from urllib.parse import SplitResult, urlsplit

from gateway.config.addresses import network_of, reach_of_host
from gateway.config.combo_config import OPTIONS, config_problems
from gateway.config.file_shape import (
    AliasShape,
    ChainShape,
    ComboEntry,
    ComboShape,
    FileConnection,
    FileNode,
    KeyShape,
    PriceShape,
    SettingsShape,
)
from gateway.config.shape_reader import near
from gateway.config.yaml_source import Place, Problems, shown_name
from gateway.domain.rest import EVERY_KEY
from gateway.providers.spec import ProviderSpec

MAX_COMBO_DEPTH = 5
PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_T_co = TypeVar("_T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Item(Generic[_T_co]):
    """One entry of the file: its value and where it stands."""

    path: str
    place: Place
    value: _T_co

    def note(self, problems: Problems, name: str, text: str) -> None:
        problems.add(self.place.line_of(name), f"{self.path}.{name}", text)


def check_nodes(items: Sequence[Item[FileNode]], specs: Mapping[str, ProviderSpec], problems: Problems) -> None:
    """Ids and prefixes must be free, of built-in providers and of each other; addresses must be allowed."""
    owners = {
        word: f"the built-in provider `{spec.id}`" for spec in specs.values() for word in (spec.id, *spec.prefixes)
    }
    for item in items:
        for name, word in (("id", item.value.id), ("prefix", item.value.prefix)):
            owner = owners.setdefault(word, item.path)
            if owner != item.path:
                item.note(problems, name, f"`{word}` is taken by {owner}")
        _check_base_url(item, problems)


def check_connections(items: Sequence[Item[FileConnection]], known: Sequence[str], problems: Problems) -> None:
    """`known`: the ids a provider may have."""
    check_unique([(item, (item.value.provider, item.value.name)) for item in items], "name", problems)
    for item in items:
        if item.value.provider not in known:
            hint = near(item.value.provider, known)
            item.note(problems, "provider", f"`{item.value.provider}` is neither a provider nor the id of a node{hint}")
        if _CONTROL.search(item.value.api_key) or item.value.api_key != item.value.api_key.strip():
            item.note(problems, "api_key", "holds a line break, or a space at an end")
        fault = _proxy_fault(item.value.proxy)
        if fault:
            item.note(problems, "proxy", fault)


def check_combos(
    items: Sequence[Item[ComboShape]],
    aliases: Sequence[Item[AliasShape]],
    prefixes: Collection[str],
    models: Collection[str],
    problems: Problems,
) -> None:
    """`prefixes`: what may stand before the slash of a model's name; `models`: names that providers list.

    What an entry says is not quoted: it may have been filled in from a variable.
    """
    check_unique([(item, item.value.name) for item in items], "name", problems)
    names = {item.value.name for item in items} | {alias.value.pattern for alias in aliases}
    wildcards = [alias.value.pattern for alias in aliases if "*" in alias.value.pattern or "?" in alias.value.pattern]
    for item in items:
        for name in sorted(set(item.value.config) - OPTIONS):
            item.note(problems, "config", f"unknown option {shown_name(name)}{near(name, sorted(OPTIONS))}")
        for problem in config_problems(item.value.config):
            item.note(problems, "config", problem)
        for index, model in enumerate(_models(item.value), start=1):
            if not may_exist(model, names, prefixes, models, wildcards):
                hint = near(model.partition("/")[0], list(prefixes))
                item.note(problems, "models", f"number {index} names neither a provider nor a node nor a combo{hint}")
    _check_nesting(
        items, _combos_inside(items, {alias.value.pattern: alias.value.target for alias in aliases}), problems
    )


def may_exist(
    model: str,
    names: Collection[str],
    prefixes: Collection[str],
    models: Collection[str],
    wildcards: Sequence[str],
) -> bool:
    """A bare name may be offered one day; one with a slash leads to a provider, a combo, an alias, or is listed."""
    if "/" not in model or model in names or model in models or model.partition("/")[0] in prefixes:
        return True
    return any(model.startswith(f"{name}/") for name in (*names, "auto")) or any(
        fnmatchcase(model.lower(), pattern.lower()) for pattern in wildcards
    )


def check_aliases(items: Sequence[Item[AliasShape]], problems: Problems) -> None:
    check_unique([(item, item.value.pattern) for item in items], "pattern", problems)
    targets = {item.value.pattern: item.value.target for item in items}
    for item in items:
        if _returns(item.value.pattern, targets):
            item.note(problems, "target", "the alias leads back to itself")


def _returns(pattern: str, targets: Mapping[str, str]) -> bool:
    """Whether following exact aliases from a name comes back to it."""
    name = pattern
    for _ in range(len(targets)):
        name = targets.get(name, "")
        if name == pattern:
            return True
    return False


def check_chains(items: Sequence[Item[ChainShape]], problems: Problems) -> None:
    check_unique([(item, item.value.name) for item in items], "name", problems)


def check_prices(items: Sequence[Item[PriceShape]], problems: Problems) -> None:
    check_unique([(item, (item.value.model, item.value.begins)) for item in items], "model", problems)
    for item in items:
        try:
            expiry_seconds(item.value.begins)
        except ValueError:
            item.note(
                problems, "from", "must be a date or a date and time, like `2027-01-01` or `2027-01-01T12:00:00Z`"
            )


def check_keys(items: Sequence[Item[KeyShape]], problems: Problems) -> None:
    check_unique([(item, item.value.name) for item in items], "name", problems)
    check_unique([(item, item.value.secret) for item in items], "secret", problems)
    for item in items:
        if not re.fullmatch(r"[\x21-\x7e]+", item.value.secret):
            item.note(problems, "secret", "must be visible ASCII characters without spaces, as it travels in a header")
        for text in item.value.allowed_ips:
            if network_of(text) is None:
                item.note(problems, "allowed_ips", f"{text!r} is no address, no CIDR range, and not like 10.0.*.*")
        if isinstance(item.value.budget, tuple) and len({one.period for one in item.value.budget}) < len(
            item.value.budget
        ):
            item.note(problems, "budget", "two budgets must have different periods")
        try:
            expiry_seconds(item.value.expires)
        except ValueError:
            item.note(
                problems, "expires", "must be a date or a date and time, like `2027-01-01` or `2027-01-01T12:00:00Z`"
            )


def check_settings(item: Item[SettingsShape], known: Sequence[str], problems: Problems) -> None:
    for provider in item.value.blocked_providers or ():
        if provider not in known:
            hint = near(provider, known)
            item.note(problems, "blocked_providers", f"`{provider}` is neither a provider nor the id of a node{hint}")
    for provider in item.value.provider_strategies or ():
        if provider not in known:
            hint = near(provider, known)
            item.note(problems, "provider_strategies", f"`{provider}` is neither a provider nor the id of a node{hint}")
    for provider in item.value.profiles or ():
        if provider not in known and provider != EVERY_KEY:
            item.note(
                problems, "profiles", f"`{provider}` is neither a provider nor the id of a node, nor `{EVERY_KEY}`"
            )


def expiry_seconds(text: str | None) -> float:
    """Unix seconds of an ISO date (its first second) or date and time, UTC if it says no zone. 0 = never."""
    if text is None:
        return 0.0
    moment = datetime.fromisoformat(text.strip())
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if seconds <= 0:
        raise ValueError("before 1970")
    return seconds


def has_credentials(proxy: str) -> bool:
    """True for a proxy URL with a user or password in it."""
    return "@" in proxy


def check_unique(items: Sequence[tuple[Item[object], object]], name: str, problems: Problems) -> None:
    """Note each item whose value was seen before, with the line of the first."""
    first: dict[object, Item[object]] = {}
    for item, value in items:
        earlier = first.setdefault(value, item)
        if earlier is not item:
            item.note(problems, name, f"the same as {earlier.path}.{name} on line {earlier.place.line_of(name)}")


def _check_base_url(item: Item[FileNode], problems: Problems) -> None:
    url = _split(item.value.base_url)
    fault = "must be a URL like `https://host/v1`" if url is None else _base_url_fault(url, item.value)
    if fault:
        item.note(problems, "base_url", fault)


def _split(text: str) -> SplitResult | None:
    """A URL in parts; None if it is none. `urlsplit` drops control characters in silence, so they are refused first."""
    if _CONTROL.search(text) or re.search(r"[\s\\]", text):
        return None
    try:
        url = urlsplit(text)
        _ = url.port  # raises on a port that is no number up to 65535
    except ValueError:
        return None
    return url if url.scheme and url.hostname else None


def _base_url_fault(url: SplitResult, node: FileNode) -> str:
    if url.scheme not in ("http", "https"):
        return "must begin with `http://` or `https://`"
    if "@" in url.netloc:
        return "must not hold a user or password; give `api_key` in a connection"
    if "?" in node.base_url or "#" in node.base_url:
        return "must not have a query or fragment; the operation's path is appended to it"
    reach = reach_of_host(url.hostname or "")
    if reach == "refused":
        return "leads to a link-local, metadata, multicast or unspecified address, which is never allowed"
    if reach == "private" and not node.allow_private:
        return "leads to a loopback or private address; if that is meant, set `allow_private: true` on this node"
    return ""


def _proxy_fault(proxy: str) -> str:
    if not proxy:
        return ""
    url = _split(proxy)
    if url is None or url.path not in ("", "/") or "?" in proxy or "#" in proxy:
        return "must be a URL like `socks5://host:1080`"
    if url.scheme not in PROXY_SCHEMES:
        return f"must begin with one of {', '.join(f'`{scheme}://`' for scheme in PROXY_SCHEMES)}"
    if reach_of_host(url.hostname or "") == "refused":
        return "leads to a link-local, metadata, multicast or unspecified address, which is never allowed"
    return ""


def _combos_inside(items: Sequence[Item[ComboShape]], aliases: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Combo → the combos its models name, directly or through an exact alias."""
    names = {item.value.name for item in items}
    return {
        item.value.name: tuple(name for model in _models(item.value) if (name := _follow(model, names, aliases)))
        for item in items
    }


def _models(combo: ComboShape) -> Iterator[str]:
    for entry in combo.models:
        yield entry.model if isinstance(entry, ComboEntry) else entry


def _follow(model: str, combos: set[str], aliases: Mapping[str, str]) -> str | None:
    seen: set[str] = set()
    while model not in combos:
        if model in seen or model not in aliases:
            return None
        seen.add(model)
        model = aliases[model]
    return model


def _check_nesting(items: Sequence[Item[ComboShape]], inside: Mapping[str, Sequence[str]], problems: Problems) -> None:
    """Peel the combos level by level: what is left after the last allowed level is too deep, or in a circle."""
    by_name = {item.value.name: item for item in reversed(items)}
    done: set[str] = set()
    for _ in range(MAX_COMBO_DEPTH):
        done |= {name for name in inside if done.issuperset(inside[name])}
    left = {name: inside[name] for name in inside if name not in done}
    try:
        TopologicalSorter(left).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        first = min((by_name[name] for name in circle), key=lambda item: item.place.line)
        first.note(problems, "models", f"combos hold each other in a circle: {' → '.join(reversed(circle))}")
        return
    for name, others in left.items():
        if done.issuperset(others):
            by_name[name].note(problems, "models", f"combos inside combos may be {MAX_COMBO_DEPTH} deep at most")
