"""How long every view and list of the control plane takes with many records and keys: `make bench-admin`.

It makes 5,000,000 records and 100,000 keys (once; `--records`, `--keys`, `--folder`), asks each path through the real
application in one process, and prints the slowest of each after one warm-up, with the process's memory. A view that
takes longer than the limit fails the run.
"""

import argparse
import asyncio
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx

from admin_api.jobs.ledger import LedgerJob
from admin_api.jobs.usage import FoldHoursJob, TopKeysJob
from admin_api.store.database import FILE_NAME
from gateway.domain.ids import uuid7
from gateway.domain.record import AttemptRecord, RequestRecord, encode_record
from gateway.domain.usage import Usage
from gateway.state import keys as redis_keys
from loadtests.admin_data import KEYS, RECORDS, fill
from tests.support.admin_plane import ADMIN_TOKEN, Valkey, client_of, make_plane, make_settings

LIMIT_MS = 300.0
ROUNDS = 7
_HOUR = 3600


def paths(now: float) -> list[str]:
    """Every view and list that rows or keys can make slow."""
    lists = [
        "", "&provider=provider-3", "&account=connection-007", "&key=key-000007", "&model=model-9", "&combo=always-on",
        "&status=error", "&status=ok", "&status=404", "&provider=provider-3&status=error", "&combo=always-on&key=key-000007",
        f"&search=key-0000&since={now - _HOUR}", f"&search=nothing&since={now - 90 * 24 * _HOUR}",
        f"&since={now - 40 * 24 * _HOUR}&until={now - 39 * 24 * _HOUR}",
    ]  # fmt: skip
    return [
        *(f"/api/usage/logs?limit=50{words}" for words in lists),
        "/api/usage/history?limit=200",
        *(f"/api/usage/analytics?range={one}" for one in ("1d", "7d", "30d", "90d", "ytd", "all")),
        "/api/usage/connection-007?range=90d",
        "/api/provider-metrics?hours=24",
        "/api/provider-metrics?hours=2160",
        "/api/telemetry/summary?hours=2160",
        "/api/pricing/unknown?days=90",
        "/api/cache/stats?days=30",
        "/api/combos/metrics?range=all",
        "/api/keys?limit=50",
        "/api/keys?limit=50&search=key-0999",
        "/api/keys?limit=50&search=nothing",
        "/api/usage/budget?limit=50",
        "/api/usage/budget",
        "/api/usage/quota",
        "/api/compliance/audit-log?limit=50",
    ]


async def run(folder: Path, *, is_strict: bool) -> int:
    with tempfile.TemporaryDirectory() as runtime:
        valkey = Valkey(Path(runtime)).start()
        try:
            return await _measure(folder, valkey.url, is_strict=is_strict)
        finally:
            valkey.stop()


async def _measure(folder: Path, redis_url: str, *, is_strict: bool) -> int:
    plane = await make_plane(make_settings(folder, redis_url))
    began = time.monotonic()
    await TopKeysJob(plane)()
    print(f"job top-keys {time.monotonic() - began:6.1f} s")
    began = time.monotonic()
    await FoldHoursJob(plane)()
    print(f"job fold-hours {time.monotonic() - began:4.1f} s")
    slow = []
    async with client_of(plane, headers={"authorization": f"Bearer {ADMIN_TOKEN}"}, timeout=60) as client:
        memory = _memory_mb()
        for path in paths(plane.now()):
            median, worst = await _times(client, path)
            slow += [path] * (worst > LIMIT_MS)
            print(f"{median:8.1f} {worst:8.1f} ms  {path}")
    print(f"memory before {memory:.0f} MB, most {_memory_mb():.0f} MB")
    print(f"record job with these tables: {await _record_job(plane):.1f} µs a record")
    await plane.close()
    if slow:
        print(f"over {LIMIT_MS:.0f} ms: {', '.join(slow)}", file=sys.stderr)
    return 1 if slow and is_strict else 0


async def _times(client: httpx.AsyncClient, path: str) -> tuple[float, float]:
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        answer = await client.get(path)
        took.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[:200])
    return statistics.median(took[1:]), max(took[1:])


async def _record_job(plane) -> float:
    """CPU µs a record, of records of many keys, at the best of five batches."""
    best = 1e9
    for _ in range(5):
        pipeline = plane.redis.pipeline(transaction=False)
        for number in range(1000):
            pipeline.xadd(redis_keys.RECORDS, {"r": encode_record(sample_record(number))})
        await pipeline.execute()
        began = time.process_time()
        await LedgerJob(plane)()
        best = min(best, (time.process_time() - began) / 1000 * 1e6)
    return best


def sample_record(number: int) -> RequestRecord:
    """One of many keys, connections and models."""
    now = time.time()
    attempt = AttemptRecord("provider-1", "connection-001", "model-1", "committed", duration_ms=1.5)
    return RequestRecord(
        id=uuid7(int(now * 1000), time.perf_counter_ns().to_bytes(10, "big")), at=now, worker="w", dialect="openai_chat",
        endpoint="/v1/chat/completions", requested_model="m", key_id=f"key-{number * 97 % 100_000:06}", key_name="bench",
        provider="provider-1", connection_id=f"connection-{number % 300:03}", model=f"model-{number % 40}", status=200,
        usage=Usage(input=500, output=20), attempts=(attempt,), first_byte_ms=1.2, duration_ms=1.9,
    )  # fmt: skip


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description="Time every view of the control plane on many records.")
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--keys", type=int, default=KEYS)
    parser.add_argument("--folder", type=Path, default=Path("loadtests/out/admin"))
    parser.add_argument("--report-only", action="store_true", help="do not fail when a view is slow")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if not (given.folder / FILE_NAME).exists():
        fill(given.folder, given.records, given.keys)
    return asyncio.run(run(given.folder, is_strict=not given.report_only))


if __name__ == "__main__":
    sys.exit(main())
