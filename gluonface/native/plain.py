"""Functions in C++ that need no MXNet, called through ctypes.

Each does what its caller does without a compiler too, in NumPy: faster, and with the same results.
"""

from __future__ import annotations

import ctypes
import logging
import os

from .build import NativeError, plain_library

__all__ = ["load_plain"]

logger = logging.getLogger(__name__)


def load_plain(name: str, without: str, vectors: bool = False) -> ctypes.CDLL | None:
    """Return the compiled ``NAME.cc``, or None where there is none.

    Parameters
    ----------
    name : str
    without : str
        What is so without it, for the log.
    vectors : bool, default False
        As of `gluonface.native.build.plain_library`.
    """
    if os.environ.get("GLUONFACE_NATIVE", "1") == "0":
        return None
    try:
        return ctypes.CDLL(str(plain_library(name, vectors)))
    except (NativeError, OSError) as error:
        logger.info("%s: %s", without, error)
        return None
