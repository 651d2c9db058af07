"""What the control plane alone knows, for the metrics page: the ledger's lag, jobs, what rests, budgets, the servers' own figures.

Every admin process tells all of it, so that none depends on who holds which lease. What cannot be read now keeps no old value:
`omniroute_sql_up` and `omniroute_valkey_up` say so.
"""

import asyncio
import time
from collections import Counter as Tally
from collections.abc import Mapping
from typing import Any, get_args

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from admin_api.services.budget_spending import spent_by_key
from admin_api.services.keep_settings import load_settings
from admin_api.services.plane import LoginOutcome, Plane
from admin_api.services.quotas import tier_quotas
from admin_api.services.spool_size import spool_bytes
from admin_api.store.connections import connections
from admin_api.store.faults import FAILURES
from admin_api.store.keys import load_keys_with_budget
from admin_api.store.records import count_rejected
from gateway.state.records_admin import oldest_record
from gateway.state.rests_admin import read_rests
from gateway.state.server_look import STORE_S, ServerFigures, look_at_server
from gateway.state.told_limits import read_told
from gateway.telemetry.metrics import ControlMetrics, Gauge, Labels
from gateway.telemetry.process_look import ProcessLook

EVERY_S = 2.0
NAMES_S = 15.0
"""The names of connections are read so often, for what rests; sums of what keys have spent so often:"""
BUDGETS_S = 60.0
MOST_NAMES = 5_000
MOST_BUDGETS = 200
"""Budgets of keys that are told, those that are furthest."""
MOST_CONNECTIONS = 500
"""Connections whose provider's own limits are told; all connections are told of when they rest."""


