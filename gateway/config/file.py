"""The YAML config file: read, checked as a whole, and handed on as `FileConfig`.

Nothing of a file with a problem is used, and every problem is told at once with line and path. Reading YAML is in
`yaml_source.py`, shapes in `file_shape.py`, rules in `file_rules.py`. What is done with the result is up to the
admin process.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from gateway.config.file_rules import (
    Item,
    check_aliases,
    check_chains,
    check_combos,
    check_connections,
    check_keys,
    check_nodes,
    check_prices,
    check_settings,
    expiry_seconds,
    has_credentials,
)
from gateway.config.file_shape import (
    AliasShape,
    BackupPlan,
    Budget,
    ChainShape,
    ComboEntry,
    ComboShape,
    FileConnection,
    FileNode,
    FileShape,
    KeyShape,
    LimitsShape,
    PriceShape,
    SettingsShape,
    TimeoutsShape,
    WaitingShape,
)
from gateway.config.shape_reader import BAD, near, read_shape
from gateway.config.snapshot import (
    AccountStrategy,
    Alias,
    CacheSettings,
    CacheSwitch,
    ComboModel,
    FallbackChain,
    LogSettings,
    Price,
    Profile,
    ProviderStrategy,
    Resilience,
    RetryBudget,
    SessionAffinity,
    Shaping,
    ShapingStep,
    SharingSettings,
    Strategy,
    TierBudgets,
    Timeouts,
    Waiting,
)
from gateway.config.yaml_source import Place, Problems, read_yaml, shown_name
from gateway.providers.load import load_specs
from gateway.providers.spec import ProviderSpec

MAX_BYTES = 1_048_576

__all__ = ["ConfigFileError", "FileCombo", "FileConfig", "FileConnection", "FileKey", "FileNode", "FileSettings",
           "load_config_file"]  # fmt: skip


class ConfigFileError(ValueError):
    """A config file that cannot be used.

    `problems` holds one line each, such as "line 12: connections[0].rpm: expected `int`, got `str`"; no value of a
    secret is among them.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class FileCombo(msgspec.Struct, frozen=True):
    name: str
    strategy: Strategy
    models: tuple[ComboModel, ...]
    config: dict[str, bool | int | float | str]
    is_active: bool


class FileKey(msgspec.Struct, frozen=True):
    """`budget_usd` of 0 with no `budget_period` = no budget; `expires` is unix seconds, 0 = never."""

    name: str
    secret: str
    allowed_models: tuple[str, ...] = ()
    allowed_providers: tuple[str, ...] = ()
    allowed_endpoints: tuple[str, ...] = ()
    allowed_ips: tuple[str, ...] = ()
    warn_share: float = 0.8
    rpm: int = 0
    tpm: int = 0
    concurrency: int = 0
    budget_usd: float = 0.0
    budget_period: str = ""
    second_budget_usd: float = 0.0
    second_budget_period: str = ""
    second_warn_share: float = 0.8
    priority: str = "interactive"
    strict: bool = False
    no_log: bool = False
    cache_scope: str = ""
    cache: CacheSwitch = ""
    single_flight: CacheSwitch = ""
    store_bodies: CacheSwitch = ""
    unshaped: tuple[ShapingStep, ...] = ()
    expires: float = 0.0

    def __repr__(self) -> str:
        return f"FileKey(name={self.name!r})"


class FileSettings(msgspec.Struct, frozen=True):
    """What the file sets; None = not given. In the nested ones, what the file leaves out has its default."""

    account_strategy: AccountStrategy | None = None
    sticky_limit: int | None = None
    provider_strategies: dict[str, ProviderStrategy] | None = None
    timeouts: Timeouts | None = None
    waiting: Waiting | None = None
    cache: CacheSettings | None = None
    sharing: SharingSettings | None = None
    logs: LogSettings | None = None
    early_headers_s: float | None = None
    shaping: Shaping | None = None
    progress_s: float | None = None
    explains_all: bool | None = None
    blocked_providers: tuple[str, ...] | None = None
    resilience: Resilience | None = None
    profiles: dict[str, Profile] | None = None
    rate_limit_defaults: LimitsShape | None = None
    tier_budgets: TierBudgets | None = None
    session_affinity: SessionAffinity | None = None
    retry_budget: RetryBudget | None = None
    backups: BackupPlan | None = None


class FileConfig(msgspec.Struct, frozen=True):
    """A whole config file that has no problem. `warnings` are one line each, shaped like problems."""

    nodes: tuple[FileNode, ...] = ()
    connections: tuple[FileConnection, ...] = ()
    combos: tuple[FileCombo, ...] = ()
    aliases: tuple[Alias, ...] = ()
    fallback_chains: tuple[FallbackChain, ...] = ()
    keys: tuple[FileKey, ...] = ()
    prices: tuple[Price, ...] = ()
    settings: FileSettings | None = None
    warnings: tuple[str, ...] = ()


