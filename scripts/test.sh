#!/usr/bin/env bash
# All checks of a change: lint, layers, spelling, types, docs without warnings, tests.
# Installs what it needs into .venv-test, with Horovod for MXNet and Gloo.
#   scripts/test.sh             all of it
#   scripts/test.sh -k loader   only the tests, with pytest's arguments
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/_environment.sh
# Where this is set, every process compiles all modules again and pytest rewrites all tests: the
# collection alone takes 16 s of processor time for 7, in each process of each run.
unset PYTHONDONTWRITEBYTECODE

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
make_environment .venv-test "$python" '.[cpu,onnx,openvino,align,formats,docs,dev]'
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

# The second run leaves out what depends on neither Python nor NumPy: pages and scripts, the shapes of
# the backbones, how runs are resumed and learn, jobs of two processes, the harness of the mutations.
# Of tests that go through all losses, operators or formats it takes the first, the middle and the
# last.
left_out=(tests/test_architecture.py
    tests/test_docs{,_commands,_losses,_partial_fc,_pictures,_tables,_translations}.py
    tests/test_{scripts,recipe_scripts,mutations}.py tests/model_zoo/test_{every_model,count}.py
    tests/training/test_{resume,learning_truth}.py tests/distributed)
second=("${left_out[@]/#/--ignore=}")
for folder in data deploy head loss; do
    second+=(--cases "tests/$folder=3")
done
# One process a core, each with one thread. A crash of one ends the run, which would hang otherwise.
tests=(python -m pytest -n auto --dist loadfile --max-worker-restart=0)
# Coverage is measured in the first run from Python 3.12 on, where it costs little. Older Pythons
# trace, which takes 1.4 times as long: there it is measured in the second run. It fails below
# `fail_under` of pyproject.toml.
report=(--cov --cov-report=term:skip-covered)
[ -d ../shared ] || report+=(--cov-fail-under=0) # without reference data tests are skipped
step "Tests"
if python -c 'import sys; sys.exit(sys.version_info < (3, 12))'; then
    COVERAGE_CORE=sysmon "${tests[@]}" "${report[@]}"
else
    "${tests[@]}"
    second+=("${report[@]}")
fi

step "Tests with Python 3.13 and NumPy 2"
COVERAGE_CORE=sysmon scripts/test-pythons.sh 3.13+2 -- -q "${second[@]}"

step "Types with NumPy 2, whose own types are others"
[ ! -x .venv-3.13-numpy2/bin/mypy ] || .venv-3.13-numpy2/bin/mypy
