"""The processes of a run and their devices."""

from __future__ import annotations

import os
import re

from .._compat import mx
from ..errors import InputError
from ..gpus import check_gpu
from ..parallel.communicator import Communicator, Horovod, Local

__all__ = ["communicator", "contexts"]

STARTED = ("HOROVOD_SIZE", "OMPI_COMM_WORLD_SIZE")  # by horovodrun, mpirun


def communicator(parallel: str) -> Communicator:
    """Return the communicator of ``train.parallel``.

    Raises
    ------
    InputError
        If ``local`` is given in one of several processes of a job.
    """
    if parallel == "horovod":
        return Horovod()
    for name in STARTED:
        size = os.environ.get(name, "")
        if size.isdigit() and int(size) > 1:
            raise InputError(
                f"this is one of {size} processes ({name}), and each of them would train the same "
                "run alone; add --parallel horovod"
            )
    return Local()


def contexts(text: str, comm: Communicator | None = None) -> list:
    """Return the MXNet contexts of ``cpu``, ``gpu``, ``cpu0,cpu1``, ``gpu0,gpu1``.

    A ``gpu`` without number has the number of the process's local rank.

    Raises
    ------
    InputError
        If the text is something else, or names a GPU that MXNet does not see.
    """
    result = []
    for word in str(text).split(","):
        match = re.fullmatch(r"(cpu|gpu)[(:]?(\d*)\)?", word.strip())
        if not match:
            raise InputError(
                f"--ctx {text!r}: {word.strip()!r} is no device; expected cpu, gpu, or a list "
                "such as gpu0,gpu1"
            )
        kind, number = match[1], int(match[2] or 0)
        if kind == "gpu":
            if not match[2] and comm is not None:
                number = comm.local_rank
            count = mx.context.num_gpus()
            if number >= count:
                raise InputError(
                    f"--ctx {text!r}: there is no gpu{number}; MXNet sees {count} GPUs"
                    + ("" if count else " (the CUDA build is gluonface[cu112])")
                )
            check_gpu(number)
        result.append(mx.Context(kind, number))
    if len(set(map(str, result))) < len(result):
        raise InputError(f"--ctx {text!r} names a device twice")
    if len({context.device_type for context in result}) > 1:
        raise InputError(f"--ctx {text!r} mixes CPUs and GPUs; take one kind")
    return result
