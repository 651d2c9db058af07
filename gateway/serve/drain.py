"""The drain notice: a file by which the supervisor tells every worker that it will be stopped, and until when it has.

The other half is the workers' watch of this file: it turns `/readyz` into 503 and ends what streams at the deadline.
"""

import json
import time
from pathlib import Path

from gateway.config.settings import Settings

KILL_AFTER_DEADLINE_S = 2
"""Workers end what is left at the deadline themselves; granian kills them this much later."""
ORPHAN_LIMIT_S = 3.0
"""What a worker gets to end its streams when the server's main process has died under it."""


def drain_notice(settings: Settings) -> Path:
    """The file: JSON `{"deadline": unix seconds, "seconds": from when it was written}`. Removed at the next start."""
    return settings.drain_notice


def write_drain_notice(settings: Settings, deadline_at: float) -> None:
    """Say when the last stream must have ended. Never seen half written."""
    path = drain_notice(settings)
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps({"deadline": deadline_at, "seconds": max(0.0, deadline_at - time.time())}))
    temporary.replace(path)
