"""A Gluon block around the formula of an auxiliary loss."""

from ..._compat import mx
from ...errors import InputError
from .._block import to_float32
from ._base import Auxiliary

__all__ = ["AuxiliaryBlock"]


class AuxiliaryBlock(mx.gluon.HybridBlock):
    """The formula of an auxiliary loss on given arrays, as a block that can be hybridized.

    It keeps no state and is of this process alone. The loss itself, called with embeddings and
    labels, has both.

    Parameters
    ----------
    loss : Auxiliary
        From `get_auxiliary`. Its parameters are constants of the hybridized graph, which is traced
        anew when one is changed.

    Inputs
    ------
    *inputs : NDArray
        As the loss's `formula` takes them: ``triplet`` anchors, positives and negatives;
        ``contrastive`` two sides and whether they are of one identity; ``focal`` losses; and so
        on. Floats are cast to float32.

    Outputs
    -------
    NDArray (N,) float32
    """

    def __init__(self, loss, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(loss, Auxiliary):
            raise InputError(f"loss must come from get_auxiliary, got {loss!r}")
        self.loss = loss
        self._traced = None

    def forward(self, *inputs):
        """Cast to float32, and trace anew when a parameter of the loss has changed."""
        if isinstance(inputs[0], mx.nd.NDArray):
            inputs = [x if "int" in str(x.dtype) else to_float32(x) for x in inputs]
            params = [getattr(self.loss, name) for name in self.loss.parameters]
            if params != self._traced:
                self._clear_cached_op()
                self._traced = params
        return super().forward(*inputs)

    def hybrid_forward(self, F, *inputs):
        """Return the losses; `F` is `mxnet.nd` or `mxnet.sym`."""
        return self.loss.formula(F, *inputs)
