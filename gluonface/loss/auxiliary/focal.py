"""Focal loss: samples that are right already count less."""

from ... import _compat
from ._base import AUXILIARY, Auxiliary, Parameter, declare

__all__ = ["Focal"]


@AUXILIARY.register("focal")
class Focal(Auxiliary):
    r"""The head's losses, each weighed by how wrong its sample is.

    .. math:: L'_i = (1 - p_i)^\gamma L_i, \qquad p_i = e^{-L_i}

    Notes
    -----
    The gradient by :math:`L_i` is :math:`(1-p)^\gamma + \gamma (1-p)^{\gamma-1} p L`: the factor
    is part of the loss, as in the paper. It works with every head, sharded or not, since it needs
    the losses alone. cavaface applies it to the mean loss of the batch, so that one factor weighs
    easy and hard samples alike.
    """

    title = "Focal loss"
    authors = "Lin, Goyal, Girshick, He, Dollar"
    paper = "Focal Loss for Dense Object Detection"
    year = 2017
    arxiv = "1708.02002"
    kind = "losses"
    inputs_doc = (
        "losses : NDArray (B,)\n    Of a head, without label smoothing: they must be -log p."
    )
    outputs_doc = "NDArray (B,) float32\n    In place of the head's."
    formula_text = "(1 - p_y)^gamma CE"
    parameters = declare(
        gamma=Parameter(
            2.0,
            "how fast samples that are right lose weight",
            more="0 changes nothing.",
            low=0.0,
            high=10.0,
            why="below 0 right samples would gain weight; 0 changes nothing",
        )
    )

    def formula(self, F, losses):
        """Return the weighed losses (B,) of losses (B,)."""
        # 1 - p without cancellation; held above 0, where the slope of a power may be infinite.
        wrong = F.maximum(-F.expm1(-losses), 1e-12)
        return wrong**self.gamma * losses

    def __call__(self, losses):
        """Return the weighed losses (B,) of the head's losses (B,)."""
        from .._block import to_float32

        return self.formula(_compat.mx.nd, to_float32(losses))
