"""The jobs: name, how often, what."""

from admin_api.jobs.runner import Job
from admin_api.services.plane import Plane


def build_jobs(plane: Plane) -> tuple[Job, ...]:
    """Every job of an admin process."""

    async def publish() -> None:
        await plane.publisher.publish()

    async def republish_all() -> None:
        await plane.publisher.republish_all()

    return (
        Job("publish", every_s=1.0, run=publish, is_shared=False),
        Job("republish", every_s=3600.0, run=republish_all),
    )