def load_config_file(path: Path, environment: Mapping[str, str]) -> FileConfig:
    """Read and check the config file at `path`; `${VAR}` comes from `environment`. Raises ConfigFileError."""
    return parse_config(_read_text(path), environment, load_specs())


def parse_config(text: str, environment: Mapping[str, str], specs: Mapping[str, ProviderSpec]) -> FileConfig:
    """Check the text of a config file. Raises ConfigFileError."""
    problems = Problems()
    root = read_yaml(text, environment, problems)
    if root is None:
        raise ConfigFileError(problems.texts())
    contents = _read_contents(root, problems)
    contents.check(specs, problems)
    if problems.found:
        raise ConfigFileError(problems.texts())
    return contents.build(_warnings(contents))


def _read_text(path: Path) -> str:
    try:
        if not path.exists():
            raise ConfigFileError((f"the config file {path} does not exist",))
        if not path.is_file():
            raise ConfigFileError((f"the config file {path} is not a file",))
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigFileError((f"the config file {path} cannot be read: {error.strerror}",)) from error
    if len(data) > MAX_BYTES:
        raise ConfigFileError((f"the config file {path} is larger than {MAX_BYTES:,} bytes",))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigFileError((f"line {line}: not UTF-8 text",)) from error


class _Contents:
    """The items of a file that have their shape, with their places."""

    def __init__(self, root: Place) -> None:
        self.root = root
        self.nodes: list[Item[FileNode]] = []
        self.connections: list[Item[FileConnection]] = []
        self.combos: list[Item[ComboShape]] = []
        self.aliases: list[Item[AliasShape]] = []
        self.fallback_chains: list[Item[ChainShape]] = []
        self.keys: list[Item[KeyShape]] = []
        self.prices: list[Item[PriceShape]] = []
        self.settings: Item[SettingsShape] | None = None

    def check(self, specs: Mapping[str, ProviderSpec], problems: Problems) -> None:
        known = (*specs, *self._node_words("id"))
        check_nodes(self.nodes, specs, problems)
        check_connections(self.connections, known, problems)
        check_combos(self.combos, self.aliases, self._prefixes(specs), self._listed(specs), problems)
        check_aliases(self.aliases, problems)
        check_chains(self.fallback_chains, problems)
        check_keys(self.keys, problems)
        check_prices(self.prices, problems)
        if self.settings:
            check_settings(self.settings, known, problems)

    def build(self, warnings: tuple[str, ...]) -> FileConfig:
        return FileConfig(
            nodes=tuple(msgspec.structs.replace(i.value, base_url=i.value.base_url.rstrip("/")) for i in self.nodes),
            connections=tuple(item.value for item in self.connections),
            combos=tuple(_combo(item.value) for item in self.combos),
            aliases=tuple(Alias(item.value.pattern, item.value.target) for item in self.aliases),
            fallback_chains=tuple(FallbackChain(item.value.name, item.value.models) for item in self.fallback_chains),
            keys=tuple(_key(item.value) for item in self.keys),
            prices=tuple(_price(item.value) for item in self.prices),
            settings=_settings(self.settings.value) if self.settings else None,
            warnings=warnings,
        )

    def _prefixes(self, specs: Mapping[str, ProviderSpec]) -> frozenset[str]:
        """What may stand before the slash of a model's name; of bad nodes too."""
        built_in = {word for spec in specs.values() for word in (spec.id, *spec.prefixes)}
        return frozenset(built_in.union(self._node_words("id"), self._node_words("prefix")))

    def _listed(self, specs: Mapping[str, ProviderSpec]) -> frozenset[str]:
        """Models that providers and connections list."""
        known = {model.id for spec in specs.values() for model in spec.models}
        return frozenset(known.union(*(item.value.models for item in self.connections)))

    def _node_words(self, field: str) -> tuple[str, ...]:
        """A field of all nodes, the bad ones too: what refers to one of these is not a second mistake."""
        nodes = self.root["nodes"]
        words = (
            [node[field] for node in nodes.value if isinstance(node, Place)]
            if nodes and isinstance(nodes.value, list)
            else []
        )
        return tuple(place.value for place in words if place and isinstance(place.value, str))


_ITEM_SHAPES: Mapping[str, type[msgspec.Struct]] = {
    "nodes": FileNode, "connections": FileConnection, "combos": ComboShape, "aliases": AliasShape,
    "fallback_chains": ChainShape, "keys": KeyShape, "prices": PriceShape,
}  # fmt: skip


def _read_contents(root: Place, problems: Problems) -> _Contents:
    contents = _Contents(root)
    if not isinstance(root.value, dict):
        problems.add(root.line, "", "the file must be a mapping that begins with `version: 1`")
        return contents
    known = FileShape.__struct_fields__
    for name, place in root.value.items():
        if name not in known:
            problems.add(place.line, "", f"unknown field {shown_name(name)}{near(name, known)}")
        elif name in _ITEM_SHAPES:
            getattr(contents, name).extend(_read_items(name, place, problems))
    _check_version(root, problems)
    settings = root["settings"]
    if settings and settings.value is not None:
        value = read_shape(settings, SettingsShape, "settings", problems)
        contents.settings = None if value is BAD else Item("settings", settings, value)
    return contents


