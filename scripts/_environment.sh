# Sourced by the scripts that must work on a machine without anything installed by hand.
# Defines: find_python, make_environment, step.

step() { printf '\n== %s\n' "$*" >&2; }

# Print a Python that MXNet 1.9.1 can run on, or fail with what to do. PYTHON chooses.
find_python() {
    local candidate
    # A version manager has shims for versions that are not active too, so each one is run.
    for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9; do
        if [ -n "$candidate" ] && "$candidate" -c \
            'import sys; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
        if [ -n "$candidate" ] && [ "$candidate" = "${PYTHON:-}" ]; then
            echo "PYTHON=$PYTHON does not run, or is not Python 3.9 to 3.14 (gluonface needs that)." >&2
            return 1
        fi
    done
    echo "No Python 3.9 to 3.14 found (gluonface needs one). Install one, or name it: PYTHON=/path/to/python3.11 $0" >&2
    return 1
}

# Fail with what to do if a library of the system that MXNet links is missing, before all is installed.
check_libraries() {
    [ "$(uname -m)" = x86_64 ] || return 0
    "$1" -c 'import ctypes; [ctypes.CDLL(name) for name in ("libgomp.so.1", "libquadmath.so.0")]' 2>/dev/null && return
    echo "MXNet needs libgomp.so.1 and libquadmath.so.0. On Debian and Ubuntu: apt-get install libgomp1 libquadmath0" >&2
    return 1
}

# make_environment DIR PYTHON REQUIREMENT...: a virtual environment with the package and extras.
# NUMPY=2 takes the newest NumPy before Python 3.13 too; from 3.13 on it is always the newest.
make_environment() {
    local dir=$1 python=$2
    shift 2
    check_libraries "$python" || return 1
    if [ ! -x "$dir/bin/python" ]; then
        "$python" -m venv "$dir" || {
            rm -rf "$dir"
            echo "$python cannot make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv" >&2
            return 1
        }
    fi
    # Nothing to do if the same requirements were installed from the same pyproject.toml.
    local stamp
    stamp="$(cat pyproject.toml setup.py | cksum) $* ${NUMPY:-}"
    if [ "$(cat "$dir/.installed" 2>/dev/null)" = "$stamp" ]; then
        return
    fi
    local pip=("$dir/bin/python" -m pip --quiet --disable-pip-version-check)
    "${pip[@]}" install --upgrade pip setuptools wheel
    # Beside NumPy 2 pip refuses MXNet, whose metadata asks for NumPy 1. Then it is installed by itself.
    local build=
    if [ "${NUMPY:-}" = 2 ] || "$dir/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 13))'; then
        build=mxnet
        case $* in *cu112*) build=mxnet-cu112 ;; esac
        # Before Python 3.13 the extra would bring MXNet and NumPy 1.
        [ "${NUMPY:-}" != 2 ] || set -- "${@/cpu,/}" 'graphviz>=0.8.1,<0.9' 'requests>=2.20,<3' 'numpy>=2'
    fi
    "${pip[@]}" install --no-warn-conflicts --editable "$@"
    [ -z "$build" ] || "${pip[@]}" install --no-deps "$build==1.9.1"
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
