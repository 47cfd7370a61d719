"""The few large operations of the classifier, in the variants that are fast on a CPU.

MXNet has several operators for each, far apart in speed. Measured on one core with N=128 samples,
D=512, C=50,000 classes, milliseconds: gradients of the product by `dot` 359, by the backward
operator of FullyConnected 152; squared norms of the rows by `norm` 176, by NumPy on the same
memory 3; row maxima by `max` 35, by a global pooling 8; column sums by `sum` 49, by a product
with ones 3; subtracting the radial component at once 63, in blocks that stay in the cache 36. NumPy
is not faster at everything: the three products take it 200, the two operators used here 104. What
is elementwise on (N, n) is done in NumPy on a CPU, some rows at a time: 6 to 10 times as fast. The
exponentials are compiled (``native/exponentials.cc``): 6 ms, NumPy 23.
"""

import ctypes
import functools

import numpy as np

from .._compat import mx
from ..native.plain import load_plain

__all__ = [
    "add_at",
    "as_ndarray",
    "as_numpy",
    "class_max",
    "dense",
    "dense_gradients",
    "empty_matrix",
    "exponentials",
    "inverse_norms",
    "on_host",
    "row_blocks",
    "scale_columns",
    "scale_rows_and_columns",
    "scatter",
    "subtract_radial",
    "untracked",
    "weighted_columns",
]

nd = mx.nd
CACHED = 1 << 19  # numbers of a block that stays in the cache, 2 MiB


def on_host(array):
    """Return whether an NDArray is in memory that NumPy can access."""
    return array.context.device_type == "cpu"


def as_numpy(array):
    """Return the memory of a float32 NDArray on the CPU as a NumPy array that may be written.

    Waits for all operations that are queued on the array. Keep `array` while using the result, and
    queue nothing that changes it.
    """
    base = mx.base
    base.check_call(base._LIB.MXNDArrayWaitToWrite(array.handle))
    pointer = ctypes.c_void_p()
    base.check_call(base._LIB.MXNDArrayGetData(array.handle, ctypes.byref(pointer)))
    values = (ctypes.c_float * array.size).from_address(pointer.value)
    values.owner = array  # the memory lives as long as any array that uses it
    return np.frombuffer(values, np.float32).reshape(array.shape)


def as_ndarray(values):
    """Return the memory of a C-contiguous float32 NumPy array as an NDArray on the CPU."""
    return nd.from_dlpack(values.__dlpack__())


def untracked(array):
    """Return the memory of `array` as an NDArray that MXNet's engine takes for another one.

    A backward function that reads a parameter by its own name can lock up: it runs late, and an
    update of the parameter may be queued before its read, waiting for the gradient that the
    function is to compute. The caller has to order reads by this name itself.
    """
    return nd.from_dlpack(array.to_dlpack_for_read())


def inverse_norms(rows, wait=True):
    """Return 1/||row|| as (N,), and 0 for a zero row: it has no direction and no gradient.

    With `wait` it is fast on the CPU, but Python waits for `rows` to be computed.
    """
    if wait and on_host(rows):
        values = as_numpy(rows)
        norms = nd.array(np.sqrt(np.einsum("ij,ij->i", values, values)), ctx=rows.context)
    else:
        norms = nd.norm(rows, axis=1)
    return (norms > 1e-12) / nd.maximum(norms, 1e-12)


def _row_max(matrix):
    pooled = nd.Pooling(
        nd.expand_dims(matrix, axis=0), pool_type="max", global_pool=True, kernel=(1,)
    )
    return nd.reshape(pooled, shape=(-1,))


