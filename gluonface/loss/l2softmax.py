"""L2-Softmax: embeddings of one length, class weights free."""

import math

from ..errors import InputError
from ._margin import LOSSES, Margin, Parameter, declare

__all__ = ["L2Softmax"]

CERTAIN = 0.9  # the probability that the scale must make possible


@LOSSES.register("l2softmax", aliases=("l2_softmax",))
class L2Softmax(Margin):
    r"""Softmax of embeddings scaled to one length; the weights and the bias are free.

    .. math:: z_j = \alpha\, W_j \cdot x / \|x\| + b_j

    It has no margin; `strength` has no effect.

    Raises
    ------
    InputError
        By a head of so many classes that the scale is too small.

    Notes
    -----
    gluon-face normalises its input and takes the result as class scores. Given logits it
    normalises the logits, which is not the paper's loss.
    """

    title = "L2-Softmax"
    authors = "Ranjan, Castillo, Chellappa"
    paper = "L2-constrained Softmax Loss for Discriminative Face Verification"
    year = 2017
    arxiv = "1703.09507"
    formula_text = "z_j = alpha W_j.x/|x| + b_j"
    parameters = declare(
        scale=Parameter(
            40.0,
            "length alpha of all embeddings",
            more="It must be at least log(0.9 (C - 2) / 0.1), or no sample could reach a "
            "probability of 0.9: 13.6 for 86,000 classes.",
            above=0.0,
            why="it multiplies the embeddings, and shorter ones cannot be told apart",
        )
    )
    unit_weight = False
    has_bias = True
    plain_at_0 = False

    def prepare(self, num_classes):
        """Check the paper's lower bound of the scale."""
        super().prepare(num_classes)
        low = math.log(CERTAIN * max(1, num_classes - 2) / (1.0 - CERTAIN))
        if num_classes > 2 and self.scale < low:
            raise InputError(
                f"l2softmax: scale={self.scale:g} is too small for {num_classes} classes; it must "
                f"be at least {low:.3g}, or no sample can reach a probability of {CERTAIN}"
            )
