"""COCO, the congenerous cosine loss: the softmax over scaled cosines."""

from ._margin import LOSSES, Margin, declare, scale_parameter

__all__ = ["COCO"]


@LOSSES.register("coco")
class COCO(Margin):
    r"""Congenerous cosine loss, with class centres that are parameters.

    .. math:: z_j = \alpha \cos\theta_j

    It is NormFace by another road; the papers differ in the scale.

    Parameters
    ----------
    scale : float, default 6.25
        The paper's alpha > 0; up to 16 is usual, and more for more classes.

    References
    ----------
    Liu, Li, Wang: Rethinking Feature Discrimination and Polymerization for Large-scale
    Recognition, 2017, arXiv 1710.00870.
    """

    name = "coco"
    title = "COCO"
    paper = "Rethinking Feature Discrimination and Polymerization for Large-scale Recognition"
    year = 2017
    arxiv = "1710.00870"
    formula_text = "z_j = alpha cos(theta_j)"
    parameters = declare(scale=scale_parameter(6.25))
