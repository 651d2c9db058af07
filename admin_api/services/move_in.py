"""Moving in from the seed system: its `storage.sqlite` → our rows, in one transaction, with a report of what stayed behind.

The file is copied and never touched. What is here already under the same name stays as it is, so moving in twice changes
nothing. Gateway keys keep their secrets: they are digested here and work unchanged.
"""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import structlog

from admin_api.services.combo_rules import name_problem, nesting_problem, read_models, through_aliases
from admin_api.services.keep_settings import load_settings
from admin_api.services.key_rules import new_key_row, secret_hint
from admin_api.services.masking import is_secret_name
from admin_api.services.node_rules import base_url_problem, prefix_problem, proxy_problem
from admin_api.services.plane import Plane
from admin_api.services.seed_secrets import SeedSecretError, SeedSecrets
from admin_api.store.backup_files import copy_foreign
from admin_api.store.collection import Collection
from admin_api.store.combos import ComboRow, combos
from admin_api.store.connections import blank_connection, connections
from admin_api.store.custom_models import CustomModelRow, custom_models, id_of_model
from admin_api.store.database import Change
from admin_api.store.keys import keys, unbury_key
from admin_api.store.names import AliasRow, ChainRow, aliases, chains
from admin_api.store.nodes import NodeRow, nodes
from admin_api.store.prices import PriceRow, price_id, prices
from admin_api.store.seed_database import Row, SeedData, read_seed
from admin_api.store.settings import SettingRow, settings_rows
from gateway.config.addresses import reach_of_host
from gateway.config.combo_config import OPTIONS, config_problems
from gateway.config.file_rules import may_exist
from gateway.config.keys import digest_of

MOVED_IN = "movedIn"
"""The setting that says that, and when, somebody has moved in: it is offered no longer."""

_MAX_LEFT_OUT = 1000
_STRATEGIES = ("priority", "weighted", "round-robin", "random", "least-used", "cost-optimized")
_ACCOUNT_STRATEGIES = ("fill-first", "round-robin", "p2c", "random", "least-used", "cost-optimized")
_EXTRA = (
    "global_priority", "default_model", "display_name", "email", "health_check_interval", "rate_limit_protection", "auth_type",
)  # fmt: skip
_PORTS = {"http": 8080, "https": 443, "socks5": 1080}
_REVOKED = ("revoked_at", "is_banned", "deleted_at")

log = structlog.get_logger()


class LeftOut(msgspec.Struct, frozen=True):
    """Something that did not move, and why. It holds no secret."""

    kind: str
    name: str
    reason: str


class MovedIn(msgspec.Struct, frozen=True, rename="camel"):
    """What moved, by kind; what did not; and what else one should know. `backup`: of what was here before."""

    taken: dict[str, int]
    left_out: list[LeftOut]
    notes: list[str]
    backup: str = ""


class _OnlyLooked(Exception):
    """Not an error: nothing is to be kept."""

    def __init__(self, report: MovedIn) -> None:
        super().__init__()
        self.report = report


def _stop_if_dry(report: MovedIn, *, is_dry_run: bool) -> None:
    if is_dry_run:
        raise _OnlyLooked(report)


async def move_in(plane: Plane, source: Path, seed_keys: Iterable[str], *, is_dry_run: bool = False) -> MovedIn:
    """Take over a seed system's database. `seed_keys`: what its `STORAGE_ENCRYPTION_KEY` may be.

    Raises BadDatabase, BackupFailed; nothing has changed then.
    """
    async with plane.backups.lock:
        with plane.backups.scratch("import") as folder:
            copy = folder / "seed.db"
            await asyncio.to_thread(copy_foreign, source, copy)
            seed = await asyncio.to_thread(read_seed, copy)
        secrets = await asyncio.to_thread(SeedSecrets, *seed_keys, plane.settings.storage_encryption_key)
        backup = ""
        if not is_dry_run:
            backup = (await plane.backups.create("pre-import")).id
        try:
            async with plane.change() as change:
                report = await _Move(plane, change, seed, secrets).run()
                change.trail.note("database.imported", "database", source.name, after=report.taken)
                _stop_if_dry(report, is_dry_run=is_dry_run)
        except _OnlyLooked as looked:
            return looked.report
    log.info("moved_in", **report.taken, left_out=len(report.left_out))
    return msgspec.structs.replace(report, backup=backup)


async def is_move_offered(plane: Plane) -> bool:
    """Whether a seed system's database lies in the data dir and nobody has moved in yet."""
    if not plane.settings.seed_database.is_file():
        return False
    async with plane.database.read() as connection:
        return MOVED_IN not in await load_settings(connection)


