"""Compile our operators for this machine's MXNet, check them, and keep them in the cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import pathlib
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile

from .. import _compat
from ..files import atomic_write, cache_folder, sha256, sync_folder

__all__ = ["NativeError", "describe", "library", "plain_library"]

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

PLAIN_FLAGS = ("-std=c++17", "-O2", "-fPIC", "-shared")
# Arithmetic as it is written, the same numbers on every machine: no fused multiplications.
VECTOR_FLAGS = (*PLAIN_FLAGS, "-O3", "-march=native", "-ffp-contract=off", "-fopenmp")

COMPILE_SECONDS, CHECK_SECONDS = 600, 300
DIGITS = 32  # of the SHA-256 of a library, in its name
SCRATCH = ".compiling-"


# What ends a compiler or the check from outside. g++ tells a killed part of it in words.
ENDS = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXFSZ}
KILLED = re.compile(
    r"(Killed|Terminated|Interrupt|Hangup) signal terminated|interrupt$|"
    r"No space left on device|Disk quota exceeded|File too large|File size limit exceeded",
    re.IGNORECASE | re.MULTILINE,
)


class NativeError(Exception):
    """The reason why this process has no operators of ours; `ready` logs it."""


class Interrupted(NativeError):
    """Compiling was ended from outside, which says nothing of the next time."""


def library() -> pathlib.Path:
    """Return the path of the compiled and checked library; compile it if it is not there.

    It lies in ``gluonface/native`` in $XDG_CACHE_HOME or ~/.cache. Its name has a digest of the
    sources, MXNet and the processor, and one of its own content: a library that is damaged or cut
    is compiled again, as loading it would end the process. Processes that want it at the same time
    wait for the one that compiles it. A failure is written to a file beside it, and it is not tried
    again until that file is deleted; a compiler that was killed, or had no room, is tried again.

    Raises
    ------
    NativeError
        If there is none, with the reason.
    """
    folder, key, path = _place()
    if path is None:
        try:
            with _one_at_a_time(folder):
                path = _find(folder, key) or _make(folder, key)
        except OSError as error:
            raise NativeError(f"they cannot be stored in {folder}: {error}") from None
    return path


def _place():
    """Return the folder, the key, and the path of the library if it is there."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise NativeError("they are for Linux on x86-64")
    folder, key = _own_folder(), _key()
    return folder, key, _find(folder, key)


def describe() -> str:
    """Return in words what `library` would return; nothing is compiled.

    Raises
    ------
    NativeError
        If there is none, with the reason.
    """
    folder, key, path = _place()
    if path is not None:
        return f"compiled ({path})"
    note = folder / f"operators-{key}.failed"
    if note.exists():
        raise NativeError(f"{_last_line(note.read_text())} (delete {note} to retry)")
    return f"compiled at their first use, with {_compiler()[0]}"


def plain_library(name: str, vectors: bool = False) -> pathlib.Path:
    """Return the path of a library that needs no MXNet, ``NAME.cc`` here; compile it if need be.

    It is kept as that of `library` is. With `vectors` it is for this processor alone, and may have
    several threads.

    Raises
    ------
    NativeError
        If there is none, with the reason.
    """
    folder, source = _own_folder(), HERE / f"{name}.cc"
    flags = VECTOR_FLAGS if vectors else PLAIN_FLAGS
    content = f"{platform.machine()} {' '.join(flags)}".encode() + source.read_bytes()
    content += b"".join(header.read_bytes() for header in _headers(source))
    content += _processor() if vectors else b""
    key = hashlib.sha256(content).hexdigest()[:16]
    path = _find(folder, key, name)
    if path is None:
        try:
            with _one_at_a_time(folder):
                path = _find(folder, key, name) or _make_plain(folder, key, name, flags)
        except OSError as error:
            raise NativeError(f"it cannot be stored in {folder}: {error}") from None
    return path


def _headers(source):
    """Return the files of ours that a source includes."""
    return [HERE / name for name in re.findall(r'^#include "(.+)"$', source.read_text(), re.M)]


