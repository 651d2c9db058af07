"""The configuration as a config file, and as an archive: without credentials and without hashes of any.

What is secret becomes `${…}`, to be filled in where the file is used. What the file has no words for stands in it as a comment,
so the file is always one that can be applied.
"""

import io
import re
import tarfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import yaml

from admin_api.services.key_rules import NANO
from admin_api.services.masking import masked
from admin_api.services.plane import Plane
from admin_api.store.combos import ComboRow, combos
from admin_api.store.connections import ConnectionRow, connections
from admin_api.store.custom_models import custom_models
from admin_api.store.keys import KeyRow, keys
from admin_api.store.names import aliases, chains
from admin_api.store.nodes import NodeRow, nodes
from admin_api.store.prices import PriceRow, prices
from admin_api.store.settings import SettingRow, settings_rows
from gateway import __version__
from gateway.config.file import ConfigFileError, parse_config
from gateway.config.file_shape import SettingsShape

_SETTINGS = {
    "fallbackStrategy": "account_strategy",
    "stickyRoundRobinLimit": "sticky_limit",
    "providerStrategies": "provider_strategies",
    "tierBudgets": "tier_budgets",
    "sessionAffinity": "session_affinity",
    "retryBudget": "retry_budget",
    "earlyHeadersS": "early_headers_s",
    "progressS": "progress_s",
    "explainsAll": "explains_all",
    "providerProfiles": "profiles",
    "rateLimitDefaults": "rate_limit_defaults",
    "blockedProviders": "blocked_providers",
}
_PROBLEM = re.compile(r"line \d+: (\w+)(?:\[(\d+)\])?(?:\.(\w+))?")
_ROUNDS = 50
_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")

Document = dict[str, Any]


class Exported(msgspec.Struct, frozen=True):
    """`text` is YAML; `variables` are those it wants; `left_out` says what it has no words for."""

    text: str
    variables: list[str]
    left_out: list[str]


async def export_config(plane: Plane) -> Exported:
    """The whole configuration as a config file."""
    left_out: list[str] = []
    variables = _Variables()
    async with plane.database.read() as connection:
        document: Document = {
            "version": 1,
            "nodes": [_node(row) for row in await nodes.load_all(connection)],
            "connections": [
                _connection(row, variables) for row in _active(await connections.load_all(connection), left_out)
            ],
            "combos": [_combo(row) for row in await combos.load_all(connection)],
            "aliases": [
                {"pattern": _plain(row.pattern), "target": _plain(row.target)}
                for row in await aliases.load_all(connection)
            ],
            "fallback_chains": [
                {"name": _plain(row.name), "models": _plain(row.models)} for row in await chains.load_all(connection)
            ],
            "keys": [_key(row, variables) for row in _active(await keys.load_all(connection), left_out)],
            "prices": [_price(row) for row in await prices.load_all(connection)],
            "settings": _settings(await settings_rows.load_all(connection), left_out),
        }
        left_out += [
            f"model {row.id}: added models are not in config files" for row in await custom_models.load_all(connection)
        ]
    document = {name: value for name, value in document.items() if value}
    text = _applicable(plane, document, variables.proxies, left_out)
    used = sorted(set(_PLACEHOLDER.findall(text)) & set(variables.names))
    head = ["OmniRoute configuration. Fill in: " + (", ".join(used) or "nothing"), *left_out_lines(left_out)]
    comments = "".join(f"# {line.encode('unicode_escape').decode()}\n" for line in head)
    return Exported(comments + text, used, left_out)


def left_out_lines(left_out: list[str]) -> list[str]:
    return ["Left out:", *(f"  {line}" for line in left_out)] if left_out else []


