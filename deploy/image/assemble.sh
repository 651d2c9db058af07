#!/bin/sh
# Builds what is in the image: `assemble.sh FOLDER` makes FOLDER a virtual environment with the product in it, the dashboard included.
# The image is built by this very script, and `make image-try` runs it where there is no engine.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
target=$1
python=${PYTHON:-python3}
cd "$root"
export UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"$python" -m venv "$tools/venv"
"$tools/venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.lock
uv=$tools/venv/bin/uv

# Node comes by hash as well; the machine's own is not asked for.
"$uv" venv --quiet --python "$python" "$tools/node"
"$uv" pip install --quiet --no-deps --require-hashes --python "$tools/node/bin/python" -r requirements/node.lock
PATH=$tools/node/bin:$PATH npm ci --silent --prefix dashboard
PATH=$tools/node/bin:$PATH npm run --silent --prefix dashboard build -- --logLevel warn

"$uv" build --quiet --wheel --out-dir "$tools/dist"
"$uv" venv --quiet --python "$python" "$target"
"$uv" pip install --quiet --require-hashes --compile-bytecode --python "$target/bin/python" -r requirements/run.lock
"$uv" pip install --quiet --no-deps --compile-bytecode --python "$target/bin/python" "$tools"/dist/omniroute-*.whl
"$target/bin/omniroute" --version
