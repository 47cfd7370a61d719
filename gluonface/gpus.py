"""Ask NVIDIA's driver which GPU this is, before MXNet makes its first context on it.

The published mxnet-cu112 1.9.1 holds machine code for compute capability 5.0, 6.0, 7.0, 8.0 and
8.6 and nothing that the driver could translate for a later GPU. On a Hopper or Blackwell its first
kernel fails, with a message that names neither.
"""

from __future__ import annotations

import ctypes
import logging
import os
import typing

from .errors import InputError

__all__ = ["Gpu", "check_gpu", "is_supported", "query_gpu"]

logger = logging.getLogger(__name__)

DRIVER = "libcuda.so.1"
MAJOR, MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
MAX_NAME = 256
FIRST, LAST = 5, 8  # machine code of 5.0 runs on 5.x, and so on; there is none of 9
NVRTC = (8, 6)  # the newest that the compiler of CUDA 11.2 knows
FUSION = "MXNET_USE_FUSION"
ANY = "GLUONFACE_ANY_GPU"
GENERATIONS = {3: "Kepler", 9: "Hopper", 10: "Blackwell", 11: "Blackwell", 12: "Blackwell"}


class Gpu(typing.NamedTuple):
    """What the driver says of a GPU."""

    name: str
    major: int
    minor: int

    @property
    def capability(self) -> str:
        """The compute capability as NVIDIA writes it."""
        return f"{self.major}.{self.minor}"


def query_gpu(number: int) -> Gpu | None:
    """Return what the driver says of a GPU; None without a driver or such a GPU.

    No context is made.
    """
    try:
        driver = ctypes.CDLL(DRIVER)
        device, value = ctypes.c_int(), ctypes.c_int()
        if driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), int(number)):
            return None
        found = []
        for attribute in (MAJOR, MINOR):
            if driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device):
                return None
            found.append(value.value)
        text = ctypes.create_string_buffer(MAX_NAME)
        failed = driver.cuDeviceGetName(text, MAX_NAME, device)
    except (OSError, AttributeError):  # no such library, or not the driver's
        return None
    name = "" if failed else text.value.decode("utf-8", "replace")
    return Gpu(name or "unknown", *found)


def is_supported(gpu: Gpu) -> bool:
    """Return whether the published MXNet has machine code for a GPU."""
    return FIRST <= gpu.major <= LAST


def check_gpu(number: int) -> None:
    """Raise InputError if the published MXNet cannot run on a GPU.

    Where it can, but its compiler at run time does not know the GPU (8.9, Ada), the joining of
    operators that needs that compiler is switched off: MXNET_USE_FUSION=0, unless it is set. With
    GLUONFACE_ANY_GPU=1, for an MXNet of your own, nothing is checked.

    Parameters
    ----------
    number : int
        As of ``mx.gpu(number)``.
    """
    if os.environ.get(ANY, "0") not in ("", "0"):
        return
    gpu = query_gpu(number)
    if gpu is None:
        return
    if not is_supported(gpu):
        generation = GENERATIONS.get(gpu.major)
        raise InputError(
            f"gpu({number}) is {gpu.name}, compute capability {gpu.capability}"
            + (f" ({generation})" if generation else "")
            + f"; mxnet-cu112 1.9.1 has code for {FIRST}.0 to {LAST}.9 alone, Maxwell to Ada. Use "
            "the CPU (--ctx cpu), or export the model as ONNX and run it with onnxruntime-gpu. "
            f"With an MXNet that you built for this GPU set {ANY}=1"
        )
    if (gpu.major, gpu.minor) > NVRTC and FUSION not in os.environ:
        os.environ[FUSION] = "0"
        logger.info(
            "%s=0: the compiler in CUDA 11.2 does not know gpu(%d), %s, compute capability %s",
            *(FUSION, number, gpu.name, gpu.capability),
        )
