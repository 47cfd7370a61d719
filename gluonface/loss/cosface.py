"""CosFace, also known as AM-Softmax: a margin subtracted from the target's cosine."""

from ._margin import LOSSES, Margin, cosine_parameter, declare, scale_parameter

__all__ = ["CosFace"]


@LOSSES.register("cosface")
class CosFace(Margin):
    r"""Additive cosine margin: the cosine to the own class counts as smaller by m.

    .. math:: z_y = s (\cos\theta_y - m), \quad z_j = s \cos\theta_j

    The slope in the cosine is s everywhere, which makes it the most robust of the margins.
    AM-Softmax is the same loss, published with ``scale=30``.

    Notes
    -----
    gluon-face's ``get_loss`` cannot find its CosFace: it is registered as ``cosLoss``, and
    ``get_loss`` converts the name to lower case.
    """

    title = "CosFace / AM-Softmax"
    authors = "Wang et al."
    paper = "CosFace: Large Margin Cosine Loss for Deep Face Recognition"
    year = 2018
    further_reference = (
        "Wang, Cheng, Liu, Liu: Additive Margin Softmax for Face Verification, 2018, "
        "arXiv 1801.05599."
    )
    arxiv = "1801.09414"
    formula_text = "z_y = s (cos(theta_y) - m)"
    parameters = declare(
        margin=cosine_parameter(
            more="The margin m of the formula. 0.4 is usual on the largest sets."
        ),
        scale=scale_parameter(),
    )

    def target(self, F, cosine, strength):
        """Return the margined cosine of the target; see `Margin.target`."""
        return cosine - self.margin * strength