class TellMetricsJob:
    """One look at everything, handed over at once."""

    def __init__(self, plane: Plane, metrics: ControlMetrics | None = None) -> None:
        self._plane = plane
        self.metrics = metrics or ControlMetrics()
        self._process = ProcessLook("admin", time.monotonic)
        self._shown: dict[int, set[Labels]] = {}
        self._counted: dict[str, ServerFigures] = {}
        self._budgets_due = 0.0
        self._names_due = 0.0
        self._names: dict[str, tuple[str, str]] = {}
        """(provider, name) of connections by id, at most MOST_NAMES."""

    async def __call__(self) -> None:
        metrics, plane = self.metrics, self._plane
        self._process.look(metrics)
        for name, status in plane.jobs.items():
            metrics.job_failing.set(1 if status.error else 0, (name,))
        self._tell_logins()
        metrics.spool_bytes.set(await asyncio.to_thread(spool_bytes, plane.settings.spool_dir))
        await self._look_at_sql()
        await self._look_at_state()
        await self._look_at_server("state", plane.redis)
        if plane.cache_store is not None:
            await self._look_at_server("cache", plane.cache_store)
        metrics.flush()

    def _tell_logins(self) -> None:
        counts = self._plane.login_counts
        for outcome in get_args(LoginOutcome):
            self.metrics.logins.add((outcome,), counts[outcome])  # 0 too: an alert sees the first one rise
        counts.clear()

    async def _look_at_sql(self) -> None:
        metrics, plane, now = self.metrics, self._plane, self._plane.now()
        try:
            async with plane.database.read() as connection:
                metrics.ledger_rejected_records.set(await count_rejected(connection))
                metrics.sql_up.set(1)
                if now >= self._names_due:
                    self._names_due = now + NAMES_S
                    found = (await connections.load_page(connection, "", MOST_NAMES)).rows
                    self._names = {row.id: (row.provider, row.name or row.id) for row in found}
                if now < self._budgets_due:
                    return
                self._budgets_due = now + BUDGETS_S
                rows = await load_keys_with_budget(connection)
                spent = await spent_by_key(connection, rows, now)
                settings = {name: row.value for name, row in (await load_settings(connection)).items()}
        except FAILURES:
            metrics.sql_up.set(0)
            return
        used: dict[Labels, float] = {
            (row.name, budget.period): spent.get((row.id, budget.period), 0) / budget.nano_usd
            for row in rows
            for budget in row.budgets
            if budget.nano_usd
        }
        furthest = sorted(used, key=lambda name: -used[name])[:MOST_BUDGETS]
        self._show(metrics.key_budget_used_ratio, {name: used[name] for name in furthest})
        await self._look_at_tiers(settings.get("tierBudgets", {}))

    async def _look_at_tiers(self, budgets: Mapping[str, Any]) -> None:
        plane = self._plane
        try:
            tiers = await tier_quotas(plane.redis, budgets, plane.now())
        except (RedisError, OSError, msgspec.ValidationError):
            return
        ratios: dict[Labels, float] = {
            (one["tier"],): 1 - one["quotas"][0]["remainingPercentage"] / 100 for one in tiers
        }
        self._show(self.metrics.tier_budget_used_ratio, ratios)

    async def _look_at_state(self) -> None:
        metrics, redis, names = self.metrics, self._plane.redis, self._names
        try:
            waiting, age_s = await oldest_record(redis)
            states = await read_rests(redis)
            ids = list(names)[:MOST_CONNECTIONS]
            told = await read_told(redis, ids)
        except (RedisError, OSError):
            return
        metrics.ledger_waiting_records.set(waiting)
        metrics.ledger_lag_seconds.set(age_s)
        resting: Tally[Labels] = Tally()
        for state in states:
            provider, name = (state.provider, "") if state.provider else names.get(state.connection_id, ("", ""))
            resting[provider, name, state.state] += 1
        self._show(metrics.resting, resting)
        ratios: dict[Labels, float] = {}
        for connection_id, one in zip(ids, told, strict=True):
            for window, limits in (("requests", one.requests), ("tokens", one.tokens)) if one is not None else ():
                if limits is not None and limits.limit > 0:
                    ratios[*names[connection_id], window] = max(0.0, 1 - limits.remaining / limits.limit)
        self._show(metrics.quota_used_ratio, ratios)

    async def _look_at_server(self, store: str, redis: Redis) -> None:
        metrics, labels = self.metrics, (store,)
        try:
            async with asyncio.timeout(2 * STORE_S):
                figures = await look_at_server(redis)
        except (RedisError, OSError, TimeoutError):
            metrics.valkey_up.set(0, labels)
            return
        metrics.valkey_up.set(1, labels)
        metrics.valkey_ping_seconds.set(figures.ping_s, labels)
        metrics.valkey_memory_bytes.set(figures.memory_bytes, labels)
        metrics.valkey_memory_limit_bytes.set(figures.memory_limit_bytes, labels)
        metrics.valkey_clients.set(figures.clients, labels)
        metrics.valkey_replicas.set(figures.replicas, labels)
        metrics.valkey_keys.set(figures.keys, labels)
        metrics.valkey_persistence_ok.set(1 if figures.is_persistence_ok else 0, labels)
        before = self._counted.get(store)
        if before is None or before.run_id != figures.run_id:  # another server has counted from nothing
            before = ServerFigures(run_id=figures.run_id)
        self._counted[store] = figures
        metrics.valkey_commands.add(labels, figures.commands - before.commands)
        metrics.valkey_key_looks.add((store, "hit"), figures.hits - before.hits)
        metrics.valkey_key_looks.add((store, "miss"), figures.misses - before.misses)
        metrics.valkey_evicted_keys.add(labels, figures.evicted - before.evicted)
        metrics.valkey_refused_connections.add(labels, figures.refused - before.refused)

    def _show(self, gauge: Gauge, values: Mapping[Labels, float]) -> None:
        """Set what is there; what was there before and is gone becomes 0, as a gauge's series cannot be taken back."""
        before = self._shown.get(id(gauge), set())
        for labels in before - values.keys():
            gauge.set(0, labels)
        for labels, value in values.items():
            gauge.set(value, labels)
        self._shown[id(gauge)] = before | values.keys()
