"""The plain softmax: inner products and a bias, nothing normalised, no margin."""

from ._margin import LOSSES, Margin

__all__ = ["Softmax"]


@LOSSES.register("softmax")
class Softmax(Margin):
    r"""Softmax over unnormalised inner products, the classifier that margins improve on.

    .. math:: z_j = W_j \cdot x + b_j

    It has no scale and no margin; `strength` has no effect. Evaluate its embeddings by cosine as
    those of the other losses.
    """

    title = "Softmax"
    authors = "Sun, Wang, Tang"
    paper = "Deep Learning Face Representation from Predicting 10,000 Classes"
    year = 2014
    venue = "CVPR 2014"
    formula_text = "z_j = W_j.x + b_j"
    unit_embedding = False
    unit_weight = False
    has_bias = True
    plain_at_0 = False