def _make_plain(folder, key, name, flags):
    note = _untried(folder, f"{name}-{key}")
    with tempfile.TemporaryDirectory(dir=folder, prefix=SCRATCH) as scratch:
        made = pathlib.Path(scratch) / f"{name}.so"
        command = [*_compiler(), *flags, HERE / f"{name}.cc", "-o", made]
        with _noted(note):
            _run(command, COMPILE_SECONDS, f"{name}.cc does not compile")
        return _keep(made, folder, f"{name}-{key}")


def _untried(folder, stem):
    """Return the path of the note on a failure; NativeError if there is one already."""
    note = folder / f"{stem}.failed"
    if note.exists():
        raise NativeError(
            f"{_last_line(note.read_text())} (all of it in {note}; delete it to retry)"
        )
    return note


@contextlib.contextmanager
def _noted(note):
    """Write down a failure, but not that somebody ended the attempt."""
    try:
        yield
    except Interrupted:
        raise
    except NativeError as error:
        with atomic_write(note, "w", encoding="utf-8", errors="replace") as file:
            file.write(f"{error}\n")
        raise NativeError(f"{_last_line(str(error))} (all of it in {note})") from None


def _keep(made, folder, stem):
    """Move a library into the folder under a name with the digest of its content."""
    path = folder / f"{stem}-{sha256(made)[:DIGITS]}.so"
    os.chmod(made, 0o500)
    with open(made, "rb") as file:
        os.fsync(file.fileno())
    os.replace(made, path)
    sync_folder(folder)
    return path


def _find(folder, key, stem="operators"):
    """Return the library that is as it was made, or None; others of this key are removed."""
    for path in sorted(folder.glob(f"{stem}-{key}-*.so")):
        _must_be_ours(path)
        try:
            if path.stem.endswith(f"-{sha256(path)[:DIGITS]}"):
                return path
            logger.warning("%s is damaged; it is compiled again", path)
            path.unlink()
        except FileNotFoundError:  # another process was faster
            continue
        except OSError as error:
            raise NativeError(f"{path} cannot be read: {error.strerror}") from None
    return None


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
    digest.update(f"{_compat.mx.__version__} {os.stat(_libmxnet()).st_size}".encode())
    digest.update(_processor())
    return digest.hexdigest()[:16]


def _processor():
    """Return what this processor can do: a home folder may be shared by machines that differ."""
    with contextlib.suppress(OSError):
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next((line for line in lines if line.startswith("flags")), "").encode()
    return b""


def _libmxnet():
    return _compat.mx.libinfo.find_lib_path()[0]


@contextlib.contextmanager
def _one_at_a_time(folder):
    import fcntl

    with open(folder / "lock", "a") as file:
        with contextlib.suppress(OSError):  # a file system without locks: two may do the same work
            fcntl.flock(file, fcntl.LOCK_EX)
            for left in folder.glob(f"{SCRATCH}*"):  # of processes that were killed
                shutil.rmtree(left, ignore_errors=True)
        yield


def _make(folder, key):
    """Compile and check, then rename into `folder`; return the path. A failure is noted there."""
    note, compiler = _untried(folder, f"operators-{key}"), _compiler()
    logger.info("compiling gluonface's operators for MXNet with %s (some 10 s, once)", compiler[0])
    with tempfile.TemporaryDirectory(dir=folder, prefix=SCRATCH) as scratch:
        made = pathlib.Path(scratch) / "operators.so"
        headers = pathlib.Path(_libmxnet()).parent / "include"
        include = ["-isystem", headers, "-isystem", headers / "mkldnn"]
        link = [f"-L{headers.parent}", "-l:libmxnet.so"]
        with _noted(note):
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
        return _keep(made, folder, f"operators-{key}")


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
        if -result.returncode in ENDS or KILLED.search(result.stdout):
            raise Interrupted(f"{failure}: {command[0]} was killed, or had no room; it is retried")
        what = f"status {result.returncode}" if result.returncode > 0 else "a crash"
        raise NativeError(f"{result.stdout}\n{failure}: {what} of {command[0]}")


def _last_line(text):
    return text.strip().rpartition("\n")[2]