class _Move:
    """One run. Rows are made kind by kind, each knowing the kinds before it."""

    def __init__(self, plane: Plane, change: Change, seed: SeedData, secrets: SeedSecrets) -> None:
        self._plane = plane
        self._change = change
        self._connection = change.connection
        self._seed = seed
        self._secrets = secrets
        self._now = plane.now()
        self._taken: dict[str, int] = {}
        self._left_out: list[LeftOut] = []
        self._unnamed = 0
        self._notes: list[str] = []
        self._providers = {word: spec.id for spec in plane.specs.values() for word in (spec.id, *spec.prefixes)}
        self._prefixes = set(self._providers)

    async def run(self) -> MovedIn:
        await self._move_nodes()
        await self._move_connections()
        await self._move_models()
        await self._move_aliases()
        await self._move_combos()
        await self._move_chains()
        await self._move_keys()
        await self._move_prices()
        await self._move_settings()
        for table, count in self._seed.left_behind.items():
            if count:
                self._notes.append(f"{table}: {count} rows stay behind")
        if self._unnamed:
            self._notes.append(f"and {self._unnamed} more were left out")
        return MovedIn(self._taken, self._left_out, self._notes)

    def _leave(self, kind: str, name: object, reason: str) -> None:
        if len(self._left_out) >= _MAX_LEFT_OUT:
            self._unnamed += 1
        else:
            self._left_out.append(LeftOut(kind, str(name)[:200], reason))

    async def _keep(self, kind: str, collection: Collection[Any], row: msgspec.Struct) -> None:
        if "version" in row.__struct_fields__ and kind != "keys":
            row = msgspec.structs.replace(row, version=self._change.revision)
        await collection.insert(self._connection, row)
        self._taken[kind] = self._taken.get(kind, 0) + 1

    async def _move_nodes(self) -> None:
        existing = await nodes.load_all(self._connection)
        taken = {word: row.id for row in existing for word in (row.id, row.prefix)}
        for row in existing:
            self._providers |= {row.id: row.id, row.prefix: row.id}
        for seed in self._seed.nodes:
            node_id, prefix, base_url = (_text(seed, name) for name in ("id", "prefix", "base_url"))
            base_url = base_url.rstrip("/")
            problem = (
                prefix_problem(node_id) or prefix_problem(prefix) or base_url_problem(base_url)
                or ("belongs to a built-in provider" if prefix in self._prefixes or node_id in self._prefixes else "")
                or ("is there already" if node_id in taken or prefix in taken else "")
            )  # fmt: skip
            if problem:
                self._leave("node", _text(seed, "name") or node_id, problem)
                continue
            is_private = _is_private(base_url)
            if is_private:
                self._notes.append(f"node {prefix}: its address is private, so allowPrivate is set")
            row = NodeRow(
                node_id, prefix, _dialect(seed), base_url, _text(seed, "name")[:200], is_private, managed=False,
                created_at=self._now, updated_at=self._now,
            )  # fmt: skip
            taken |= {node_id: node_id, prefix: node_id}
            self._providers |= {node_id: node_id, prefix: node_id}
            await self._keep("nodes", nodes, row)
        self._prefixes = set(self._providers)

    async def _move_connections(self) -> None:
        existing = await connections.load_all(self._connection)
        names, ids = {(row.provider, row.name) for row in existing}, {row.id for row in existing}
        for seed in self._seed.connections:
            shown = _text(seed, "name") or _text(seed, "email") or _text(seed, "display_name") or _text(seed, "id")
            provider = self._providers.get(_text(seed, "provider"))
            if provider is None:
                self._leave("connection", shown, f"the provider {_text(seed, 'provider')!r} is not served here")
                continue
            if _text(seed, "auth_type") == "oauth" or (not _text(seed, "api_key") and _text(seed, "access_token")):
                self._leave("connection", shown, "a subscription account: its tokens stay behind, log in to it anew")
                continue
            if _text(seed, "id") in ids or (provider, shown[:200]) in names:
                self._leave("connection", shown, "is there already")
                continue
            try:
                api_key = self._secrets.open(_text(seed, "api_key"))
            except SeedSecretError as error:
                self._leave("connection", shown, str(error))
                continue
            names.add((provider, shown[:200]))
            await self._keep_connection(seed, provider, shown[:200], api_key)

    async def _keep_connection(self, seed: Row, provider: str, name: str, api_key: str) -> None:
        row = blank_connection(_text(seed, "id") or self._plane.new_id(), provider, name, self._now)
        proxy, problem = self._proxy(row.id, _text(seed, "provider"))
        if problem:
            self._leave("proxy", name, problem)
        extra = {_camel(key): seed[key] for key in _EXTRA if seed.get(key) not in (None, "")}
        if "rateLimitProtection" in extra:
            extra["rateLimitProtection"] = bool(extra["rateLimitProtection"])
        if specific := _without_secrets(seed.get("provider_specific_data")):
            extra["providerSpecificData"] = specific
        await self._keep(
            "connections",
            connections,
            msgspec.structs.replace(
                row,
                api_key=self._plane.seal(api_key, row.id),
                api_key_hint=secret_hint(api_key),
                proxy=self._plane.seal(proxy, row.id),
                priority=_count(seed, "priority", 1),
                max_concurrency=_count(seed, "max_concurrent", 0),
                is_active=seed.get("is_active") not in (0, "0", False),
                extra=extra,
            ),
        )

    def _proxy(self, connection_id: str, provider: str) -> tuple[str, str]:
        """The proxy that counted there for a connection, and why it cannot be used. Of combos' nothing is taken."""
        config = self._seed.documents.get("proxyConfig", {})
        for level, name in (("keys", connection_id), ("providers", provider), ("global", "")):
            found = config.get(level)
            given = found if level == "global" else found.get(name) if isinstance(found, dict) else None
            if given:
                url = _proxy_url(given)
                problem = proxy_problem(url)
                return ("", f"its proxy {problem}") if problem else (url, "")
        return "", ""

    async def _move_models(self) -> None:
        there = {row.id for row in await custom_models.load_all(self._connection)}
        for name, listed in self._seed.documents.get("customModels", {}).items():
            provider = self._providers.get(name)
            for model in listed if isinstance(listed, list) else ():
                model_id = _text(model, "id") if isinstance(model, dict) else ""
                key = id_of_model(provider or name, model_id)
                if provider is None or not model_id or len(model_id) > 256 or key in there:
                    reason = "is there already" if key in there else "its provider is not served here, or it has no id"
                    self._leave("model", f"{name}/{model_id}", reason)
                    continue
                there.add(key)
                shown, source = _text(model, "name") or model_id, _text(model, "source") or "manual"
                row = CustomModelRow(
                    key, provider, model_id, shown[:400], source[:40], 0, 0, created_at=self._now, updated_at=self._now
                )
                await self._keep("models", custom_models, row)

    async def _move_aliases(self) -> None:
        targets = {row.pattern: row.target for row in await aliases.load_all(self._connection)}
        documents = self._seed.documents
        wanted = {
            **documents.get("modelAliases", {}),
            **_wildcards(documents.get("settings", {}).get("wildcardAliases")),
        }
        for pattern, target in wanted.items():
            if pattern in targets or not isinstance(target, str) or not 0 < len(target) <= 256 or len(pattern) > 256:
                reason = "is there already" if pattern in targets else "leads to nothing that could be a model"
                self._leave("alias", pattern, reason)
                continue
            if not self._leads_somewhere(target):
                self._leave("alias", pattern, f"{target!r} is of a provider that is not served here")
                continue
            try:
                through_aliases(pattern, {**targets, pattern: target})
            except ValueError as error:
                self._leave("alias", pattern, str(error))
                continue
            targets[pattern] = target
            await self._keep("aliases", aliases, AliasRow(pattern, target, managed=False))

    async def _move_combos(self) -> None:
        existing = {
            row.name: [entry["model"] for entry in row.models] for row in await combos.load_all(self._connection)
        }
        documents = [document for seed in self._seed.combos if (document := _combo_document(seed))]
        names = {document["name"] for document in documents}
        made: list[ComboRow] = []
        for document in documents:
            name = document["name"]
            if problem := name_problem(name) or ("is there already" if name in existing else ""):
                self._leave("combo", name, problem)
                continue
            given = [one if isinstance(one, str) else _entry(one) for one in document.get("models") or []]
            entries, problems = read_models(
                [one for one in given if self._leads_somewhere(_model_of(one), names)][:100]
            )
            if len(entries) < len(given):
                self._notes.append(f"combo {name}: {len(given) - len(entries)} of its models are not served here")
            if problems or not entries:
                self._leave("combo", name, "none of its models is served here")
                continue
            nested = {**existing, name: [entry["model"] for entry in entries]}
            if problem := nesting_problem(nested) if names & set(nested[name]) else "":
                self._leave("combo", name, problem)
                continue
            existing = nested
            made.append(self._combo_row(document, entries))
        for row in made:
            await self._keep("combos", combos, row)

    def _combo_row(self, document: dict[str, Any], entries: list[dict[str, Any]]) -> ComboRow:
        name, strategy = document["name"], document.get("strategy")
        if strategy not in _STRATEGIES:
            self._notes.append(f"combo {name}: the strategy {strategy!r} is not known here, so it is priority")
            strategy = "priority"
        given = document.get("config") if isinstance(document.get("config"), dict) else {}
        config = {_snake(key): value for key, value in (given or {}).items()}
        kept = {key: value for key, value in config.items() if key in OPTIONS and not config_problems({key: value})}
        if dropped := sorted(set(config) - set(kept)):
            self._notes.append(f"combo {name}: options without a meaning here: {', '.join(dropped)[:200]}")
        return ComboRow(
            str(document.get("id") or self._plane.new_id())[:100], name, entries, strategy, kept,
            is_active=document.get("isActive") is not False, managed=False, created_at=self._now, updated_at=self._now,
        )  # fmt: skip

    async def _move_chains(self) -> None:
        there = {row.name for row in await chains.load_all(self._connection)}
        for seed in self._seed.chains:
            name, models = _text(seed, "model"), _chain(seed)
            if name in there or not models or not 0 < len(name) <= 400:
                self._leave("chain", name, "is there already" if name in there else "it leads nowhere")
                continue
            there.add(name)
            await self._keep("chains", chains, ChainRow(name, models, managed=False))

    async def _move_keys(self) -> None:
        there = {digest for row in await keys.load_all(self._connection) for digest in row.digests}
        for seed in self._seed.keys:
            secret, name = _text(seed, "key"), _text(seed, "name") or "moved in"
            digest = digest_of(secret, self._plane.pepper)
            expires_at, problem = _expiry(seed)
            if digest in there or not secret.isascii() or not secret.isprintable() or " " in secret or not secret:
                problem = "is there already" if digest in there else "its secret cannot be sent in a header"
            elif any(seed.get(field) for field in _REVOKED):
                problem = "it was revoked"
            allowed = _strings(seed.get("allowed_models"))
            if allowed is None:
                problem = "nobody can tell which models it may ask for"
            if problem or allowed is None:
                self._leave("key", name, problem)
                continue
            there.add(digest)
            row = msgspec.structs.replace(
                new_key_row(self._plane, secret, name[:200], self._change.revision),
                allowed_models=allowed,
                is_no_log=bool(seed.get("no_log")),
                is_active=seed.get("is_active") not in (0, "0", False),
                expires_at=expires_at,
            )
            await unbury_key(self._connection, digest)
            await self._keep("keys", keys, row)

    async def _move_prices(self) -> None:
        there = {row.id for row in await prices.load_all(self._connection)}
        for name, models in self._seed.documents.get("pricing", {}).items():
            for model, given in models.items() if isinstance(models, dict) else ():
                target = f"{name}/{model}"
                amounts = _amounts(given)
                if name not in self._providers or price_id(target, 0) in there or not amounts or len(target) > 256:
                    reason = "is there already" if target in there else "no price of a provider that is served here"
                    self._leave("price", target, reason)
                    continue
                there.add(target)
                blank = PriceRow(price_id(target, 0), target, 0.0, None, None, None, None, None, False, self._now, 1)
                await self._keep("prices", prices, msgspec.structs.replace(blank, **amounts))

    async def _move_settings(self) -> None:
        there, given = await load_settings(self._connection), self._seed.documents.get("settings", {})
        wanted: dict[str, Any] = {}
        if given.get("fallbackStrategy") in _ACCOUNT_STRATEGIES:
            wanted["fallbackStrategy"] = given["fallbackStrategy"]
        sticky = given.get("stickyRoundRobinLimit")
        if isinstance(sticky, int) and not isinstance(sticky, bool) and 0 <= sticky <= 1000:
            wanted["stickyRoundRobinLimit"] = sticky
        for name, value in wanted.items():
            if name in there:
                self._leave("setting", name, "is there already")
            else:
                await self._keep("settings", settings_rows, SettingRow(name, value, managed=False))
        for name in sorted(set(given) - set(wanted) - {"wildcardAliases"}):
            self._leave("setting", name, "is not taken over: set it here if it is wanted")
        if MOVED_IN not in there:
            await settings_rows.insert(
                self._connection, SettingRow(MOVED_IN, {"at": self._now}, managed=False, version=self._change.revision)
            )

    def _leads_somewhere(self, model: str, names: Iterable[str] = ()) -> bool:
        return bool(model) and may_exist(model, set(names), self._prefixes, (), ())


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value).strip()


