#!/usr/bin/env bash
# Everything that must hold before a change lands: lint, tests, docs without warnings.
# Installs what it needs, Horovod with MXNet and Gloo included, into .venv-test.
#   scripts/test.sh             all of it
#   scripts/test.sh -k loader   only the tests, with pytest's arguments
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/_environment.sh

# The public package whose ArcFaceONNX class has to load our ONNX files. Without its dependencies,
# which would bring another OpenCV and a newer ONNX; it needs Python 3.10, older ones skip that test.
install_insightface() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || return 0
    "$1" -c 'from insightface.model_zoo.arcface_onnx import ArcFaceONNX' 2>/dev/null && return
    "$1" -m pip install --quiet --disable-pip-version-check --no-deps insightface==2.1 \
        scikit-image lazy-loader imageio tifffile networkx
}

python=$(find_python)
step "Environment: .venv-test with $($python --version)"
make_environment .venv-test "$python" '.[cpu,onnx,openvino,align,docs,dev]'
scripts/install-horovod.sh .venv-test
export PATH="$PWD/.venv-test/bin:$PATH"
install_insightface .venv-test/bin/python

if [ $# -gt 0 ]; then
    exec python -m pytest "$@"
fi

step "Lint"
ruff check .
ruff format --check .
lint-imports

step "Docs, with warnings as errors"
docs/build.sh

step "The newest Python and NumPy that MXNet can run on"
scripts/test-newest-python.sh

step "Tests"
# One process a core, each with one thread. Should one crash, the run ends; it would hang else.
python -m pytest -n auto --dist loadfile --max-worker-restart=0
