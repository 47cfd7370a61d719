"""ArcNegFace: negatives near the margined target weigh more, far ones less."""

from ._margin import LOSSES, Parameter, declare
from .arcface import ArcFace

__all__ = ["ArcNegFace"]


@LOSSES.register("arcnegface")
class ArcNegFace(ArcFace):
    r"""ArcFace with negatives weighted by their distance from the target.

    .. math:: z_y = s a, \; a = \cos(\theta_y + m), \quad
              z_j = s (t_j \cos\theta_j + t_j - 1), \;
              t_j = \alpha e^{-(\cos\theta_j - a)^2/\sigma}

    The weight t_j carries no gradient.

    Notes
    -----
    cavaface computes the same values, but is NaN where rounding takes a cosine beyond 1, and its
    easy margin fails.
    """

    title = "ArcNegFace"
    authors = "Liu et al."
    paper = "Towards Flops-constrained Face Recognition"
    year = 2019
    arxiv = "1909.00632"
    family = "hard-negative"
    formula_text = "z_j = s (t cos(theta_j) + t - 1), t = alpha exp(-(cos(theta_j) - a)^2/sigma)"
    parameters = declare(
        margin=ArcFace.parameters["margin"],
        alpha=Parameter(1.2, "largest weight of a negative", above=0.0, why="it is a weight"),
        sigma=Parameter(
            2.0,
            "width of the bell",
            more="A Gaussian's twice the variance.",
            above=0.0,
            why="it divides",
        ),
        scale=ArcFace.parameters["scale"],
        policy=ArcFace.parameters["policy"],
    )

    def others(self, F, cosine, strength, target_cosine, target):
        """Return the weighted cosines."""
        gap = F.broadcast_sub(F.BlockGrad(cosine), target)
        weight = self.alpha * F.exp(F.square(gap) * (-1.0 / self.sigma))
        # t c + t - 1, and c at strength 0.
        return cosine + F.broadcast_mul((weight - 1.0) * (cosine + 1.0), strength)
