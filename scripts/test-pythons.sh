#!/usr/bin/env bash
# Run the tests with other Pythons and NumPys, each in an environment of its own (.venv-3.13-numpy2).
#   scripts/test-pythons.sh                          all that the installation page lists
#   scripts/test-pythons.sh 3.10 3.13+2              Python 3.10 with NumPy 1.26, and 3.13 with NumPy 2
#   scripts/test-pythons.sh 3.13+2 -- -k loader      with pytest's arguments
# A Python that is not on this machine is skipped. Ends with a table; exit 1 if a test failed anywhere.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/_environment.sh
unset PYTHONDONTWRITEBYTECODE # as scripts/test.sh does

cells=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    cells+=("$1")
    shift
done
[ $# -eq 0 ] || shift
[ ${#cells[@]} -gt 0 ] || cells=(3.9 3.10 3.11 3.12 3.11+2 3.12+2 3.13+2 3.14+2)

# Print the Python of a version, from the path or a version manager.
python_of() {
    local candidate
    for candidate in "python$1" "$HOME/.pyenv/versions/$1".*/bin/python /opt/python*"$1"*/bin/python; do
        if "$candidate" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    return 1
}

table=()
failed=0
for cell in "${cells[@]}"; do
    version=${cell%+2}
    numpy=
    [ "$version" = "$cell" ] || numpy=2
    if ! python=$(python_of "$version"); then
        echo "skipped: no Python $version on this machine" >&2
        table+=("$cell: skipped, no Python $version on this machine")
        continue
    fi
    step "Python $version${numpy:+ with NumPy 2}"
    directory=.venv-$version-numpy${numpy:-1}
    NUMPY=$numpy make_environment "$directory" "$python" '.[cpu,onnx,openvino,align,formats,docs,dev]'
    # Every complaint of pip but the one about MXNet and NumPy, which is expected.
    if "$directory/bin/python" -m pip check | grep -v -e '^mxnet 1.9.1 has requirement numpy' -e '^No broken'; then
        table+=("$cell: pip check complains")
        failed=1
        continue
    fi
    started=$SECONDS
    log=$(mktemp)
    status=0
    PATH="$PWD/$directory/bin:$PATH" "$directory/bin/python" -m pytest -n auto --dist loadfile \
        --max-worker-restart=0 "$@" 2>&1 | tee "$log" || status=$?
    [ "$status" = 0 ] || failed=1
    versions=$("$directory/bin/python" -c 'import numpy, sys; print(sys.version.split()[0], "NumPy", numpy.__version__)')
    table+=("Python $versions: $(tail -n 1 "$log" | sed 's/^=* *//; s/ *=*$//'), $((SECONDS - started)) s")
    rm -f "$log"
done
printf '\n'
printf '%s\n' "${table[@]}"
exit "$failed"
