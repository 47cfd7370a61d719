"""Preparations for MXNet 1.9.1 (2022) on newer Pythons and NumPys and with CUDA wheels.

The rest of the package gets MXNet and OpenCV from here only::

    from gluonface._compat import mx
    from gluonface._compat import cv2

The import happens at that moment; `_mxnet_hook` calls `prepare` before it, and `_mxnet_repairs`
loads MXNet's modules.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import importlib.util
import logging
import os
import pathlib
import sys

from .errors import GluonfaceError

# mx and cv2 come from __getattr__.
__all__ = ["cv2", "mx", "prepare", "thread_count", "usable_cores"]  # noqa: F822

logger = logging.getLogger(__name__)

# The CUDA 11 libraries that mxnet-cu112 links, as PyPI ships them, in an order in which each
# finds those it needs already loaded: (folder below site-packages/nvidia, soname).
CUDA_LIBRARIES = (
    ("cuda_runtime", "libcudart.so.11.0"),
    ("cuda_nvrtc", "libnvrtc.so.11.2"),
    ("nvtx", "libnvToolsExt.so.1"),
    ("cublas", "libcublas.so.11"),
    ("cufft", "libcufft.so.10"),
    ("curand", "libcurand.so.10"),
    ("cusparse", "libcusparse.so.11"),
    ("cusolver", "libcusolver.so.11"),
    ("nccl", "libnccl.so.2"),
    ("cudnn", "libcudnn.so.8"),
)


def usable_cores() -> int:
    """Return how many CPU cores this process may use (affinity and cgroup quota), at least 1."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        cores = os.cpu_count() or 1
    try:  # a container's quota does not change its affinity mask
        quota, period = pathlib.Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            cores = min(cores, -(-int(quota) // int(period)))
    except (OSError, ValueError):
        pass
    return max(1, cores)


def thread_count() -> int:
    """Return how many threads MXNet has, at least 1; other engines take as many."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return max(1, int(first)) if first.isdigit() else usable_cores()


def _local_ranks():
    """Return how many processes of this job share the machine, from its launcher's variables."""
    for name in (
        "HOROVOD_LOCAL_SIZE",
        "OMPI_COMM_WORLD_LOCAL_SIZE",
        "MPI_LOCALNRANKS",
        "LOCAL_WORLD_SIZE",
    ):
        if os.environ.get(name, "").isdigit():
            return max(1, int(os.environ[name]))
    tasks = os.environ.get("SLURM_STEP_TASKS_PER_NODE", "")  # "4" or "4(x2)"
    return max(1, int(tasks.split("(")[0])) if tasks.split("(")[0].isdigit() else 1


def _set_thread_count():
    """Give MXNet its share of the cores.

    By default MXNet takes half the logical cores, one on a 2-core machine. It reads
    OMP_NUM_THREADS once, at import.
    """
    if os.environ.get("OMP_NUM_THREADS"):
        logger.info("OMP_NUM_THREADS=%s is set; left as it is", os.environ["OMP_NUM_THREADS"])
        return
    cores, ranks = usable_cores(), _local_ranks()
    threads = max(1, cores // ranks)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    logger.info(
        "MXNet runs with %d OpenMP thread%s (%d usable cores, %d local process%s); "
        "set OMP_NUM_THREADS to choose otherwise",
        threads,
        "" if threads == 1 else "s",
        cores,
        ranks,
        "" if ranks == 1 else "es",
    )


def _installed(distribution):
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _nvidia_root():
    """Return site-packages/nvidia, or None when no CUDA library of PyPI is installed."""
    spec = importlib.util.find_spec("nvidia")
    if spec is None or not spec.submodule_search_locations:
        return None
    return pathlib.Path(next(iter(spec.submodule_search_locations)))


def _load(name):
    return ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)


def _load_cuda(root=None, load=_load):
    """Load the driver and the CUDA libraries of PyPI so that mxnet-cu112 finds their symbols."""
    try:
        load("libcuda.so.1")
    except OSError as error:
        raise GluonfaceError(
            f"mxnet-cu112 is installed but the NVIDIA driver's libcuda.so.1 cannot be loaded "
            f"({error}). Install the NVIDIA driver (450 or newer), or use the CPU build: "
            "pip uninstall -y mxnet-cu112 && pip install 'gluonface[cpu]'"
        ) from error
    root = root or _nvidia_root()
    if root is None:
        return  # a CUDA 11.2 toolkit installed on the system serves as well
    for folder, soname in CUDA_LIBRARIES:
        path = root / folder / "lib" / soname
        if not path.exists():
            logger.debug("%s is not there; the system's loader looks for it", path)
            continue
        try:
            load(str(path))
        except OSError as error:
            raise GluonfaceError(
                f"{path} cannot be loaded: {error}. Reinstall the CUDA libraries with: "
                "pip install --force-reinstall 'gluonface[cu112]'"
            ) from error


def _set_waiting():
    """Let OpenMP threads wait for work a little longer before they sleep.

    MXNet runs OpenMP from several threads of its own, so libgomp counts more threads than cores
    and lets them sleep almost at once; waking them takes longer than a small operator. With these
    two settings a thread spins 1,000 times instead of 100 then, and otherwise as long as ever.
    Measured with a MobileFaceNet on two cores, in processes that took turns with and without: 8
    images are inferred 1.26 times as fast (475 and 377 images/s, the best of five each), single
    images and training are within the noise of the machine, and so are two processes.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & set(os.environ):
        os.environ["OMP_WAIT_POLICY"] = "active"
        os.environ["GOMP_SPINCOUNT"] = "300000"  # libgomp's default, about 3 ms


def _restore_distutils():
    """Provide distutils, which MXNet imports and Python 3.12 dropped, from setuptools."""
    if sys.version_info < (3, 12):
        return
    try:
        import setuptools  # noqa: F401  (its import hook provides distutils)
    except ImportError as error:
        raise GluonfaceError(
            f"MXNet needs distutils, which Python {sys.version_info[0]}.{sys.version_info[1]} "
            "no longer has; setuptools carries it: pip install setuptools"
        ) from error


def prepare() -> None:
    """Set threads and load libraries before MXNet's first line. `_mxnet_hook` calls it."""
    _set_thread_count()
    _set_waiting()
    _restore_distutils()
    if _installed("mxnet-cu112"):
        _load_cuda()


def _import_mxnet():
    if "mxnet" in sys.modules:  # the user's own import came first; its threads are as they are
        return sys.modules["mxnet"]
    try:
        return importlib.import_module("mxnet")
    except ModuleNotFoundError as error:
        if error.name != "mxnet":  # a package that MXNet needs is missing
            raise
    if sys.version_info >= (3, 13):  # pip refuses: MXNet's metadata asks for NumPy 1
        commands = "pip install --no-deps mxnet==1.9.1", "pip install --no-deps mxnet-cu112==1.9.1"
    else:
        commands = "pip install 'gluonface[cpu]'", "pip install 'gluonface[cu112]'"
    raise GluonfaceError(
        f"MXNet is not installed. On a CPU: {commands[0]}. On NVIDIA GPUs: {commands[1]}."
    )


def _import_cv2():
    try:
        return importlib.import_module("cv2")
    except ImportError as error:
        version = _installed("opencv-python") or _installed("opencv-python-headless")
        pin = f"=={version}" if version else ""
        raise GluonfaceError(
            f"OpenCV cannot be imported: {error}. On a machine without a screen, install the build "
            "that needs no graphics libraries: pip install --force-reinstall --no-deps "
            f"opencv-python-headless{pin}"
        ) from error


_IMPORTS = {"mx": _import_mxnet, "cv2": _import_cv2}


def __getattr__(name):
    if name not in _IMPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = globals()[name] = _IMPORTS[name]()
    return module
