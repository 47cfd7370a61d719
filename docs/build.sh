#!/usr/bin/env bash
# Build the site into docs/_build/html, and its Chinese pages into docs/_build/html/zh. Warnings are
# errors. Further arguments go to sphinx-build.
# -E: read every page anew. The labels that Sphinx keeps of an earlier build may be outdated.
set -euo pipefail
cd "$(dirname "$0")"
if ! command -v sphinx-build >/dev/null || ! python -c 'import furo, sphinx_copybutton, gluonface._compat as c; c.mx' 2>/dev/null; then
    echo "The docs need gluonface with MXNet and the extra docs, on the PATH: pip install -e '..[cpu,docs]'" \
        "(seen from $PWD), or scripts/test.sh, which makes .venv-test with all of it" >&2
    exit 1
fi
sphinx-build -q -j auto -E -W --keep-going -b html . _build/html "$@"
sphinx-build -q -j auto -E -W --keep-going -b html -t translated -D language=zh_CN -d _build/zh . _build/html/zh "$@"
echo "docs: $(pwd)/_build/html/index.html" >&2
