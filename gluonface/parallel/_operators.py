"""The few large operations of the classifier, in the forms that are fast on a CPU.

MXNet has several operators for each, far apart in speed. Measured on one core with N=128 samples,
D=512, C=50,000 classes, milliseconds: gradients of the product by `dot` 359, by the backward
operator of FullyConnected 152; squared norms of the rows by `norm` 176, by NumPy on the same
memory 3; row maxima by `max` 35, by a global pooling 8; column sums by `sum` 49, by a product
with ones 3; removing the radial part in one piece 63, in pieces that stay in the cache 36.
"""

import ctypes

import numpy as np

from .._compat import mx

__all__ = [
    "add_at",
    "class_max",
    "column_sums",
    "dense",
    "dense_gradients",
    "inverse_norms",
    "row_max",
    "subtract_scaled",
    "untracked",
]

nd = mx.nd
CACHED = 1 << 19  # numbers of a piece that stays in the cache, 2 MiB


class _Shared:
    """A CPU NDArray as NumPy wants it: the same memory, read only."""

    def __init__(self, array):
        self._array = array

    def __dlpack__(self, stream=None):
        return self._array.to_dlpack_for_read()

    def __dlpack_device__(self):
        return (1, 0)


def untracked(array):
    """Return the memory of `array` as an NDArray that MXNet's engine takes for another one.

    A backward function that reads a parameter by its own name can lock up: it runs late, and an
    update of the parameter may be queued before its read, waiting for the gradient that the
    function is to give. Whoever reads under this name sees to the order himself.
    """
    return nd.from_dlpack(array.to_dlpack_for_read())


def inverse_norms(rows, wait=True):
    """Return 1/||row|| as (N,), and 0 for a zero row: it has no direction and no gradient.

    With `wait` it is fast on the CPU, but Python waits for `rows` to be computed.
    """
    if wait and rows.context.device_type == "cpu":
        values = np.from_dlpack(_Shared(rows))
        norms = nd.array(np.sqrt(np.einsum("ij,ij->i", values, values)), ctx=rows.context)
    else:
        norms = nd.norm(rows, axis=1)
    return (norms > 1e-12) / nd.maximum(norms, 1e-12)


def row_max(matrix):
    """Return the largest number of each row, (N,)."""
    pooled = nd.Pooling(
        nd.expand_dims(matrix, axis=0), pool_type="max", global_pool=True, kernel=(1,)
    )
    return nd.reshape(pooled, shape=(-1,))


def class_max(scores):
    """Return the largest of the k numbers of each class, (N, n), of (N, n, k).

    Three times as fast as `max` along the last axis: 171 against 519 ms for k=3.
    """
    largest = scores[:, :, 0]
    for i in range(1, scores.shape[2]):
        largest = nd.maximum(largest, scores[:, :, i])
    return largest


def column_sums(matrix):
    """Return the sum of each column, (n,)."""
    ones = nd.ones((1, matrix.shape[0]), ctx=matrix.context)
    return nd.reshape(nd.dot(ones, matrix), shape=(-1,))


def add_at(shape, where, values):
    """Return zeros of the shape (n,) to which `values` (k,) are added at `where` (k,)."""
    return nd._internal._backward_gather_nd(values, nd.expand_dims(where, axis=0), shape=shape)


def dense(x, weight, bias=None):
    """Return the inner products x W' (+ bias), (N, n).

    By its sparse alias, which AMP leaves in float32.
    """
    inputs = (x, weight) if bias is None else (x, weight, bias)
    return nd.sparse.FullyConnected(*inputs, num_hidden=weight.shape[0], no_bias=bias is None)


def _operator(name):
    handle = ctypes.c_void_p()
    mx.base.check_call(mx.base._LIB.NNGetOpHandle(mx.base.c_str(name), ctypes.byref(handle)))
    return handle.value


_DENSE_BACKWARD = _operator("_backward_FullyConnected")


def dense_gradients(grad, x, weight, grad_weight):
    """Write grad' x into `grad_weight` (n, D) and return grad W, (N, D)."""
    grad_x = nd.empty(x.shape, ctx=x.context)
    # The operator has no Python function of its own.
    mx.nd.register._imperative_invoke(
        _DENSE_BACKWARD,
        [grad, x, weight],
        ["num_hidden", "no_bias"],
        [str(weight.shape[0]), "True"],
        [grad_x, grad_weight],
        False,
        False,
    )
    return grad_x


def subtract_scaled(result, rows, factors):
    """Subtract `rows` (n, D), each times its factor (n,), from `result` in place."""
    factors = nd.expand_dims(factors, axis=1)
    step = max(1, CACHED // rows.shape[1])
    for first in range(0, rows.shape[0], step):
        part = result[first : first + step]
        scaled = nd.broadcast_mul(rows[first : first + step], factors[first : first + step])
        nd.elemwise_sub(part, scaled, out=part)
