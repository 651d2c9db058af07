"""The workers' main process: `python -m gateway.serve.workers`. Imports the gateway once, then forks the workers.

What is imported here is shared memory of all workers; nothing here may open a connection or start a thread.
"""

import gc

gc.disable()  # what is imported stays, and is frozen before the fork

import os

from gateway.app import create_app
from gateway.config.settings import load_settings
from gateway.serve.granian_server import run_workers
from gateway.telemetry.logs import configure_logging

gc.enable()


def main() -> None:
    """Serve until SIGTERM."""
    settings = load_settings(os.environ)
    configure_logging(settings.log_level, settings.log_format)
    run_workers(settings, create_app)


if __name__ == "__main__":
    main()
