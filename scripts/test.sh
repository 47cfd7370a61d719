#!/usr/bin/env bash
# All checks of a change: lint, types, spelling, docs without warnings, tests with their coverage.
# Installs what it needs into .venv-test, with Horovod for MXNet and Gloo.
#   scripts/test.sh             all of it
#   scripts/test.sh -k loader   only the tests, with pytest's arguments
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/_environment.sh

# The public package whose ArcFaceONNX class must load our ONNX files. It is installed without its
# dependencies, which include another OpenCV and a newer ONNX. It needs Python 3.10; with Python 3.9
# that test is skipped.
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

step "Lint, layers, spelling, types"
ruff check .
ruff format --check .
lint-imports
codespell
mypy

step "Docs, with warnings as errors"
docs/build.sh

step "The newest Python and NumPy that MXNet can run on"
scripts/test-newest-python.sh

step "Tests"
# One process a core, each with one thread. A crash of one ends the run, which would hang otherwise.
# Below the coverage of today the run fails; pyproject.toml says what is counted.
python -m pytest -n auto --dist loadfile --max-worker-restart=0 \
    --cov --cov-report=term
