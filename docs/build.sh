#!/usr/bin/env bash
# Build the site into docs/_build/html. Warnings are errors. Further arguments go to sphinx-build.
# -E: nothing of an older build is trusted, whose pages may have had other labels.
set -euo pipefail
cd "$(dirname "$0")"
sphinx-build -q -E -W --keep-going -b html . _build/html "$@"
echo "docs: $(pwd)/_build/html/index.html" >&2
