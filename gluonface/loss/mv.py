"""MV-Softmax: misclassified negatives weigh more, by their cosine or by a constant."""

from ._margin import LOSSES, Parameter, declare
from .svx import SVXSoftmax, kind_parameters, raised_cosines

__all__ = ["MVSoftmax"]


@LOSSES.register("mv", aliases=("mv-softmax",))
class MVSoftmax(SVXSoftmax):
    r"""Misclassified vector guided softmax: classes that beat the margined target are raised.

    .. math:: z_y = s f(\theta_y), \quad
              z_j = s \cos\theta_j \text{ if } \cos\theta_j \le f(\theta_y),
              \text{ else } s ((1 + t) \cos\theta_j + t) \text{ or } s (\cos\theta_j + t)

    Notes
    -----
    What cavaface calls SVX is this loss; its angular kind has the policy ``none``.
    """

    title = "MV-Softmax"
    authors = "Wang et al."
    paper = "Mis-classified Vector Guided Softmax Loss for Face Recognition"
    year = 2019
    arxiv = "1912.00833"
    family = "hard-negative"
    formula_text = "z_j = s ((1 + t) cos(theta_j) + t) where cos(theta_j) > f(theta_y)"
    parameters = declare(
        **kind_parameters(
            Parameter(
                0.2,
                "weight of misclassified ones",
                more="0 is the margin alone. `SVXSoftmax`'s t is this one plus 1.",
                low=0.0,
                why="below 0 they would weigh less",
            ),
            32.0,
        ),
        mode=Parameter(
            "adaptive",
            "by t (1 + cosine) or by t",
            more="So much is added to the cosine of a misclassified negative.",
            choices=("adaptive", "fixed"),
        ),
    )

    def raised(self, F, cosine, strength):
        """Return the raised cosines (N, C)."""
        t = self.t * strength
        return F.broadcast_add(cosine, t) if self.mode == "fixed" else raised_cosines(F, cosine, t)