def _count(row: Row, name: str, default: int) -> int:
    value = row.get(name)
    return value if isinstance(value, int) and 0 <= value <= 1_000_000 else default


def _dialect(seed: Row) -> str:
    if "anthropic-compatible" in _text(seed, "type"):
        return "anthropic_messages"
    return "openai_responses" if _text(seed, "api_type") == "responses" else "openai_chat"


def _is_private(base_url: str) -> bool:
    host = base_url.split("//", 1)[-1].split("/", 1)[0].rsplit("@", 1)[-1]
    name = host[1:].split("]", 1)[0] if host.startswith("[") else host.split(":", 1)[0]
    return reach_of_host(name) == "private"


def _proxy_url(given: Any) -> str:
    """The seed keeps a URL, or its parts with the port as text."""
    if not isinstance(given, dict):
        return str(given) if "://" in str(given) else f"http://{given}"
    scheme, host = _text(given, "type") or "http", _text(given, "host")
    port = _text(given, "port") or _PORTS.get(scheme, 8080)
    user, password = (quote(_text(given, name), safe="") for name in ("username", "password"))
    login = f"{user}:{password}@" if user or password else ""
    return f"{scheme}://{login}{host}:{port}"


def _without_secrets(given: Any) -> dict[str, Any]:
    """The seed keeps some secrets unsealed in here; they are left behind."""
    try:
        document = msgspec.json.decode(given) if isinstance(given, str) and given else {}
    except msgspec.DecodeError:
        return {}
    return {name: value for name, value in document.items() if not is_secret_name(name) and not isinstance(value, dict)}


