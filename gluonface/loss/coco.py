"""COCO, the congenerous cosine loss: the softmax over scaled cosines."""

from ._margin import LOSSES, Margin, declare, scale_parameter

__all__ = ["COCO"]


@LOSSES.register("coco")
class COCO(Margin):
    r"""Congenerous cosine loss, with class centres that are parameters.

    .. math:: z_j = \alpha \cos\theta_j

    The formula is NormFace's; the papers differ in the scale.
    """

    title = "COCO"
    authors = "Liu, Li, Wang"
    paper = "Rethinking Feature Discrimination and Polymerization for Large-scale Recognition"
    year = 2017
    arxiv = "1710.00870"
    formula_text = "z_j = alpha cos(theta_j)"
    parameters = declare(
        scale=scale_parameter(
            6.25, more="The paper's alpha; up to 16 is usual, and more for more classes."
        )
    )
