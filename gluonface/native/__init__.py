"""Operators of our own for MXNet on a CPU: PReLU, gates and products of maps.

MXNet 1.9.1 computes them in its own memory layout, without vector instructions, or has to compose
them, which is where a mobile network spent a third of its training. They are C++ (operators.cc),
compiled once on the machine that uses them by `build`, which also compares them with NumPy in a
process of its own before anyone loads them. Where that is not possible, or not wanted
(``GLUONFACE_NATIVE=0``), networks are computed without them, slower.

They exist for float32 arrays on CPUs, so blocks ask for them with `operators`, which gives them
within `allowed` only: `Backbone` and the graphs of `deploy` know their arrays. A graph that is
exported never holds them.
"""

import ctypes
import functools
import logging
import os
import threading

from .._compat import mx
from ..scoped import Scoped
from .build import NativeError, library

__all__ = ["NAMES", "NativeError", "allowed", "load", "operators", "ready", "without"]

logger = logging.getLogger(__name__)

NAMES = ("prelu", "gate", "product", "mean", "blocks", "gradient_blocks", "relu6")
FOR_INFERENCE = ("depthwise1", "depthwise2")
PREFIX = "_gluonface_"

_state = Scoped(allowed=False, without=False)
_once = threading.Lock()


def load(path):
    """Load a compiled library and give its operators to `mxnet.nd._internal` and `sym`'s.

    Parameters
    ----------
    path : str or pathlib.Path

    Raises
    ------
    OSError
        If the system's loader cannot: it says why.
    """
    base = mx.base
    ctypes.CDLL(os.fspath(path)).gluonface_register()
    for name in (*NAMES, *FOR_INFERENCE):
        handle = base.OpHandle()
        base.check_call(base._LIB.NNGetOpHandle(base.c_str(PREFIX + name), ctypes.byref(handle)))
        for module, make in (
            (mx.nd._internal, mx.nd.register._make_ndarray_function),
            (mx.sym._internal, mx.sym.register._make_symbol_function),
        ):
            setattr(module, PREFIX + name, make(handle, PREFIX + name, PREFIX + name))


def ready():
    """Whether this process has the operators; compiles and loads them at the first call."""
    with _once:  # MXNet does not register an operator twice
        return _ready()


@functools.cache
def _ready():
    if os.environ.get("GLUONFACE_NATIVE", "1") == "0":
        return False
    try:
        load(library())
    except (NativeError, OSError) as error:
        logger.info(
            "MXNet runs on the CPU without gluonface's operators, slower (PReLU and gates): %s",
            error,
        )
        return False
    return True


def allowed():
    """Within this context `operators` gives them in this thread: arrays are float32 on a CPU."""
    return _state.within("allowed", True)


def without():
    """Within this context `operators` gives none in this thread, allowed or not."""
    return _state.within("without", True)


class _Operators:
    """Functions of `NAMES`: their inputs are those of ``mxnet.nd._internal._gluonface_NAME``."""

    def __init__(self, module):
        for name in NAMES:
            setattr(self, name, getattr(module, PREFIX + name))


def operators(F):
    """Return the operators for `mxnet.nd` or `mxnet.sym`, or None where they cannot be used."""
    if not _state.allowed or _state.without or not ready():
        return None
    return _operators(F)


@functools.cache
def _operators(F):
    return _Operators(F._internal)
