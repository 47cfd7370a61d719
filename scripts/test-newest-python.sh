#!/usr/bin/env bash
# Check that the package installs, imports and runs a network on the newest Python and NumPy that
# MXNet 1.9.1 can run on: Python 3.12 with NumPy 1.26. Without Python 3.12 the check is skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/_environment.sh

newest=
for candidate in python3.12 "$HOME"/.pyenv/versions/3.12*/bin/python /opt/python*3.12*/bin/python; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12))' 2>/dev/null; then
        newest=$candidate
        break
    fi
done
if [ -z "$newest" ]; then
    echo "skipped: no Python 3.12 on this machine" >&2
    exit 0
fi
make_environment .venv-newest "$newest" '.[cpu]'
.venv-newest/bin/python - <<'END'
import sys

import numpy

import gluonface
from gluonface._compat import mx

net = gluonface.get_model("mobilefacenet")
embedding = net(mx.nd.random.uniform(0, 255, (2, 3, 112, 112))).asnumpy()
if embedding.shape != (2, 128) or not numpy.isfinite(embedding).all():
    sys.exit(f"the network gave {embedding}")
print(f"Python {sys.version.split()[0]}, NumPy {numpy.__version__}, MXNet {mx.__version__}: "
      f"mobilefacenet gives {embedding.shape}")
END
