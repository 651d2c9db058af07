"""How many records a second the ledger takes into PostgreSQL, and what they cost: `make bench-ledger`.

A real PostgreSQL (which does not wait for the disk) and a real Valkey are started; records of many keys are put into the stream and
the job of the control plane takes them out, as it does in production. CPU is of this process (the job) and of all of PostgreSQL's.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from admin_api.jobs.ledger import LedgerJob
from gateway.domain.record import encode_record
from gateway.state import keys as redis_keys
from loadtests.admin_views import sample_record
from loadtests.processes import family, sample, spent_us
from tests.support.admin_plane import Valkey, make_plane, make_settings
from tests.support.real_postgres import RealPostgres


async def run(batches: int, records: int) -> None:
    with tempfile.TemporaryDirectory() as runtime, RealPostgres() as server:
        valkey = Valkey(Path(runtime)).start()
        try:
            url = server.make_database("ledger")
            plane = await make_plane(make_settings(Path(runtime), valkey.url, database_url=url))
            taken = [await _take(plane, server, records) for _ in range(batches)]
            await plane.close()
            for place, (name, unit) in enumerate((("rate", "records/s"), ("job", "µs"), ("PostgreSQL", "µs"))):
                values = [one[place] for one in taken]
                print(
                    f"{name:12} {statistics.median(values):8,.1f} {unit:9} ({min(values):,.1f} to {max(values):,.1f})"
                )
            print(f"{'on disk':12} {_bytes_a_row(server):8,.0f} bytes a record, indexes and all")
        finally:
            valkey.stop()


async def _take(plane, server: RealPostgres, records: int) -> tuple[float, float, float]:
    """Records a second, CPU µs a record of the job, and of PostgreSQL."""
    pipeline = plane.redis.pipeline(transaction=False)
    for number in range(records):
        pipeline.xadd(redis_keys.RECORDS, {"r": encode_record(sample_record(number))})
    await pipeline.execute()
    members = [process.pid for process in family(server.pid, "no such mark")]
    before, began, cpu = sample(members, None), time.monotonic(), time.process_time()
    await LedgerJob(plane)()
    took, own = time.monotonic() - began, time.process_time() - cpu
    left = await plane.redis.xlen(redis_keys.RECORDS)
    assert not left, f"{left} records were not taken"
    return records / took, own / records * 1e6, spent_us(before, sample(members, None)) / records


def _bytes_a_row(server: RealPostgres) -> float:
    statement = "SELECT pg_total_relation_size('request_records')::float / (SELECT count(*) FROM request_records)"
    return float(server.execute(statement, "ledger")[0])


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the ledger on PostgreSQL.")
    parser.add_argument("--batches", type=int, default=5)
    parser.add_argument("--records", type=int, default=10_000, help="of each batch")
    given = parser.parse_args()
    asyncio.run(run(given.batches, given.records))
    return 0


if __name__ == "__main__":
    sys.exit(main())
