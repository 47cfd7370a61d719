"""Blocked products of embeddings on a device: what `gluonface.evaluation` takes for NumPy's."""

from .._compat import mx

__all__ = ["DeviceProduct"]


class DeviceProduct:
    """``product(a, b, out)`` returning ``a @ b.T``, computed where `ctx` says.

    Parameters
    ----------
    ctx : mx.Context
        Such as ``mx.gpu(0)``. Blocks travel there and scores back; the product itself is what
        takes the time.
    """

    def __init__(self, ctx):
        self.ctx = ctx

    def __call__(self, a, b, out=None):
        """Return the scores (m, n) of `a` (m, D) and `b` (n, D) as a NumPy array."""
        left, right = (mx.nd.array(block, self.ctx, dtype=block.dtype) for block in (a, b))
        scores = mx.nd.dot(left, right, transpose_b=True).asnumpy()
        if out is None:
            return scores
        out[...] = scores
        return out