def row_blocks(matrix):
    """Yield slices of rows of a matrix that fit into the cache, or that keep a GPU busy."""
    row = max(1, int(np.prod(matrix.shape[1:])))
    numbers = CACHED if isinstance(matrix, np.ndarray) or on_host(matrix) else 32 * CACHED
    step = max(1, numbers // row)
    for first in range(0, matrix.shape[0], step):
        yield slice(first, min(matrix.shape[0], first + step))


def exponentials(logits, scale, columns=None, shift=None, own=None, targets=None):
    """Turn scores (N, n) in place into exp(logit - the row's largest); return maxima and sums.

    Parameters
    ----------
    logits : NDArray (N, n)
        Scores; a logit is the score times `scale`, times the column's `columns`, plus `shift`.
    scale : float
    columns, shift : NDArray (n,), optional
    own : NDArray (2, k) int64, optional
        Row and column of the logits that are given as `targets` instead.
    targets : NDArray (k,), optional

    Returns
    -------
    tuple of NDArray (N,)
        The largest logit, and the sum of exp(logit - largest), at least 1.
    """
    if not on_host(logits):
        logits *= scale
        if columns is not None:
            nd.broadcast_mul(logits, nd.expand_dims(columns, axis=0), out=logits)
        if shift is not None:
            nd.broadcast_add(logits, nd.expand_dims(shift, axis=0), out=logits)
        if own is not None:
            scatter(logits, own, targets)
        top = _row_max(logits)
        nd.broadcast_sub(logits, nd.expand_dims(top, axis=1), out=logits)
        nd.exp(logits, out=logits)
        return top, nd.dot(logits, nd.ones((logits.shape[1],), ctx=logits.context))
    factor = np.float32(scale)
    if columns is not None:
        factor = factor * columns.asnumpy()
    shift = None if shift is None else shift.asnumpy()
    rows, places = (None, None) if own is None else own.asnumpy()
    targets = None if own is None else targets.asnumpy()
    values = as_numpy(logits)
    tops, sums = (np.empty(values.shape[0], np.float32) for _ in range(2))
    compiled = _compiled()
    if compiled is not None:
        column_of, logit_of = np.full(len(values), -1), np.empty(len(values), np.float32)
        if rows is not None:
            column_of[rows], logit_of[rows] = places, targets
        each, one = (None, factor) if columns is None else (factor, 1.0)
        pointers = map(_pointer, (shift, column_of, logit_of, tops, sums))
        compiled.gluonface_exponentials(
            _pointer(values), *values.shape, _pointer(each), one, *pointers
        )
    for block in row_blocks(values) if compiled is None else ():
        chunk = values[block]
        chunk *= factor
        if shift is not None:
            chunk += shift
        if own is not None:
            here = (rows >= block.start) & (rows < block.stop)
            chunk[rows[here] - block.start, places[here]] = targets[here]
        top = tops[block] = chunk.max(axis=1)
        chunk -= top[:, None]
        np.exp(chunk, out=chunk)
        chunk.sum(axis=1, out=sums[block])
    return nd.array(tops, ctx=logits.context), nd.array(sums, ctx=logits.context)


@functools.lru_cache(maxsize=1)
def _compiled():
    """Return ``native/exponentials.cc``, or None."""
    library = load_plain("exponentials", "the softmax is computed in NumPy, slower", vectors=True)
    if library is not None:
        array, count = ctypes.c_void_p, ctypes.c_int64
        function = library.gluonface_exponentials
        function.argtypes = (array, count, count, array, ctypes.c_float, *[array] * 5)
        library.gluonface_scale.argtypes = (array, count, count, *[array] * 4)
        function.restype = library.gluonface_scale.restype = None
    return library


def _pointer(array):
    return None if array is None else array.ctypes.data


def scale_columns(matrix, columns):
    """Multiply the columns of a matrix (N, n) by `columns` (n,) in place."""
    if not on_host(matrix):
        nd.broadcast_mul(matrix, nd.expand_dims(columns, axis=0), out=matrix)
        return
    factors, values = columns.asnumpy(), as_numpy(matrix)
    for block in row_blocks(values):
        values[block] *= factors


def scale_rows_and_columns(
    matrix, rows, columns=None, derivatives=None, less=None, own=None, targets=None
):
    """Multiply a matrix (N, n) in place by `rows` (N,), `columns` (n,) and `derivatives` (N, n).

    `less` (N,) is taken off after `rows`. The places `own` (2, k) get `targets` (k,), which
    are multiplied by `columns` only.
    """
    if not on_host(matrix):
        nd.broadcast_mul(matrix, nd.expand_dims(rows, axis=1), out=matrix)
        if less is not None:
            nd.broadcast_sub(matrix, nd.expand_dims(less, axis=1), out=matrix)
        if derivatives is not None:
            matrix *= derivatives
        if own is not None:
            scatter(matrix, own, targets)
        if columns is not None:
            nd.broadcast_mul(matrix, nd.expand_dims(columns, axis=0), out=matrix)
        return
    factors = rows.asnumpy()[:, None]
    less = None if less is None else less.asnumpy()[:, None]
    columns = None if columns is None else columns.asnumpy()
    places, numbers = (None, None) if own is None else own.asnumpy()
    places, targets = (None, None) if own is None else ((places, numbers), targets.asnumpy())
    derivatives = None if derivatives is None else as_numpy(derivatives)
    values, compiled = as_numpy(matrix), _compiled()
    if compiled is not None:
        pointers = map(_pointer, (factors, less, derivatives, columns))
        compiled.gluonface_scale(_pointer(values), *values.shape, *pointers)
    for block in row_blocks(values) if compiled is None else ():
        chunk = values[block]
        chunk *= factors[block]
        if less is not None:
            chunk -= less[block]
        if derivatives is not None:
            chunk *= derivatives[block]
        if columns is not None:
            chunk *= columns
    if own is not None:
        values[places] = targets if columns is None else targets * columns[numbers]


def scatter(matrix, where, values):
    """Write `values` (k,) to the rows and columns `where` (2, k) of a matrix."""
    nd._internal._scatter_set_nd(
        lhs=matrix, rhs=values, indices=where, shape=matrix.shape, out=matrix
    )


def class_max(scores):
    """Return the largest of the k numbers of each class, (N, n), of (N, n, k).

    Three times as fast as `max` along the last axis: 171 against 519 ms for k=3.
    """
    largest = scores[:, :, 0]
    for i in range(1, scores.shape[2]):
        largest = nd.maximum(largest, scores[:, :, i])
    return largest


def weighted_columns(matrix, rows):
    """Return the sum of the rows of a matrix (N, n), each times its number in `rows` (N,)."""
    return nd.reshape(nd.dot(nd.expand_dims(rows, axis=0), matrix), shape=(-1,))


def add_at(shape, where, values):
    """Return zeros of the shape (n,) to which `values` (k,) are added at `where` (k,)."""
    return nd._internal._backward_gather_nd(values, nd.expand_dims(where, axis=0), shape=shape)


def empty_matrix(shape, ctx):
    """Return an empty matrix (N, n), in memory whose size takes few values while n varies.

    The number of sampled classes varies from step to step. The C library puts no matrix where a
    smaller one was, and keeps that place: a process was seen to grow by ten matrices in 150 steps.
    """
    rows, columns = shape
    return nd.empty((rows * _room(columns),), ctx=ctx)[: rows * columns].reshape(shape)


def _room(columns):
    """Return a number of columns, rounded up by 1 in 32 at most."""
    step = 1 << max(0, columns.bit_length() - 6)
    return -(-columns // step) * step


def dense(x, weight, bias=None):
    """Return the inner products x W' (+ bias), (N, n).

    By its sparse alias, which AMP leaves in float32.
    """
    inputs = (x, weight) if bias is None else (x, weight, bias)
    out = empty_matrix((x.shape[0], weight.shape[0]), x.context)
    settings = {"num_hidden": weight.shape[0], "no_bias": bias is None, "out": out}
    return nd.sparse.FullyConnected(*inputs, **settings)


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


def subtract_radial(gradient, rows, inverse):
    """Subtract from `gradient` (n, D), in place, its component along `rows` (n, D).

    `inverse` (n,) is 1 over the rows' lengths, or 0 for a row of zeros. A cosine does not change
    with the length of the row.
    """
    if not on_host(gradient):
        along = nd.sum(gradient * rows, axis=1) * nd.square(inverse)
        gradient -= nd.broadcast_mul(rows, nd.expand_dims(along, axis=1))
        return
    squares = np.square(inverse.asnumpy())
    gradient, rows = as_numpy(gradient), as_numpy(rows)
    for block in row_blocks(rows):
        along = np.einsum("ij,ij->i", gradient[block], rows[block]) * squares[block]
        gradient[block] -= rows[block] * along[:, None]
