"""Bring the admin process's log lines to where an operator can look at them."""

from admin_api.services.plane import Plane
from gateway.state.log_lines import command

AT_ONCE = 500


class TellLogJob:
    """What cannot be told because Redis is away is on stderr alone."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    async def __call__(self) -> None:
        tail = self._plane.log_tail
        lines = tail.take(AT_ONCE) if tail is not None else []
        if not lines:
            return
        pipeline = self._plane.redis.pipeline(transaction=False)
        for line in lines:
            pipeline.execute_command(*command("admin", line))
        await pipeline.execute()