def _check_version(root: Place, problems: Problems) -> None:
    version = root["version"]
    if version is None:
        problems.add(root.line, "", "the field `version` is missing; this version reads `version: 1`")
    elif version.value != 1 or type(version.value) is not int:
        problems.add(version.line, "version", "must be `1`")


def _read_items(name: str, place: Place, problems: Problems) -> list[Item[Any]]:
    if place.value is None:
        return []
    if not isinstance(place.value, list):
        problems.add(place.line, name, "must be a list: each entry begins with `-`")
        return []
    items = []
    for index, entry in enumerate(place.value):
        path = f"{name}[{index}]"
        value = read_shape(entry, _ITEM_SHAPES[name], path, problems)
        if value is not BAD:
            items.append(Item(path, entry, value))
    return items


def _warnings(contents: _Contents) -> tuple[str, ...]:
    """A secret in the file itself, or one that came out empty, is legal but seldom meant."""
    notes = Problems()
    for connection in contents.connections:
        _warn_literal(connection, "api_key", connection.value.api_key, notes)
        if has_credentials(connection.value.proxy):
            _warn_literal(connection, "proxy", connection.value.proxy, notes)
    for key in contents.keys:
        _warn_literal(key, "secret", key.value.secret, notes)
    return notes.texts()


def _warn_literal(item: Item[Any], name: str, value: str, notes: Problems) -> None:
    place = item.place[name]
    if place and value and not place.is_filled:
        item.note(notes, name, "the secret stands in the file itself; `${VAR}` or `${file:/path}` keeps it out")
    elif place and place.is_filled and not value:
        item.note(notes, name, "the variable or file it comes from is empty")


def _price(value: PriceShape) -> Price:
    price = msgspec.convert(value, Price, from_attributes=True)
    return msgspec.structs.replace(price, valid_from=expiry_seconds(value.begins))


def _combo(shape: ComboShape) -> FileCombo:
    models = tuple(
        ComboModel(entry.model, entry.weight) if isinstance(entry, ComboEntry) else ComboModel(entry)
        for entry in shape.models
    )
    return FileCombo(shape.name, shape.strategy, models, shape.config, shape.is_active)


def _budgets(shape: KeyShape) -> tuple[Budget, Budget]:
    """Those of some money come first: there is a second only beside a first."""
    none = Budget(0.0, "monthly")
    given = shape.budget if isinstance(shape.budget, tuple) else (shape.budget,) if shape.budget else ()
    first, second, *_ = (*sorted(given, key=lambda one: not one.usd), none, none)
    return first, second


def _key(shape: KeyShape) -> FileKey:
    budget, second = _budgets(shape)
    return FileKey(
        name=shape.name,
        secret=shape.secret,
        allowed_models=shape.allowed_models,
        allowed_providers=shape.allowed_providers,
        allowed_endpoints=shape.allowed_endpoints,
        allowed_ips=shape.allowed_ips,
        warn_share=budget.warn,
        rpm=shape.rpm,
        tpm=shape.tpm,
        concurrency=shape.concurrency,
        budget_usd=budget.usd,
        budget_period=budget.period if shape.budget else "",
        second_budget_usd=second.usd,
        second_budget_period=second.period if second.usd else "",
        second_warn_share=second.warn,
        priority=shape.priority,
        strict=shape.strict,
        no_log=shape.no_log,
        cache_scope=shape.cache_scope,
        cache=shape.cache,
        single_flight=shape.single_flight,
        store_bodies=shape.store_bodies,
        unshaped=shape.unshaped,
        expires=expiry_seconds(shape.expires),
    )


def _settings(shape: SettingsShape) -> FileSettings:
    return FileSettings(
        account_strategy=shape.account_strategy,
        sticky_limit=shape.sticky_limit,
        provider_strategies=shape.provider_strategies,
        timeouts=_timeouts(shape.timeouts) if shape.timeouts else None,
        waiting=_waiting(shape.waiting) if shape.waiting else None,
        cache=shape.cache,
        sharing=shape.sharing,
        logs=shape.logs,
        early_headers_s=shape.early_headers_s,
        shaping=shape.shaping,
        progress_s=shape.progress_s,
        explains_all=shape.explains_all,
        blocked_providers=shape.blocked_providers,
        resilience=shape.resilience,
        profiles=shape.profiles,
        rate_limit_defaults=shape.rate_limit_defaults,
        tier_budgets=shape.tier_budgets,
        session_affinity=shape.session_affinity,
        retry_budget=shape.retry_budget,
        backups=shape.backups,
    )


def _timeouts(shape: TimeoutsShape) -> Timeouts:
    given = {name: value for name, value in msgspec.structs.asdict(shape).items() if value is not None}
    return Timeouts(**given)


def _waiting(shape: WaitingShape) -> Waiting:
    given = {name: value for name, value in msgspec.structs.asdict(shape).items() if value is not None}
    return Waiting(**given)
