"""Compile our operators for this machine's MXNet, check them, and keep them in the cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import pathlib
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile

from .._compat import mx
from ..files import cache_folder

__all__ = ["NativeError", "library"]

logger = logging.getLogger(__name__)

HERE = pathlib.Path(__file__).parent
SOURCES = (
    "operators.cc",
    "activations.h",
    "depthwise.h",
    "products.h",
    "maps.h",
    "mxnet_abi.h",
)
COMPILERS = ("c++", "g++", "clang++")

# As libmxnet.so itself is compiled: the old std::string, oneDNN, no GPU, no other BLAS.
SAME_AS_MXNET = (
    "-D_GLIBCXX_USE_CXX11_ABI=0",
    "-DMXNET_USE_MKLDNN=1",
    "-DMXNET_USE_CUDA=0",
    "-DMSHADOW_USE_CUDA=0",
    "-DMSHADOW_USE_CBLAS=0",
    "-DMSHADOW_USE_MKL=0",
    "-DMSHADOW_USE_SSE=0",
    "-DMSHADOW_USE_F16C=0",
)
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fopenmp", "-fPIC", "-shared", *SAME_AS_MXNET)

COMPILE_SECONDS, CHECK_SECONDS = 600, 300


class NativeError(Exception):
    """The reason why this process has no operators of ours; `ready` logs it."""


def library() -> pathlib.Path:
    """Return the path of the compiled and checked library; compile it if it is not there.

    It lies in ``gluonface/native`` in $XDG_CACHE_HOME or ~/.cache. Its name is a digest of the
    sources, MXNet and the processor. Processes that want it at the same time wait for the one that
    compiles it. A failure is written to a file beside it, and it is not tried again until that
    file is deleted.

    Raises
    ------
    NativeError
        If there is none, with the reason.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise NativeError("they are for Linux on x86-64")
    folder = _own_folder()
    path = folder / f"operators-{_key()}.so"
    if not path.exists():
        with _one_at_a_time(folder):
            if not path.exists():
                _make(path)
    _must_be_ours(path)
    return path


def _own_folder():
    """Return the folder of compiled libraries, to which no other user may write."""
    try:
        folder = cache_folder("native")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home
        raise NativeError(f"there is no place to keep them: {error}") from None
    _must_be_ours(folder)
    return folder


def _must_be_ours(path):
    """Raise NativeError if another user could have written `path`: code is loaded from it."""
    status = path.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise NativeError(f"others can write to {path}; make it yours alone: chmod go-w {path}")


def _key():
    """Return what a compiled library depends on, as 16 hexadecimal digits."""
    digest = hashlib.sha256(" ".join(FLAGS).encode())
    for name in SOURCES:
        digest.update((HERE / name).read_bytes())
    digest.update(f"{mx.__version__} {os.stat(_libmxnet()).st_size}".encode())
    with contextlib.suppress(OSError):  # a home folder may be shared by machines that differ
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        digest.update(next((line for line in lines if line.startswith("flags")), "").encode())
    return digest.hexdigest()[:16]


def _libmxnet():
    return mx.libinfo.find_lib_path()[0]


@contextlib.contextmanager
def _one_at_a_time(folder):
    import fcntl

    with open(folder / "lock", "w") as file:
        with contextlib.suppress(OSError):  # a file system without locks: two may do the same work
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(path):
    """Compile and check beside `path`, then rename. A failure is noted beside it."""
    note = path.with_suffix(".failed")
    if note.exists():
        raise NativeError(
            f"{_last_line(note.read_text())} (all of it in {note}; delete it to retry)"
        )
    compiler = _compiler()
    logger.info("compiling gluonface's operators for MXNet with %s (some 10 s, once)", compiler[0])
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        made = pathlib.Path(scratch) / "operators.so"
        headers = pathlib.Path(_libmxnet()).parent / "include"
        include = ["-isystem", headers, "-isystem", headers / "mkldnn"]
        link = [f"-L{headers.parent}", "-l:libmxnet.so"]
        try:
            _run(
                [*compiler, *FLAGS, *include, HERE / "operators.cc", "-o", made, *link],
                COMPILE_SECONDS,
                "they do not compile",
            )
            # In a process of its own, which may crash if this MXNet differs from the one we know.
            _run(
                [sys.executable, "-m", "gluonface.native.check", made],
                CHECK_SECONDS,
                "they failed their check",
            )
        except NativeError as error:
            note.write_text(f"{error}\n")
            raise NativeError(f"{_last_line(str(error))} (all of it in {note})") from None
        os.chmod(made, 0o500)
        os.replace(made, path)


def _compiler():
    """Return the command of a C++ compiler, by $CXX or the usual names."""
    try:
        given = shlex.split(os.environ.get("CXX", ""))
    except ValueError as error:
        raise NativeError(f"CXX={os.environ['CXX']} is no command: {error}") from None
    commands = [given] if given else [[name] for name in COMPILERS]
    for name, *options in commands:
        path = shutil.which(name)
        if path:
            return [path, *options]
    names = ", ".join(name for name, *_ in commands)
    raise NativeError(
        f"they are compiled, and there is no C++ compiler ({names}); "
        "on Debian and Ubuntu: apt-get install g++"
    )


def _run(command, seconds, failure):
    """Run a command; raise NativeError with what it printed if it fails."""
    environment = {**os.environ, "GLUONFACE_NATIVE": "0"}
    paths = [str(HERE.parent.parent), os.environ.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    try:
        result = subprocess.run(
            [os.fspath(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            env=environment,
            text=True,
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NativeError(f"{failure}: {error}") from None
    if result.returncode:
        what = f"status {result.returncode}" if result.returncode > 0 else "a crash"
        raise NativeError(f"{result.stdout}\n{failure}: {what} of {command[0]}")


def _last_line(text):
    return text.strip().rpartition("\n")[2]
