# Sourced by the scripts that must work on a machine without anything installed by hand.
# Defines: find_python, make_environment, step.

step() { printf '\n== %s\n' "$*" >&2; }

# Print the newest Python that MXNet 1.9.1 can run on, or fail with what to do. PYTHON chooses.
find_python() {
    local candidate
    # A version manager has shims for versions that are not active too, so each one is run.
    for candidate in "${PYTHON:-}" python3 python3.12 python3.11 python3.10 python3.9; do
        if [ -n "$candidate" ] && "$candidate" -c \
            'import sys; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
        if [ -n "$candidate" ] && [ "$candidate" = "${PYTHON:-}" ]; then
            echo "PYTHON=$PYTHON does not run, or is not Python 3.9 to 3.12 (MXNet 1.9.1 needs that)." >&2
            return 1
        fi
    done
    echo "No Python 3.9 to 3.12 found (MXNet 1.9.1 needs one). Install one, or name it: PYTHON=/path/to/python3.11 $0" >&2
    return 1
}

# make_environment DIR PYTHON REQUIREMENT...: a virtual environment with the package and extras.
make_environment() {
    local dir=$1 python=$2
    shift 2
    if [ ! -x "$dir/bin/python" ]; then
        "$python" -m venv "$dir" || {
            rm -rf "$dir"
            echo "$python cannot make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv" >&2
            return 1
        }
    fi
    # Nothing to do if the same requirements were installed from the same pyproject.toml.
    local stamp
    stamp="$(cat pyproject.toml setup.py | cksum) $*"
    if [ "$(cat "$dir/.installed" 2>/dev/null)" = "$stamp" ]; then
        return
    fi
    "$dir/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade pip 'setuptools<81' wheel
    "$dir/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$@"
    use_headless_opencv "$dir/bin/python"
    printf '%s' "$stamp" >"$dir/.installed"
}

# GluonCV requires opencv-python, which needs the graphics libraries of a desktop. The headless build
# is the same module without them. It replaces opencv-python where those libraries are missing.
use_headless_opencv() {
    "$1" -c 'import cv2' 2>/dev/null && return
    local version
    version=$("$1" -m pip show opencv-python 2>/dev/null | sed -n 's/^Version: //p')
    "$1" -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps \
        "opencv-python-headless==$version"
}
