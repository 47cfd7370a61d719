"""Operators of our own for MXNet on a CPU: PReLU, gates and products of maps.

MXNet 1.9.1 computes these in its own memory layout without vector instructions, or composes them
of several operators; a mobile network spent a third of its training there. Ours are C++
(operators.cc). `build` compiles them once on the machine that uses them and compares them with
NumPy in a process of its own before they are loaded. Where that is not possible, or not wanted
(``GLUONFACE_NATIVE=0``), networks are computed without them, slower.

They take float32 arrays on CPUs. Blocks get them from `operators`, and only within `allowed`,
which `Backbone` and the graphs of `deploy` enter when their arrays are such. An exported graph
never holds them.
"""

from __future__ import annotations

import contextlib
import contextvars
import ctypes
import functools
import logging
import os
import threading
import types
import typing

from .. import _compat
from .build import NativeError, describe, library

__all__ = [
    "NAMES",
    "NativeError",
    "allowed",
    "load",
    "operators",
    "ready",
    "setting",
    "state",
    "without",
]

logger = logging.getLogger(__name__)

NAMES = ("prelu", "gate", "product", "mean", "blocks", "gradient_blocks", "relu6")
FOR_INFERENCE = ("depthwise1", "depthwise2")
PREFIX = "_gluonface_"

_allowed = contextvars.ContextVar("allowed", default=False)
_without = contextvars.ContextVar("without", default=False)
_once = threading.Lock()


def load(path: str | os.PathLike) -> None:
    """Load a compiled library and add its operators to `mxnet.nd._internal` and `sym`'s.

    Parameters
    ----------
    path : str or pathlib.Path

    Raises
    ------
    OSError
        If the system's loader cannot load it, with the loader's reason.
    """
    mx = _compat.mx  # when it is used: the scan of JPEGs needs no MXNet
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


def ready() -> bool:
    """Return whether this process has the operators; compiles and loads them at the first call."""
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


def state() -> str:
    """Return in words whether there are operators here; nothing is compiled."""
    if os.environ.get("GLUONFACE_NATIVE", "1") == "0":
        return "switched off (GLUONFACE_NATIVE=0)"
    try:
        return describe()
    except NativeError as error:
        return f"none: {error}"


@contextlib.contextmanager
def setting(variable: contextvars.ContextVar, value: typing.Any) -> typing.Iterator[None]:
    """Within this context a context variable has `value` in this thread."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def allowed() -> contextlib.AbstractContextManager[None]:
    """Return a context in which this thread gets `operators`: its arrays are float32 on a CPU."""
    return setting(_allowed, True)


def without() -> contextlib.AbstractContextManager[None]:
    """Return a context in which this thread gets no `operators`, allowed or not."""
    return setting(_without, True)


def operators(F: typing.Any) -> types.SimpleNamespace | None:
    """Return the operators for `mxnet.nd` or `mxnet.sym`, or None where they cannot be used.

    They are functions of the names of `NAMES`, with the inputs of
    ``mxnet.nd._internal._gluonface_NAME``.
    """
    return _operators(F) if _allowed.get() and not _without.get() and ready() else None


@functools.cache
def _operators(F):
    return types.SimpleNamespace(**{name: getattr(F._internal, PREFIX + name) for name in NAMES})
