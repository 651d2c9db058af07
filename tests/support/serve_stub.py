"""`omniroute serve` with stub programs for workers and admin: everything of the supervisor is real."""

import os
import sys

from gateway.config.settings import BadSetting
from gateway.serve.roles import run_role
from gateway.serve.supervisor import Programs

if __name__ == "__main__":
    programs = Programs(
        workers=(sys.executable, "-m", "tests.support.serve_stub_workers"),
        admin=(sys.executable, "-m", "tests.support.serve_stub_admin"),
    )
    try:
        sys.exit(run_role(sys.argv[1], os.environ, {}, programs))  # type: ignore[arg-type]
    except BadSetting as error:
        sys.exit(f"omniroute: {error}")
