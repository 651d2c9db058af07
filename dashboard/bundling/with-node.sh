#!/bin/sh
# Runs a command with Node on the PATH: the machine's from 20.19 on, else one from PyPI in a virtual environment of its own.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)

is_new_enough() {
  command -v npm >/dev/null 2>&1 && node -e '
    const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1);' 2>/dev/null
}

if [ -n "${OMNIROUTE_NODE_WHEEL:-}" ] || ! is_new_enough; then
  venv=$root/.venv-node
  if [ ! -x "$venv/bin/npm" ]; then
    echo "There is no Node from 20.19 on here: one is installed from PyPI into .venv-node" >&2
    "$root/.venv/bin/uv" venv --quiet --python "$root/.venv/bin/python" "$venv"
    "$root/.venv/bin/uv" pip install --quiet --no-deps --require-hashes --python "$venv/bin/python" -r "$root/requirements/node.lock"
  fi
  PATH=$venv/bin:$PATH
  export PATH
fi
exec "$@"
