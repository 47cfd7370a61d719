"""The number of threads that a benchmark measures with."""

import logging
import os
import sys

from ..errors import InputError

__all__ = ["set_threads"]

logger = logging.getLogger(__name__)

OF_NUMPY = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def set_threads(count, library="mxnet"):
    """Set the threads of a library that will be imported; it reads them then.

    Parameters
    ----------
    count : int or None
        With None the environment stays as it is.
    library : {"mxnet", "numpy"}
        A warning says that NumPy is imported already.

    Raises
    ------
    InputError
        If there are fewer than 1.
    """
    if count is None:
        return
    if count < 1:
        raise InputError(f"--threads is {count}; expected at least 1")
    if library == "numpy" and "numpy" in sys.modules:
        logger.warning("NumPy was loaded before; its threads stay as they are")
    for name in OF_NUMPY if library == "numpy" else OF_NUMPY[:1]:
        os.environ[name] = str(count)
