"""Matrix products of blocks of embeddings on a device, for the evaluation."""

from __future__ import annotations

import typing

import numpy as np

from .._compat import mx
from ..errors import InputError

__all__ = ["DeviceProduct"]

_CORNER = 16  # rows and columns of the first block that are computed twice
_TOLERANCE = {"float32": 2e-6, "float64": 1e-13}  # of unit vectors: rounding, in any order


class DeviceProduct:
    """``product(a, b, out)`` returning ``a @ b.T``, computed where `ctx` says.

    Blocks are copied there and scores back; what follows, such as finding the highest, is the same
    NumPy code on every device. A corner of the first block is checked against NumPy's product.

    Parameters
    ----------
    ctx : mx.Context
        Such as ``mx.gpu(0)``. ``mx.cpu()`` runs the same code without a GPU.

    Raises
    ------
    InputError
        At the first product: the device multiplies with less precision than the numbers have.
    """

    def __init__(self, ctx: typing.Any):
        self.ctx = ctx
        self._checked = False

    def __call__(self, a: np.ndarray, b: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return the scores (m, n) of `a` (m, D) and `b` (n, D), unit vectors, as a NumPy array."""
        left, right = (mx.nd.array(block, self.ctx, dtype=block.dtype) for block in (a, b))
        scores = mx.nd.dot(left, right, transpose_b=True).asnumpy()
        if not self._checked:
            self._check(a[:_CORNER], b[:_CORNER], scores[:_CORNER, :_CORNER])
        if out is None:
            return scores
        out[...] = scores
        return out

    def _check(self, a, b, scores):
        """Raise InputError for too little precision: tensor cores round float32 to 10 bits."""
        known = a.astype(np.float64) @ b.astype(np.float64).T
        worst = float(np.abs(scores - known).max(initial=0))
        if worst > _TOLERANCE.get(str(scores.dtype), 0):
            raise InputError(
                f"scores computed on {self.ctx} are {worst:.1e} off those of NumPy: it multiplies "
                f"{scores.dtype} with less precision. Unset MXNET_CUDA_TENSOR_OP_MATH_ALLOW_"
                "CONVERSION, set NVIDIA_TF32_OVERRIDE=0, or compare on the processor with --ctx cpu"
            )
        self._checked = True