def _combo_document(seed: Row) -> dict[str, Any]:
    """A combo is kept as one document, its name beside it."""
    try:
        document = msgspec.json.decode(_text(seed, "data") or "{}")
    except msgspec.DecodeError:
        document = {}
    return {**(document if isinstance(document, dict) else {}), "id": seed.get("id"), "name": _text(seed, "name")}


def _entry(given: Any) -> dict[str, Any]:
    weight = given.get("weight") if isinstance(given, dict) else 0
    return {"model": _model_of(given), "weight": weight if isinstance(weight, int | float) else 0}


def _model_of(given: Any) -> str:
    model = given.get("model") if isinstance(given, dict) else given
    return model.strip() if isinstance(model, str) else ""


def _chain(seed: Row) -> list[str]:
    """Entries are names, or `{provider, priority, enabled}` of the chain's own model."""
    try:
        given = msgspec.json.decode(_text(seed, "chain") or "[]")
    except msgspec.DecodeError:
        return []
    entries = given if isinstance(given, list) else []
    known = [
        one for one in entries if isinstance(one, str) or (isinstance(one, dict) and one.get("enabled") is not False)
    ]
    named = sorted(known, key=lambda one: one.get("priority") or 0 if isinstance(one, dict) else 0)
    return [one if isinstance(one, str) else f"{_text(one, 'provider')}/*" for one in named][:100]


