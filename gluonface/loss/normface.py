"""NormFace: the softmax over scaled cosines."""

from ._margin import LOSSES, Margin, declare, scale_parameter

__all__ = ["NormFace"]


@LOSSES.register("normface")
class NormFace(Margin):
    r"""Normalised softmax: embeddings and class centres on the unit sphere, no margin.

    .. math:: z_j = s \cos\theta_j

    Every margin loss at ``strength = 0`` is this one at its own scale.
    """

    title = "NormFace"
    authors = "Wang, Xiang, Cheng, Yuille"
    paper = "NormFace: L2 Hypersphere Embedding for Face Verification"
    year = 2017
    arxiv = "1704.06369"
    formula_text = "z_j = s cos(theta_j)"
    parameters = declare(
        scale=scale_parameter(
            30.0, more="Without a margin 30 suits some thousand classes; take 64 for more."
        )
    )
