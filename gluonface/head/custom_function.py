"""A hand-written backward function, recorded with MXNet's autograd.

`mxnet.autograd.Function` does this too, but copies every gradient once more, drops those of all
inputs after one that needs none, and loses those that are to be added (``grad_req="add"``). Here
the backward function is given MXNet's own arrays to write into.
"""

import ctypes
import itertools
import logging

from .._compat import mx
from ..errors import GluonfaceError

__all__ = ["record"]

logger = logging.getLogger(__name__)

_BACKWARD = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.POINTER(ctypes.c_void_p),
    ctypes.POINTER(ctypes.c_int),
    ctypes.c_int,
    ctypes.c_void_p,
)
_DELETE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
_ADD = 3  # MXNet's codes of what to do with a gradient: 0 nothing, 1 and 2 write, 3 add

_alive: dict = {}  # what MXNet may still call, kept from Python's garbage collector
_keys = itertools.count(1)


def _forget(key):
    _alive.pop(key, None)
    return 1


_FORGET = _DELETE(_forget)  # one for all: a callback must not free itself while it runs


def record(inputs, output, backward):
    """Make `output` a function of `inputs` for autograd. Does nothing outside `record()`.

    Parameters
    ----------
    inputs : sequence of NDArray
    output : NDArray
        Computed outside of recording.
    backward : callable
        ``backward(grad, targets)``: `grad` is the gradient of `output`; ``targets[i]`` is None if
        the gradient of input i is not wanted, else a pair (array, add): the gradient is to be
        written into the array, or added to what it holds. Called from a thread of MXNet's.
    """
    if not mx.autograd.is_recording():
        return
    base = mx.base

    def call(outputs, gradients, pointers, requests, _training, _state):
        try:
            arrays = [
                mx.nd.NDArray(ctypes.cast(pointers[i], base.NDArrayHandle), writable=i >= outputs)
                for i in range(outputs + gradients)
            ]
            targets = [
                None if requests[i] == 0 else (arrays[outputs + i], requests[i] == _ADD)
                for i in range(gradients)
            ]
            backward(arrays[0], targets)
        except Exception as error:  # it cannot pass through C; 0 makes MXNet raise its own
            known = isinstance(error, (base.MXNetError, GluonfaceError))  # often another rank ended
            reason = (str(error).strip().splitlines() or [repr(error)])[-1]
            logger.error("the gradient of the classifier failed: %s", reason, exc_info=not known)
            logger.debug("traceback", exc_info=known)
            return 0
        return 1

    key = next(_keys)
    callback, generic = _BACKWARD(call), ctypes.CFUNCTYPE(ctypes.c_int)
    entries = (generic * 2)(ctypes.cast(callback, generic), ctypes.cast(_FORGET, generic))
    states = (ctypes.c_void_p * 2)(None, key)
    info = base.MXCallbackList(2, entries, states)
    _alive[key] = (callback, entries, states, info)
    base.check_call(
        base._LIB.MXCustomFunctionRecord(
            len(inputs),
            base.c_handle_array(inputs),
            1,
            base.c_handle_array([output]),
            ctypes.byref(info),
        )
    )