async def export_archive(plane: Plane) -> bytes:
    """A `.tar.gz` of the configuration to read and compare: as a config file, and kind by kind as JSON."""
    exported = await export_config(plane)
    async with plane.database.read() as connection:
        files: dict[str, Any] = {
            "settings.json": {row.name: row.value for row in await settings_rows.load_all(connection)},
            "nodes.json": await nodes.load_all(connection),
            "providers.json": [
                _without(row, "api_key", "api_key_hint", "proxy") for row in await connections.load_all(connection)
            ],
            "combos.json": await combos.load_all(connection),
            "aliases.json": await aliases.load_all(connection),
            "fallback-chains.json": await chains.load_all(connection),
            "models.json": await custom_models.load_all(connection),
            "prices.json": await prices.load_all(connection),
            "api-keys.json": [
                _without(row, "digest", "old_digest", "counted_as", "hint") for row in await keys.load_all(connection)
            ],
        }
    files["metadata.json"] = {"format": "omniroute-export-v1", "version": __version__, "exportedAt": plane.now()}
    contents = {
        name: msgspec.json.format(msgspec.json.encode(masked(value)), indent=1) for name, value in files.items()
    }
    contents["config.yaml"] = exported.text.encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in sorted(contents.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = len(data), int(plane.now()), 0o600
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


class _Variables:
    """Names of variables for secrets, each once."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.proxies: set[str] = set()
        self._seen: set[str] = set()

    def reference(self, *words: str, is_proxy: bool = False) -> str:
        wanted = "_".join(re.sub(r"[^A-Z0-9]+", "_", word.upper()).strip("_") or "X" for word in words)[:80]
        name, number = wanted, 1
        while name in self._seen:
            number += 1
            name = f"{wanted}_{number}"
        self._seen.add(name)
        self.names.append(name)
        if is_proxy:
            self.proxies.add(name)
        return f"${{{name}}}"


def _applicable(plane: Plane, document: Document, proxies: set[str], left_out: list[str]) -> str:
    """The document as YAML, without what would be refused."""
    for _ in range(_ROUNDS):
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
        # Each stands for a secret of its own, as two keys with one secret would be refused.
        names = set(_PLACEHOLDER.findall(text))
        environment = {name: f"stands-for-a-secret-{name}" for name in names}
        environment |= dict.fromkeys(names & proxies, "http://stands-for-a-proxy.example")
        try:
            parse_config(text, environment, plane.specs)
        except ConfigFileError as error:
            _leave_out(document, error.problems, left_out)
            continue
        return text
    left_out.append("what is left after so many rounds cannot be said in a config file")
    return "version: 1\n"


def _leave_out(document: Document, problems: Iterable[str], left_out: list[str]) -> None:
    gone: set[tuple[str, int]] = set()
    for problem in problems:
        place = _PROBLEM.match(problem)
        section, index = (place[1], place[2]) if place else ("", None)
        said = problem.partition(": ")[2]
        if section == "settings" and place and place[3] in document.get("settings", {}):
            del document["settings"][place[3]]
            left_out.append(said)
        elif index is not None and section in document and (section, int(index)) not in gone:
            gone.add((section, int(index)))
            name = document[section][int(index)]
            left_out.append(f"{section} {name.get('name') or name.get('id') or ''}: {said}")
        elif index is None and section in document:
            del document[section]
            left_out.append(said)
    for section, number in sorted(gone, reverse=True):
        del document[section][number]


def _active(rows: list[Any], left_out: list[str]) -> list[Any]:
    """A config file has only what is switched on."""
    left_out += [f"{row.name}: it is switched off, which config files cannot say" for row in rows if not row.is_active]
    return [row for row in rows if row.is_active]


def _node(row: NodeRow) -> Document:
    return _said(
        {"id": row.id, "prefix": row.prefix, "dialect": row.dialect, "base_url": row.base_url, "name": row.name,
         "allow_private": row.allow_private}
    )  # fmt: skip


def _connection(row: ConnectionRow, variables: _Variables) -> Document:
    names = ("provider", "name", "priority", "tier", "rpm", "min_gap_ms", "max_concurrency", "models", "fingerprint")
    document = {name: getattr(row, name) for name in names}
    words = (row.provider, row.name)
    secrets = {}
    if row.api_key:
        secrets["api_key"] = variables.reference(*words, "API_KEY")
    if row.proxy:
        secrets["proxy"] = variables.reference(*words, "PROXY", is_proxy=True)
    return {**_said(document, kept=("priority",)), **secrets}


def _combo(row: ComboRow) -> Document:
    models = [
        {"model": one["model"], "weight": one["weight"]} if one.get("weight") else one["model"] for one in row.models
    ]
    document = {"name": row.name, "strategy": row.strategy, "models": models, "config": row.config}
    return {**_said(document), **({} if row.is_active else {"is_active": False})}


def _key(row: KeyRow, variables: _Variables) -> Document:
    document = {
        "name": row.name, "allowed_models": row.allowed_models, "allowed_providers": row.allowed_providers,
        "allowed_endpoints": row.allowed_endpoints, "allowed_ips": row.allowed_ips, "rpm": row.rpm, "tpm": row.tpm,
        "concurrency": row.concurrency, "priority": row.priority, "strict": row.is_strict, "no_log": row.is_no_log,
        "cache_scope": row.cache_scope, "cache": row.cache, "single_flight": row.single_flight, "unshaped": row.unshaped,
        "expires": _moment(row.expires_at),
    }  # fmt: skip
    budgets: list[Document] = [
        {"usd": one.nano_usd / NANO, "period": one.period, "warn": one.warn_share} for one in row.budgets
    ]
    if not budgets and row.budget_period:
        budgets = [{"usd": 0.0, "period": row.budget_period}]
    budget = {"budget": budgets[0] if len(budgets) == 1 else budgets} if budgets else {}
    return {**_said(document), "secret": variables.reference("KEY", row.name), **budget}


def _price(row: PriceRow) -> Document:
    names = ("input", "output", "cache_read", "cache_write", "reasoning")
    amounts = {name: value for name in names if (value := getattr(row, name)) is not None}
    return {"model": _plain(row.model), **({"from": _moment(row.valid_from)} if row.valid_from else {}), **amounts}


def _settings(rows: list[SettingRow], left_out: list[str]) -> Document:
    known = SettingsShape.__struct_fields__
    document: Document = {}
    for row in rows:
        name = _SETTINGS.get(row.name, row.name)
        if name in known:
            document[name] = _plain(row.value)
        else:
            left_out.append(f"setting {row.name}: config files do not have it")
    return document


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat() if seconds else ""


def _said(document: Mapping[str, Any], kept: tuple[str, ...] = ()) -> Document:
    """Without what says nothing."""
    return {
        name: _plain(value) for name, value in document.items() if name in kept or value not in ("", 0, [], {}, False)
    }


def _plain(value: Any) -> Any:
    """A value of ours as a file must write it: `${` in it is no reference."""
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def _without(row: msgspec.Struct, *names: str) -> Document:
    return {name: value for name, value in msgspec.structs.asdict(row).items() if name not in names}
