#!/usr/bin/env bash
# Build Horovod 0.28.1 for MXNet with Gloo (CPU) or NCCL (GPU) into a virtual environment.
#   install-horovod.sh [ENVIRONMENT] [cpu|nccl]     needs a C++ compiler and cmake
# nccl also needs a CUDA 11 toolkit, since Horovod compiles CUDA code. `gluonface install-horovod`
# runs this for the environment of that command.
set -euo pipefail

environment=${1:-.venv}
operations=${2:-cpu}
case $operations in
cpu) export HOROVOD_WITH_GLOO=1 HOROVOD_CPU_OPERATIONS=GLOO ;;
nccl) export HOROVOD_WITH_GLOO=1 HOROVOD_GPU_OPERATIONS=NCCL ;;
*)
    echo "Unknown operations '$operations': expected cpu or nccl." >&2
    exit 2
    ;;
esac
python=$environment/bin/python
if [ ! -x "$python" ]; then
    echo "There is no virtual environment in $environment, seen from $PWD. Make it first:" \
        "scripts/quickstart.sh, or python -m venv $environment and pip install gluonface into it" >&2
    exit 2
fi
if ! reason=$("$python" -c 'import gluonface._compat as c; c.mx' 2>&1); then
    echo "Horovod is built for the MXNet of $environment, which cannot be imported:" \
        "$(tail -n 1 <<<"$reason")" >&2
    exit 1
fi
# Horovod's build and its `horovodrun` import MXNet but not gluonface. So Python imports gluonface at
# its start in this environment, which takes a few milliseconds and prepares the import of MXNet.
# The file stays if Horovod does.
site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
hook=$site/gluonface_for_horovod.pth
scratch=$(mktemp -d)
had_hook=$([ -e "$hook" ] && echo yes || echo no)
finish() {
    local status=$?
    rm -rf "$scratch"
    if [ "$status" != 0 ] && [ "$had_hook" = no ]; then rm -f "$hook"; fi
}
trap finish EXIT
echo 'import importlib.util as u; u.find_spec("gluonface") and __import__("gluonface")' >"$hook"

check='import horovod.mxnet as hvd; exit(not hvd.gloo_built() and not hvd.nccl_built())'
if "$python" -c "$check" 2>/dev/null; then
    exit 0
fi
for tool in c++ cmake; do
    if ! command -v "$tool" >/dev/null; then
        echo "Horovod is built from source and needs $tool. On Debian and Ubuntu: apt-get install g++ cmake" >&2
        exit 1
    fi
done
# Built in this environment, not in one of its own, Horovod's setup.py needs these; a new virtual
# environment lacks one or both.
"$python" -m pip install --quiet --disable-pip-version-check setuptools wheel
if ! command -v make >/dev/null; then # the packages of a compiler and cmake do not include it; PyPI has ninja
    "$python" -m pip install --quiet --disable-pip-version-check ninja
    PATH="$(cd "$environment" && pwd)/bin:$PATH"
    export CMAKE_GENERATOR=Ninja
fi
# Called by Horovod's setup.py in place of cmake. flatbuffers, which Horovod brings along, assigns to a
# constant in a function that nothing uses: an error since GCC 14. And setup.py passes an argument for
# make, which ninja would read as a target.
cat >"$scratch/cmake" <<'END'
#!/usr/bin/env bash
for argument; do
    shift
    header=$argument/third_party/flatbuffers/include/flatbuffers/stl_emulation.h
    [ ! -f "$header" ] || sed -i 's/count_ = other\.count_;//' "$header"
    [ "${CMAKE_GENERATOR:-} $argument" = "Ninja VERBOSE=1" ] || set -- "$@" "$argument"
done
exec cmake "$@"
END
chmod +x "$scratch/cmake"
export HOROVOD_CMAKE=$scratch/cmake
# Horovod's sources use these without including them; the headers of GCC 16 no longer bring them along.
export CXXFLAGS="${CXXFLAGS:-} -include cstdint -include stdexcept -include string"
export CMAKE_POLICY_VERSION_MINIMUM=3.5 # without it cmake 4 refuses the older minimum that Horovod states

export HOROVOD_WITH_MXNET=1 HOROVOD_WITHOUT_PYTORCH=1 HOROVOD_WITHOUT_TENSORFLOW=1 HOROVOD_WITHOUT_MPI=1
echo "Building Horovod 0.28.1 (one to two minutes)" >&2
log=$(mktemp)
# --no-build-isolation: the build imports the MXNet of this environment.
build() {
    "$python" -m pip install --disable-pip-version-check --no-build-isolation "$@" horovod==0.28.1 >"$log" 2>&1
}
# pip's cache may have a wheel that was built for another framework; then build again without it.
if ! { build && "$python" -c "$check" 2>>"$log"; } &&
    ! { build --no-cache-dir --force-reinstall --no-deps && "$python" -c "$check" 2>>"$log"; }; then
    tail -n 40 "$log" >&2
    echo "Horovod did not build, or cannot be used with MXNet; the whole log is $log" >&2
    exit 1
fi
rm -f "$log"
