"""An admin program for tests of the supervisor: says it is ready, notes SIGHUP in a file, ends on SIGTERM."""

import argparse
import json
import os
import signal
import time
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    for option in ("--ready-fd", "--lifeline-fd", "--port"):
        parser.add_argument(option, type=int)
    parser.add_argument("--host")
    options = parser.parse_args()
    reloads = Path(os.environ["DATA_DIR"]) / "reloads"
    signal.signal(signal.SIGHUP, lambda *_: reloads.write_text("reloaded"))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    line = {"ready": True, "password": "first-password", "key": "first-key", "configError": ""}
    os.write(options.ready_fd, json.dumps(line).encode() + b"\n")
    os.close(options.ready_fd)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
