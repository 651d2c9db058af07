"""The jobs: name, how often, what, and whether one process does it for all."""

from admin_api.auth.sessions import IDLE_LIFETIME_S
from admin_api.jobs.adopt_spool import AdoptSpoolJob
from admin_api.jobs.backup import BackupJob
from admin_api.jobs.bodies import KeepBodiesJob, RetentionJob
from admin_api.jobs.budgets import BudgetsJob
from admin_api.jobs.check_storage import CheckStorageJob
from admin_api.jobs.give_back_memory import EVERY_S as GIVE_BACK_S
from admin_api.jobs.give_back_memory import GiveBackMemoryJob
from admin_api.jobs.ledger import LedgerJob
from admin_api.jobs.lost import LostJob
from admin_api.jobs.reconcile import ReconcileJob
from admin_api.jobs.runner import Job
from admin_api.jobs.tell_log import TellLogJob
from admin_api.jobs.tell_metrics import EVERY_S as TELL_METRICS_S
from admin_api.jobs.tell_metrics import TellMetricsJob
from admin_api.jobs.usage import FoldHoursJob, TopKeysJob, TurnPricesJob
from admin_api.publish import WHOLE_LIMIT_S
from admin_api.services.old_secrets import end_old_secrets
from admin_api.services.plane import Plane
from admin_api.store.audit import purge_audit
from admin_api.store.credentials import purge_sessions
from admin_api.store.keys import purge_tombstones
from admin_api.store.records import purge_rejected

_TOMBSTONES_KEPT_S = 30 * 86_400.0
_REJECTED_KEPT = 10_000
_AUDIT_KEPT_S = 730 * 86_400.0


def build_jobs(plane: Plane) -> tuple[Job, ...]:
    """Every job of an admin process."""

    async def publish() -> None:
        await plane.publisher.publish(WHOLE_LIMIT_S)

    async def republish_all() -> None:
        await plane.publisher.republish_all()

    async def purge() -> None:
        await end_old_secrets(plane)
        async with plane.database.write() as connection:
            await purge_sessions(connection, expired_before=plane.now(), idle_since=plane.now() - IDLE_LIFETIME_S)
            await purge_tombstones(connection, removed_before=plane.now() - _TOMBSTONES_KEPT_S)
            await purge_rejected(connection, kept=_REJECTED_KEPT)
            await purge_audit(connection, older_than=plane.now() - _AUDIT_KEPT_S)

    return (
        Job("publish", every_s=1.0, run=publish, is_shared=False, limit_s=2 * WHOLE_LIMIT_S),
        Job("republish", every_s=3600.0, run=republish_all, limit_s=120.0),
        # Workers end before admin does: their last records come while it stops.
        Job("ledger", every_s=0.25, run=LedgerJob(plane), limit_s=120.0, runs_at_end=True),
        Job("keep-bodies", every_s=0.5, run=KeepBodiesJob(plane), runs_at_end=True),
        Job("retention", every_s=10.0, run=RetentionJob(plane), limit_s=120.0),
        Job("lost", every_s=3.0, run=LostJob(plane)),
        # Each machine has its own spool folder, and the files' own locks decide who takes them.
        Job("adopt-spool", every_s=2.0, run=AdoptSpoolJob(plane), is_shared=False, limit_s=600.0),
        # It looks whether one is due; a disk without room is told once, and looked at again.
        Job("backup", every_s=10.0, run=BackupJob(plane), is_shared=False, limit_s=3600.0),
        # It looks whether a day has gone by; a look at millions of rows takes its time.
        Job("check-storage", every_s=60.0, run=CheckStorageJob(plane), limit_s=3600.0),
        Job("tell-log", every_s=1.0, run=TellLogJob(plane), is_shared=False, runs_at_end=True),
        Job("tell-metrics", every_s=TELL_METRICS_S, run=TellMetricsJob(plane), is_shared=False, limit_s=20.0),
        Job("give-back-memory", every_s=GIVE_BACK_S, run=GiveBackMemoryJob(), is_shared=False),
        Job("budgets", every_s=30.0, run=BudgetsJob(plane)),
        Job("purge", every_s=3600.0, run=purge),
        # An emptied server is compared with the budgets of all keys, of 100,000 too.
        Job("reconcile", every_s=15.0, run=ReconcileJob(plane), limit_s=600.0),
        Job("fold-hours", every_s=600.0, run=FoldHoursJob(plane)),
        Job("top-keys", every_s=60.0, run=TopKeysJob(plane), limit_s=300.0),
        Job("turn-prices", every_s=30.0, run=TurnPricesJob(plane)),
    )