def _wildcards(given: Any) -> dict[str, Any]:
    """The seed knows both a list of `{pattern, target}` and a map."""
    if isinstance(given, dict):
        return given
    entries = given if isinstance(given, list) else []
    return {
        _text(one, "pattern"): one.get("target") for one in entries if isinstance(one, dict) and _text(one, "pattern")
    }


def _strings(given: Any) -> list[str] | None:
    """A list kept as JSON; None when it is none. It must not become shorter: an empty one allows all."""
    try:
        found = msgspec.json.decode(given) if isinstance(given, str) and given else given or []
    except msgspec.DecodeError:
        return None
    fits = isinstance(found, list) and len(found) <= 1000 and all(isinstance(one, str) for one in found)
    return [one for one in found if 0 < len(one) <= 400] if fits and all(found) else None


def _expiry(seed: Row) -> tuple[float, str]:
    """Unix seconds, 0 = never; and why it cannot be told."""
    text = _text(seed, "expires_at")
    if not text:
        return 0.0, ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0.0, "nobody can tell when it expires"
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp(), ""


def _amounts(given: Any) -> dict[str, float]:
    """USD per 1,000,000 tokens."""
    names = {
        "input": "input", "output": "output", "cached": "cache_read", "cache_creation": "cache_write",
        "reasoning": "reasoning",
    }  # fmt: skip
    found = given if isinstance(given, dict) else {}
    return {
        ours: float(found[theirs])
        for theirs, ours in names.items()
        if isinstance(found.get(theirs), int | float) and 0 <= found[theirs] <= 1e9
    }


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
